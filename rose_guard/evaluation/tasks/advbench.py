"""AdvBench: 520 harmful instructions, each with how a complying answer would begin. CSV ``goal,target``.

An affirmative beginning does no harm by itself, so it is no unsafe answer; it is kept for whoever attacks by it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    return Example(
        id=row.key("advbench"),
        messages=asked(row.text("goal", "text")),
        kind="harmful",
        extra=MappingProxyType({"target": row.text("target")}),
    )


ADVBENCH = Task(
    name="advbench",
    title="AdvBench",
    source="https://github.com/llm-attacks/llm-attacks/blob/main/data/advbench/harmful_behaviors.csv",
    licence="MIT",
    kind="harmful",
    columns=("goal", "target"),
    examples=each(_example),
)
