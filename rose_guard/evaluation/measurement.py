"""Measurement: a figure of one arm, and of two arms compared, over some of the examples. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rose_guard.evaluation.statistics import Interval


@dataclass(frozen=True, slots=True)
class Scope:
    """Which examples: all, those of one task, of one kind, such as look-alikes, or of one hazard."""

    kind: Literal["all", "task", "kind", "hazard"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" if self.name else self.kind


ALL = Scope("all")
SCOPES = ("all", "task", "kind", "hazard")
"""Kinds of scopes, in the order of reports."""
BASELINE = "plain"
"""The arm that all others are compared with: the model as it is."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure of one arm.

    Args:
        scope: over which examples.
        arm: which arm.
        figure: name of one of :data:`~rose_guard.evaluation.figures.FIGURES`.
        judge: whose verdicts it rests on; empty where none.
        estimate: the mean and its 95 % interval; None where every example lacks it.
        count: examples that have it.
        missing: examples that lack it: not run under this arm, not judged, or without what it is made of.
        unrecorded: those of the missing that have no record under this arm: not run yet, or it could not answer them.
    """

    scope: Scope
    arm: str
    figure: str
    judge: str
    estimate: Interval | None
    count: int
    missing: int
    unrecorded: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of two arms, paired by example.

    Args:
        scope: over which examples.
        arm: which arm.
        against: the other.
        figure: which figure.
        judge: whose verdicts it rests on; empty where none.
        difference: mean of the arm less the other, and its 95 % interval; None without pairs.
        p: two-sided, of both arms doing the same; None without pairs.
        adjusted: the same, adjusted for all comparisons of this figure in scopes of this kind (Holm).
        pairs: examples that have it under both arms.
        missing: examples that lack it under one of them, or both.
    """

    scope: Scope
    arm: str
    against: str
    figure: str
    judge: str
    difference: Interval | None
    p: float | None
    adjusted: float | None
    pairs: int
    missing: int
