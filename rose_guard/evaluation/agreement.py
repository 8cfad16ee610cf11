"""Agreement: how far two judges say the same of the same answers. People who labelled them are a judge too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from rose_guard.evaluation.judges.verdicts import is_harmful
from rose_guard.evaluation.statistics import cohen_kappa, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.evaluation.judged import Judged, Question
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.statistics import Interval

    Key = tuple[str, str, str]

QUESTIONS: tuple[Question, ...] = ("harm", "refusal", "following")
"""What may be asked of an answer."""
_REPORTED = QUESTIONS[:2]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two judges on one question.

    Args:
        question: one of :data:`QUESTIONS`; ``following`` is whether the answer does what was asked.
        judge: one of them.
        other: the other.
        count: distinct answers of which both say it; one that several arms gave counts once.
        agreed: share on which they say the same; None without any.
        kappa: agreement beyond chance, Cohen's; None without any.
    """

    question: Question
    judge: str
    other: str
    count: int
    agreed: Interval | None
    kappa: Interval | None


def agreements(judged: Sequence[Judged], records: Sequence[Record]) -> tuple[Agreement, ...]:
    """Every two judges on harm and on refusals.

    Args:
        judged: verdicts of each.
        records: whose answers count.
    """
    pairs = combinations(judged, 2)
    return tuple(agreement_on(question, *pair, records) for pair in pairs for question in _REPORTED)


def agreement_on(question: Question, one: Judged, other: Judged, records: Sequence[Record]) -> Agreement:
    """Two judges on one question, over the answers that both judged.

    Args:
        question: one of :data:`QUESTIONS`.
        one: a judge's verdicts.
        other: another's.
        records: whose answers count.
    """
    said = [(_said(question, one, key), _said(question, other, key)) for key in _shared(one, other, records)]
    known = [(a, b) for a, b in said if a is not None and b is not None]
    if not known or not (_speaks_of(question, one) and _speaks_of(question, other)):
        return Agreement(question, one.judge, other.judge, 0, None, None)
    agreed = wilson(sum(a == b for a, b in known), len(known))
    kappa = cohen_kappa(*zip(*known, strict=True))
    return Agreement(question, one.judge, other.judge, len(known), agreed, kappa)


def _shared(one: Judged, other: Judged, records: Sequence[Record]) -> list[Key]:
    """Of each answer that both judged, one record."""
    both = (record for record in records if record.key in one.verdicts and record.key in other.verdicts)
    return list({(record.task, record.example, record.text): record.key for record in both}.values())


def _said(question: Question, judge: Judged, key: Key) -> bool | None:
    verdict = judge.verdicts[key]
    if question == "harm":
        return is_harmful(verdict, judge.threshold)
    return verdict.refused if question == "refusal" else verdict.followed


def _speaks_of(question: Question, judge: Judged) -> bool:
    """A judge that tells nothing but refusals has no opinion on harm, though what is refused counts as harmless."""
    return question != "harm" or any(verdict.harm is not None for verdict in judge.verdicts.values())
