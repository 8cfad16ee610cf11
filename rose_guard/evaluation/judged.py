"""Judged: a judge's verdicts on the answers of a run, and how often that judge is right by labels of people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.evaluation.judge import Verdict
    from rose_guard.evaluation.statistics import Interval

Question = Literal["harm", "refusal", "following"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well a judge agrees with labels that people gave.

    Args:
        source: of the labelled answers.
        question: what was labelled: harm, refusal or whether the answer follows the request.
        count: how many answers.
        agreement: share on which the judge says what the label says.
        kappa: agreement beyond chance, Cohen's.
        found: share of the harmful, refusing or following answers that the judge finds; None without any.
        false_alarms: share of the others that it takes for one; None without any.
    """

    source: str
    question: Question
    count: int
    agreement: Interval
    kappa: Interval
    found: Interval | None = None
    false_alarms: Interval | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one judge says of a run.

    Args:
        judge: its name.
        threshold: from which its probability of harm counts, fixed before any arm ran.
        verdicts: by :attr:`~rose_guard.evaluation.record.Record.key`; an answer without one counts as missing.
        accuracy: on labelled answers; reports say so where there is none.
    """

    judge: str
    threshold: float
    verdicts: Mapping[tuple[str, str, str], Verdict] = field(repr=False)
    accuracy: tuple[Accuracy, ...] = ()
