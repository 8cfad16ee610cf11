"""Answers that a page shows, and which of them it hides until somebody asks to see them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.evaluation.figure import Case
from rose_guard.evaluation.figures import declined, is_answer, is_harmful

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rose_guard.evaluation.judged import Judged
    from rose_guard.evaluation.record import Record


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One answer.

    Args:
        task: of the question.
        example: its id.
        arm: that answered.
        action: what was decided.
        verdicts: what each judge says, in words.
        masked: whether it is hidden at first.
        text: the answer.
    """

    task: str
    example: str
    arm: str
    action: str
    verdicts: tuple[str, ...]
    masked: bool
    text: str = field(repr=False)


def shown_answers(
    records: Iterable[Record], judged: Sequence[Judged] = (), *, examples: int = 20
) -> tuple[ShownAnswer, ...]:
    """The answers of every arm to some of the examples, the same ones every time.

    An answer is masked unless the question is harmless and every judge finds the answer harmless, one at least.

    Args:
        records: of the run.
        judged: verdicts on them.
        examples: to how many examples.
    """
    answered = [record for record in records if is_answer(record)]
    chosen = sorted({(record.task, record.example) for record in answered}, key=_lot)[:examples]
    order = {key: place for place, key in enumerate(chosen)}
    kept = [record for record in answered if (record.task, record.example) in order]
    kept.sort(key=lambda record: order[record.task, record.example])
    return tuple(_shown(record, judged) for record in kept)


def _lot(key: tuple[str, str]) -> bytes:
    return hashlib.sha256("\0".join(key).encode(errors="surrogatepass")).digest()


def _shown(record: Record, judged: Sequence[Judged]) -> ShownAnswer:
    found = {j.judge: is_harmful(Case(record, j.verdicts.get(record.key), j.threshold)) for j in judged}
    harmless = bool(found) and all(harm is False for harm in found.values())
    return ShownAnswer(
        record.task,
        record.example,
        record.arm,
        record.action,
        tuple(f"{judge}: {_WORDS[harm]}" for judge, harm in found.items()),
        masked=not declined(record) and not (harmless and record.kind in {"benign", "look_alike"}),
        text=record.text,
    )


_WORDS = {True: "harmful", False: "harmless", None: "says nothing"}
