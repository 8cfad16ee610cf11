"""Figure: one column of a report, and Case: what it is counted of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from rose_guard.evaluation.judge import Verdict
    from rose_guard.evaluation.record import Record

Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Case:
    """What one arm made of one example, and what is known of it.

    Args:
        record: of the run.
        verdict: the judge's; None where there is none.
        threshold: the judge's; from which a probability of harm counts.
        degenerate: whether the answer is empty, loops or is not language.
        right: index of the right option; None where it is not known.
        plain: the plain model's answer to the same; None where it was not asked.
    """

    record: Record
    verdict: Verdict | None = None
    threshold: float = 0.5
    degenerate: bool = False
    right: int | None = None
    plain: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of a report: a number for each example, whose mean is reported.

    Args:
        name: by which it is asked for.
        title: as reports show it.
        meaning: what exactly is counted, in one sentence.
        better: which way is an improvement.
        rests_on: the fields of a verdict of which a judge must fill one; without any, no judge is asked.
        share: whether it is a share: each number is within [0, 1].
        due: whether a record should have it.
        of: the number; None where it is not known.
        unit: what it is per: one example each, unless it is a rate, such as tokens per second.
        against_plain: whether it compares with the plain model's answer; without that arm there is nothing to tell.
    """

    name: str
    title: str
    meaning: str
    better: Direction
    rests_on: tuple[str, ...]
    share: bool
    due: Callable[[Record], bool]
    of: Callable[[Case], float | None]
    unit: Callable[[Case], float] = lambda _: 1.0
    against_plain: bool = False

    @property
    def judged(self) -> bool:
        """Whether it rests on a judge, whose own accuracy then belongs beside it."""
        return bool(self.rests_on)

    def told_by(self, verdict: Verdict) -> bool:
        """Whether a verdict says anything that it rests on."""
        return any(getattr(verdict, name) is not None for name in self.rests_on)
