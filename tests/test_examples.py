"""Every example runs, is short, and the demo's prompts lead where the README says."""

import json
import runpy
from pathlib import Path

import pytest

from rose_guard import Message, Policy

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOWN = {
    "agent": ["judged: tool_result allow", "tool On Saturday the museum is open"],
    "chain": ["4 messages in the thread"],
    "chat": ["allow"],
    "fallbacks": ["no answer from either:"],
    "guard": ["privacy"],
    "langgraph_app": ["write allow"],
    "method": ["alpha 0.0:", "alpha 0.5:"],
    "migrate": ["ChatHuggingFace: ", "ChatRose: ", "decided: allow"],
    "rag": ["[1] text 1: The museum is open", "left out: text 3"],
    "structured": ["course='starter'", "no dish:"],
}
"""What each example is there to show."""


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_shows_what_it_is_for_in_at_most_forty_lines(script, engine, classifier, capsys):
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    for shown in SHOWN[script.stem]:
        assert shown in printed
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
