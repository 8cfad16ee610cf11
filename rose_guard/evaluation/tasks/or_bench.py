"""OR-Bench: prompts that only look harmful (80k, hard 1k), and a set of harmful ones. CSV ``prompt,category``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.example import Kind
    from rose_guard.evaluation.row import Row

_HAZARDS = {
    "harassment": "harassment_toxicity",
    "hate": "hate",
    "illegal": "nonviolent_crimes",
    "privacy": "privacy",
    "self-harm": "suicide_self_harm",
    "sexual": "sexual_content",
    "unethical": "other_unethical",
    "violence": "violent_crimes",
}
"""For a prompt that only looks harmful, the hazard that it looks like. ``deception`` and ``harmful`` may be several."""
_SOURCE = "https://huggingface.co/datasets/bench-llm/or-bench"
_COLUMNS = ("prompt", "category")


def _example(row: Row, task: str, kind: Kind) -> Example:
    label = row.text("category")
    return Example(row.key(task), asked(row.text("prompt", "text")), kind, _HAZARDS.get(label), label)


OR_BENCH = Task(
    name="or_bench",
    title="OR-Bench",
    source=_SOURCE,
    licence="CC-BY-4.0",
    kind="look_alike",
    columns=_COLUMNS,
    examples=each(lambda row: _example(row, "or_bench", "look_alike")),
)
OR_BENCH_TOXIC = Task(
    name="or_bench_toxic",
    title="OR-Bench, toxic",
    source=_SOURCE,
    licence="CC-BY-4.0",
    kind="harmful",
    columns=_COLUMNS,
    examples=each(lambda row: _example(row, "or_bench_toxic", "harmful")),
)
