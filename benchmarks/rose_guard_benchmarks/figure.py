"""Figure: one measured ratio, and how it is taken."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio of two quantities that were measured in turn.

    Args:
        name: what is compared.
        ratio: the median over the repetitions.
        low: the smallest.
        high: the largest.
        dtype: the model's precision.
        unit: what the ratio is of.
        detail: the absolute quantities, and what else is worth knowing.
    """

    name: str
    ratio: float
    low: float
    high: float
    dtype: str
    unit: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition of one side: how long it took and how many tokens it gave."""

    seconds: float
    tokens: int

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


def interleave(sides: Mapping[str, Callable[[int], int]], repetitions: int) -> dict[str, list[Sample]]:
    """Measure several sides in turn, after one round that is not counted.

    Args:
        sides: by name, what does repetition i of the work and gives the number of tokens generated.
        repetitions: how often each is measured.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for repetition in range(-1, repetitions):
        for name, work in sides.items():
            started = time.perf_counter()
            tokens = work(max(repetition, 0))
            if repetition >= 0:
                samples[name].append(Sample(time.perf_counter() - started, tokens))
    return samples


def speed(name: str, dtype: str, samples: dict[str, list[Sample]], over: str, **detail: Any) -> Figure:
    """Tokens per second of the side ``guarded`` over those of another one."""
    rates = {side: [sample.rate for sample in taken] for side, taken in samples.items()}
    return compare(Figure(name, 0, 0, 0, dtype, "tokens/s over tokens/s", detail), rates, over)


def duration(name: str, dtype: str, samples: dict[str, list[Sample]], over: str, **detail: Any) -> Figure:
    """Seconds of the side ``guarded`` over those of another one."""
    seconds = {side: [sample.seconds for sample in taken] for side, taken in samples.items()}
    return compare(Figure(name, 0, 0, 0, dtype, "s over s", detail), seconds, over)


def compare(figure: Figure, quantities: dict[str, list[float]], over: str) -> Figure:
    """A figure with the ratio of what was measured as ``guarded`` and as another side, repetition by repetition."""
    ratios = [a / b for a, b in zip(quantities["guarded"], quantities[over], strict=True)]
    return replace(
        figure,
        ratio=round(median(ratios), 3),
        low=round(min(ratios), 3),
        high=round(max(ratios), 3),
        detail={
            "repetitions": len(ratios),
            "medians": {side: round(median(values), 3) for side, values in quantities.items()},
            **figure.detail,
        },
    )
