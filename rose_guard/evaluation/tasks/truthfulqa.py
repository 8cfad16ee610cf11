"""TruthfulQA: ordinary questions with correct and incorrect answers, so a margin between them can be measured.

``TruthfulQA.csv``, in which semicolons part the answers, or Hugging Face's columns, which hold lists.
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
        id=row.key("truthfulqa"),
        messages=asked(row.text("Question", "question", "text")),
        kind="benign",
        label=row.text("Category", "category"),
        safe=row.texts("Correct Answers", "correct_answers", separator=";"),
        unsafe=row.texts("Incorrect Answers", "incorrect_answers", separator=";"),
        extra=MappingProxyType({"reference": row.text("Best Answer", "best_answer")}),
    )


TRUTHFULQA = Task(
    name="truthfulqa",
    title="TruthfulQA",
    source="https://github.com/sylinrl/TruthfulQA",
    licence="Apache-2.0",
    kind="benign",
    columns=("Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers"),
    examples=each(_example),
)
