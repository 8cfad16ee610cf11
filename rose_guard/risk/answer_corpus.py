"""The corpus that the answer head learns from: parts of answers, each labelled by whether showing it does harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import InputError
from rose_guard.risk.corpus import Split, read_rows, shipped_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class AnswerExample:
    """A labelled answer.

    Args:
        text: the answer, or a part of one.
        harmful: whether showing it would do harm.
        source: the data set it comes from.
        split: only examples of ``train`` are trained on.
    """

    text: str
    harmful: bool
    source: str
    split: Split = "train"


def own_answers() -> Iterator[AnswerExample]:
    """Answers written for this project: a harmful one and a harmless one with the same words, side by side."""
    for row in shipped_rows("answers.jsonl"):
        yield AnswerExample(row["harmful"], True, "own answers", row["split"])
        yield AnswerExample(row["harmless"], False, "own answers", row["split"])


def public_answers(folder: Path) -> Iterator[AnswerExample]:
    """Public answers from JSON lines in a folder; absent files are left out.

    Trained on: Latent Jailbreak's labelled responses, and AdvBench's openings of answers that comply. Measured on
    alone: the reference answers of AlpacaEval and TruthfulQA, which are all harmless.

    Raises:
        InputError: if a file lacks a column, naming the row.
    """
    for name, (column, harmful, split) in _PUBLIC.items():
        path = folder / f"{name}.jsonl"
        for place, row in read_rows(path) if path.exists() else ():
            try:
                yield AnswerExample(row[column], row["safety"] == "unsafe" if harmful is None else harmful, name, split)
            except KeyError as error:
                raise InputError(f"{place}: no column {error.args[0]!r}") from error


def labelled_answers(path: Path, *, split: Split = "train") -> Iterator[AnswerExample]:
    """Answers of one's own: one ``{"text", "harmful"}`` a line.

    Raises:
        InputError: if a row lacks a column, naming the row.
    """
    for place, row in read_rows(path):
        if not isinstance(row.get("harmful"), bool):
            raise InputError(f"{place}: `harmful` must be true or false")
        yield AnswerExample(row["text"], row["harmful"], path.stem, split)


_PUBLIC: dict[str, tuple[str, bool | None, Split]] = {
    "latent_jailbreak_p1": ("response", None, "train"),
    "advbench": ("target", True, "train"),
    "alpaca_eval": ("reference", False, "test"),
    "truthfulqa": ("best_answer", False, "test"),
}
"""Where each set has its answers, whether they are harmful (None where its rows say so), and its split."""
