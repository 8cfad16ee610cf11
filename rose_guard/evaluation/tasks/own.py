"""Prompts of one's own: harmful ones, ordinary ones, and ones that only look harmful. One ``{"id", "text"}`` a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from rose_guard.evaluation.example import Kind
    from rose_guard.evaluation.row import Row


def _own(kind: Kind, words: str) -> Task:
    name = f"{kind}_prompts"
    return Task(
        name=name,
        title=f"{words} of one's own",
        source="a file of your own",
        licence="as you say",
        kind=kind,
        columns=("id", "text"),
        examples=each(lambda row: _example(row, name, kind)),
    )


def _example(row: Row, task: str, kind: Kind) -> Example:
    return Example(
        id=row.key(task),
        messages=asked(row.text("text", "prompt")),
        kind=kind,
        hazard=row.one_of("hazard", HAZARDS) if row.has("hazard") else None,
        label=row.optional("label", "category", "hazard"),
        attack=row.one_of("attack", ATTACKS) if row.has("attack") else None,
    )


HARMFUL_PROMPTS = _own("harmful", "Harmful prompts")
BENIGN_PROMPTS = _own("benign", "Ordinary prompts")
LOOK_ALIKE_PROMPTS = _own("look_alike", "Prompts that look harmful")
