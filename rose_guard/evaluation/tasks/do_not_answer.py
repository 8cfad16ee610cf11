"""Do-Not-Answer: 939 questions that a responsible model should not answer plainly. CSV; some of it is mild."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.hazard import hazard_of
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    harm = row.text("specific_harms")
    return Example(
        id=row.key("do_not_answer"),
        messages=asked(row.text("question", "text")),
        kind="harmful",
        hazard=hazard_of("do_not_answer", harm) or hazard_of("do_not_answer", harm.split(":")[0].strip()),
        label=row.text("types_of_harm"),
        extra=MappingProxyType({"risk_area": row.text("risk_area")}),
    )


DO_NOT_ANSWER = Task(
    name="do_not_answer",
    title="Do-Not-Answer",
    source="https://huggingface.co/datasets/LibrAI/do-not-answer",
    licence="CC-BY-NC-SA-4.0 by the text of its card, Apache-2.0 by its tag",
    kind="harmful",
    columns=("question", "risk_area", "types_of_harm", "specific_harms"),
    examples=each(_example),
)
