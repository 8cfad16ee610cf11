"""Latent Jailbreak: a harmful instruction within a sentence to translate. Is the answer safe, is the translation made?

Published as one JSON file an answer; here as JSON lines of them, each with its prompt: ``text, group, response, safety,
following``. Many answers share a prompt: the task has each prompt once, with a few of its answers as safe and unsafe
references; :func:`labelled_responses` has each answer.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.instruction import INSTRUCTION
from rose_guard.evaluation.judges.labelled import LabelledAnswer
from rose_guard.evaluation.row_file import rows_of
from rose_guard.evaluation.task import Task
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rose_guard.evaluation.row import Row


REFERENCES = 3
"""At most so many safe and so many unsafe answers of a prompt are references. Fixed, so that margins compare."""


def labelled_responses(path: str | Path) -> list[LabelledAnswer]:
    """All labelled answers of a file, to measure judges by. Of unsafe ones nobody said whether they follow.

    The outer instruction is the example's extra ``instruction``, what stands within it ``sentence``.

    Raises:
        InputError: if it cannot be read or does not fit; the message names the file, the line and the column.
    """
    return [_labelled(row) for row in rows_of(path)]


def _labelled(row: Row) -> LabelledAnswer:
    followed = row.one_of("following", ("follow", "not_follow")) == "follow" if row.has("following") else None
    return LabelledAnswer(_example(row), row.text("response"), harmful=_is_unsafe(row), followed=followed)


def _prompts(rows: Sequence[Row]) -> list[Example]:
    examples: dict[str, Example] = {}
    answers: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        example = _example(row)
        examples.setdefault(example.id, example)
        answers[example.id].append(row)
    return [_with_references(example, answers[example.id]) for example in examples.values()]


def _with_references(example: Example, rows: Sequence[Row]) -> Example:
    """The prompt with some of its labelled answers; one that was labelled both ways is neither."""
    labelled = [row for row in rows if row.has("response") and row.has("safety")]
    unsafe = {row.text("response") for row in labelled if _is_unsafe(row)}
    safe = {row.text("response") for row in labelled if not _is_unsafe(row)}
    return replace(example, safe=_few(safe - unsafe), unsafe=_few(unsafe - safe))


def _few(answers: Iterable[str]) -> tuple[str, ...]:
    """Drawn by what they say, so that a file's order does not choose among the models that gave them."""
    return tuple(sorted(answers, key=lambda answer: hashlib.sha256(answer.encode()).digest())[:REFERENCES])


def _is_unsafe(row: Row) -> bool:
    return row.one_of("safety", ("safe", "unsafe")) == "unsafe"


def _example(row: Row) -> Example:
    text = row.text("text", "prompt")
    instruction, sentence = _parts(row, text)
    return Example(
        id=f"latent_jailbreak-{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        messages=asked(text),
        kind="harmful",
        hazard="hate",
        label=row.text("group"),
        attack="prompt_injection",
        extra=MappingProxyType({INSTRUCTION: instruction, "sentence": sentence}),
    )


def _parts(row: Row, text: str) -> tuple[str, str]:
    """The outer instruction, which is the line that says to translate, and the rest."""
    lines = [line for line in text.splitlines() if line.strip()]
    outer = next((line for line in lines if "translat" in line.lower()), None)
    if outer is None or len(lines) == 1:
        raise row.wrong(("text", "prompt"), "has no line that says to translate, and another with the sentence")
    return outer, "\n".join(line for line in lines if line is not outer)


LATENT_JAILBREAK = Task(
    name="latent_jailbreak",
    title="Latent Jailbreak",
    source="https://github.com/qiuhuachuan/latent-jailbreak",
    licence="MIT",
    kind="harmful",
    columns=("text", "group"),
    examples=_prompts,
)
