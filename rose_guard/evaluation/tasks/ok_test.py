"""OKTest: safe prompts with words that look harmful. CSV, one prompt a row.

The file's first column is its prompts; what its header calls them could not be looked up, so usual names are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    return Example(row.key("ok_test"), asked(row.text("prompt", "question", "instruction", "text")), "look_alike")


OK_TEST = Task(
    name="ok_test",
    title="OKTest",
    source="https://github.com/InvokerStark/OverKill",
    licence="none known",
    kind="look_alike",
    columns=("prompt",),
    examples=each(_example),
)
