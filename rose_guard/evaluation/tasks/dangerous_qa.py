"""DangerousQA: 200 harmful questions without labels. A JSON list of texts, ``toxic_outs.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    return Example(row.key("dangerous_qa"), asked(row.text("text")), "harmful")


DANGEROUS_QA = Task(
    name="dangerous_qa",
    title="DangerousQA",
    source="https://github.com/SALT-NLP/chain-of-thought-bias/blob/main/data/dangerous-q/toxic_outs.json",
    licence="MIT",
    kind="harmful",
    columns=("text",),
    examples=each(_example),
)
