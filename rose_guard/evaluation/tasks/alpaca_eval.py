"""AlpacaEval: 805 ordinary instructions, each with a reference answer. A JSON list."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    reference = row.text("output", "reference")
    return Example(
        id=row.key("alpaca_eval"),
        messages=asked(row.text("instruction", "text")),
        kind="benign",
        label=row.optional("dataset"),
        safe=(reference,),
        extra=MappingProxyType({"reference": reference}),
    )


ALPACA_EVAL = Task(
    name="alpaca_eval",
    title="AlpacaEval",
    source="https://huggingface.co/datasets/tatsu-lab/alpaca_eval",
    licence="CC-BY-NC-4.0",
    kind="benign",
    columns=("instruction", "output", "dataset"),
    examples=each(_example),
)
