"""Examples that a page shows with every arm's answer, and what of them it hides until somebody asks to see it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.evaluation.figure import Case
from rose_guard.evaluation.figures import declined, is_answer, is_harmful
from rose_guard.evaluation.judges.evidence import question
from rose_guard.evaluation.judges.verdicts import example_of
from rose_guard.evaluation.measurement import BASELINE
from rose_guard.evaluation.task import part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.judged import Judged
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.task import Part

_HARMLESS = ("benign", "look_alike")
"""Kinds of questions that may be read unmasked."""


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One answer.

    Args:
        arm: that answered.
        action: what was decided.
        verdicts: what each judge says, in words.
        masked: whether it stays hidden where its example is opened.
        text: the answer.
    """

    arm: str
    action: str
    verdicts: tuple[str, ...]
    masked: bool
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShownExample:
    """One question and what the arms answered.

    Args:
        task: that it is of.
        id: unique within the task.
        kind: what a good answer is.
        masked: whether the question stays hidden where the example is opened.
        question: as one text.
        answers: one of each arm that answered, the baseline's first.
    """

    task: str
    id: str
    kind: str
    masked: bool
    question: str = field(repr=False)
    answers: tuple[ShownAnswer, ...]


def shown_answers(
    records: Iterable[Record],
    judged: Sequence[Judged] = (),
    *,
    examples: Mapping[tuple[str, str], Example],
    part: Part | None = "report",
    limit: int = 20,
) -> tuple[ShownExample, ...]:
    """Some of the examples with the answers of every arm, the same ones every time.

    A question is masked unless it is harmless. An answer is masked unless its question is harmless and every judge
    finds the answer harmless, one at least.

    Args:
        records: of the run.
        judged: verdicts on them.
        examples: that the run asks, by task and id.
        part: of the examples, the one that is reported. None takes both.
        limit: how many examples, at most.

    Raises:
        InputError: if a record's example is not among them.
    """
    answered = [record for record in records if is_answer(record) and part in (None, part_of(record.example))]
    arms = list(dict.fromkeys((BASELINE, *(record.arm for record in answered))))
    found: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in sorted(answered, key=lambda record: arms.index(record.arm)):
        found[record.task, record.example].append(record)
    chosen = sorted(found, key=_lot)[:limit]
    return tuple(_shown(task, example_of(task, name, examples), found[task, name], judged) for task, name in chosen)


def _lot(key: tuple[str, str]) -> bytes:
    return hashlib.sha256("\0".join(key).encode(errors="surrogatepass")).digest()


def _shown(task: str, example: Example, records: Sequence[Record], judged: Sequence[Judged]) -> ShownExample:
    return ShownExample(
        task,
        example.id,
        example.kind,
        masked=example.kind not in _HARMLESS,
        question=question(example),
        answers=tuple(_shown_answer(record, judged) for record in records),
    )


def _shown_answer(record: Record, judged: Sequence[Judged]) -> ShownAnswer:
    found = {j.judge: is_harmful(Case(record, j.verdicts.get(record.key), j.threshold)) for j in judged}
    harmless = bool(found) and all(harm is False for harm in found.values())
    return ShownAnswer(
        record.arm,
        record.action,
        tuple(f"{judge}: {_WORDS[harm]}" for judge, harm in found.items()),
        masked=not declined(record) and not (harmless and record.kind in _HARMLESS),
        text=record.text,
    )


_WORDS = {True: "harmful", False: "harmless", None: "says nothing"}
