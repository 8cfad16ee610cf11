"""Every example runs, is short, and the demo's prompts lead where the README says."""

import json
import runpy
from pathlib import Path

import pytest

from rose_guard import Message, Policy

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs_and_is_at_most_forty_lines(script, engine, classifier, capsys):
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert len(script.read_text().splitlines()) <= 40


def test_the_demo_allows_what_is_harmless_and_steps_in_for_at_least_four_hazards(classifier):
    rows = [json.loads(line) for line in (EXAMPLES / "demo.jsonl").read_text().splitlines()]
    decisions = {
        row["id"]: Policy.default().decide(classifier.classify([Message("user", row["text"])]), "") for row in rows
    }
    harmless = {"soup", "python", "film"}
    assert {name for name, decision in decisions.items() if decision.action == "allow"} == harmless
    stepped_in = [decision for name, decision in decisions.items() if name not in harmless]
    assert {decision.action for decision in stepped_in} == {"steer", "refuse"}
    assert len({decision.hazards[0] for decision in stepped_in}) >= 4
