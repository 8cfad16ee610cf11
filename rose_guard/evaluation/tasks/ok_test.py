"""OKTest: 300 safe prompts with words that look harmful, and 50 held out. CSV with the one column ``prompt``.

Each published prompt ends in a line break, which is dropped: nobody types it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    return Example(row.key("ok_test"), asked(row.text("prompt", "text").strip()), "look_alike")


OK_TEST = Task(
    name="ok_test",
    title="OKTest",
    source="https://github.com/InvokerStark/OverKill",
    licence="none stated",
    kind="look_alike",
    columns=("prompt",),
    examples=each(_example),
)
