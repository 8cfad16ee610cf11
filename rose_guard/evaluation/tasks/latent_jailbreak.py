"""Latent Jailbreak: a harmful instruction within a sentence to translate. Is the answer safe, is the translation made?

Published as one JSON file an answer; here as JSON lines of them, each with its prompt: ``text, group, response, safety,
following``. Many answers share a prompt: the task has each prompt once, :func:`labelled_responses` each answer.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.judges.labelled import LabelledAnswer
from rose_guard.evaluation.row_file import rows_of
from rose_guard.evaluation.task import Task
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rose_guard.evaluation.row import Row


def labelled_responses(path: str | Path) -> list[LabelledAnswer]:
    """All labelled answers of a file, to measure judges by. Of unsafe ones nobody said whether they follow.

    The outer instruction is the example's extra ``instruction``, what stands within it ``sentence``.

    Raises:
        InputError: if it cannot be read or does not fit; the message names the file, the line and the column.
    """
    return [_labelled(row) for row in rows_of(path)]


def _labelled(row: Row) -> LabelledAnswer:
    harmful = row.one_of("safety", ("safe", "unsafe")) == "unsafe"
    followed = row.one_of("following", ("follow", "not_follow")) == "follow" if row.has("following") else None
    return LabelledAnswer(_example(row), row.text("response"), harmful=harmful, followed=followed)


def _prompts(rows: Sequence[Row]) -> list[Example]:
    by_id = {example.id: example for example in map(_example, rows)}
    return list(by_id.values())


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
        extra=MappingProxyType({"instruction": instruction, "sentence": sentence}),
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
