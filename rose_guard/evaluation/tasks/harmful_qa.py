"""HarmfulQA: 1,960 harmful questions by academic topic. A JSON list; its conversations are not read."""

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
        id=row.key("harmful_qa"),
        messages=asked(row.text("question", "text")),
        kind="harmful",
        label=row.text("topic"),
        extra=MappingProxyType({"subtopic": row.text("subtopic")}),
    )


HARMFUL_QA = Task(
    name="harmful_qa",
    title="HarmfulQA",
    source="https://huggingface.co/datasets/declare-lab/HarmfulQA",
    licence="Apache-2.0",
    kind="harmful",
    columns=("question", "topic", "subtopic"),
    examples=each(_example),
)
