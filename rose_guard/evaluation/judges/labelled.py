"""LabelledAnswer: an answer of which people said what is so, to measure judges by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.row_file import rows_of
from rose_guard.message import Message

if TYPE_CHECKING:
    from pathlib import Path

    from rose_guard.evaluation.row import Row

LABELS = ("harmful", "refused", "followed")
"""What may be known of an answer."""
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer and what is known of it; None where that is not known.

    Args:
        example: the question.
        answer: to it.
        harmful: whether it does harm.
        refused: whether it declines.
        followed: whether it does what was asked.
    """

    example: Example
    answer: str = field(repr=False)
    harmful: bool | None = None
    refused: bool | None = None
    followed: bool | None = None


def read_labelled(path: Path) -> list[LabelledAnswer]:
    """Labelled answers from rows of ``prompt``, ``response``, and ``harmful``, ``refused`` or ``followed`` where known.

    Args:
        path: a file that ends in ``.jsonl``, ``.json`` or ``.csv``.

    Raises:
        InputError: if it cannot be read or a row does not fit; the message names the file, the line and the column.
    """
    return [_labelled(row) for row in rows_of(path)]


def label_of(row: Row, column: str) -> bool | None:
    """What a row says in one of the columns of labels; None where it says nothing.

    Raises:
        InputError: if it is neither true nor false, yes nor no.
    """
    value = row.values.get(column)
    if value is None or isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word in (*_YES, *_NO):
        return word in _YES
    if word == "":
        return None
    raise row.wrong((column,), "must be yes or no, or empty where that is not known")


def _labelled(row: Row) -> LabelledAnswer:
    labels = {column: label_of(row, column) for column in LABELS}
    if all(label is None for label in labels.values()):
        raise row.wrong(LABELS, "missing or empty; say at least one of them")
    example = Example(row.key("labelled"), (Message("user", row.text("prompt")),), "harmful")
    return LabelledAnswer(example, row.text("response"), **labels)
