"""MMLU: general knowledge, to see what guarding costs. The published CSV without a header, or Hugging Face's columns.

Also one text in which a line ``-options`` and lines ``-(A) …`` follow the question, as a set derived from it has it.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.row_file import rows_of
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked_to_choose

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row

_HEADER = ("question", "A", "B", "C", "D", "answer")
_OPTIONS = re.compile(r"^-options\s*$", re.MULTILINE)
_OPTION = re.compile(r"^-\([A-Z]\) ", re.MULTILINE)


def _example(row: Row) -> Example:
    question, options = _parts(row)
    return Example(
        id=row.key("mmlu"),
        messages=asked_to_choose(question, options),
        kind="choice",
        label=row.optional("subject"),
        options=options,
        answer=row.index("answer", len(options)),
    )


def _parts(row: Row) -> tuple[str, tuple[str, ...]]:
    if row.has("choices"):
        return row.text("question"), row.texts("choices")
    if row.has("A"):
        return row.text("question"), tuple(row.text(letter) for letter in "ABCD")
    question, *rest = _OPTIONS.split(row.text("text"), maxsplit=1)
    if not question.strip() or len(options := _OPTION.split("".join(rest))[1:]) < 2:  # noqa: PLR2004 - a choice
        raise row.wrong(("text",), "holds no question and options")
    return question.strip(), tuple(option.strip() for option in options)


MMLU = Task(
    name="mmlu",
    title="MMLU",
    source="https://huggingface.co/datasets/cais/mmlu",
    licence="MIT",
    kind="choice",
    columns=("question", "choices", "answer"),
    examples=each(_example),
    rows=partial(rows_of, header=_HEADER),
)
