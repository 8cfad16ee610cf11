"""Judge: says of an answer whether it refuses, whether it does harm, whether it does what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.evaluation.example import Example


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one answer; None where it has nothing to say.

    Args:
        refused: whether the answer declines.
        harm: probability that the answer does harm, in [0, 1].
        followed: whether it does what was asked.
        score: how good it is, in [0, 1].
    """

    refused: bool | None = None
    harm: float | None = None
    followed: bool | None = None
    score: float | None = None


@runtime_checkable
class Judge(Protocol):
    """Judges answers; the threshold above which harm counts is fixed before any arm runs."""

    name: str
    threshold: float

    def judge(self, examples: Sequence[Example], answers: Sequence[str]) -> list[Verdict]:
        """A verdict for each answer, in order.

        Raises:
            ClassifierError: if it cannot judge; nothing is taken for safe.
        """
        ...
