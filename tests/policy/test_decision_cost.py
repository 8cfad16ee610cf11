"""What a decision costs: it loads no model, and next to no time beside a message's scoring."""

import subprocess
import sys
from pathlib import Path

from rose_guard_benchmarks import decisions

ROOT = Path(__file__).parents[2]


def test_a_decision_on_scores_that_are_there_takes_no_more_than_a_tenth_of_a_millisecond():
    """The least of several rounds: what a busy machine adds says nothing of the policy."""
    rounds = [decisions.measure(decisions=200, repetitions=3) for _ in range(5)]
    for what in ("no rule fires", "one rule steers", "two rules steer", "a rule refuses"):
        assert min(measured[what]["shipped"] for measured in rounds) <= 100


def test_the_benchmark_prints_every_case(monkeypatch, capsys):
    measured = decisions.measure(1, 1)
    monkeypatch.setattr(decisions, "measure", lambda: measured)
    decisions.main()
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in rows] == list(decisions.SCORES)


def test_the_benchmark_loads_no_model():
    check = (
        "import sys; from rose_guard_benchmarks import decisions; decisions.measure(1, 1); "
        "print([m for m in ('torch', 'transformers', 'langchain_core') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT / "benchmarks",
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"},
    )  # fmt: skip
    assert result.stdout.strip() == "[]"
