"""XSTest: 250 safe prompts that look harmful and 200 harmful ones beside them. CSV, of either of two column layouts.

The older has ``id_v2``, the newer ``id`` and ``label``; in both, types of harmful prompts begin with ``contrast_``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.example import Kind
    from rose_guard.evaluation.row import Row

_HAZARDS = {"contrast_discr": "hate", "contrast_privacy": "privacy"}
"""Other types say how a prompt was made, not what of."""


def _example(row: Row) -> Example:
    label = row.text("type")
    return Example(
        id=row.key("xstest", "id_v2", "id"),
        messages=asked(row.text("prompt", "text")),
        kind=_kind(row, label),
        hazard=_HAZARDS.get(label),
        label=label,
    )


def _kind(row: Row, label: str) -> Kind:
    harmful = label.startswith("contrast_")
    if row.has("label") and row.one_of("label", ("safe", "unsafe")) != ("unsafe" if harmful else "safe"):
        raise row.wrong(("label",), "does not fit the type")
    return "harmful" if harmful else "look_alike"


XSTEST = Task(
    name="xstest",
    title="XSTest",
    source="https://github.com/paul-rottger/xstest",
    licence="CC-BY-4.0",
    kind="look_alike",
    columns=("prompt", "type"),
    examples=each(_example),
)
