"""Statistics: how sure a figure is, and whether two arms differ. The same numbers and seed give the same results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from numpy.typing import NDArray

_NORMAL_QUANTILE = 1.959963984540054
"""Of 97.5 %: two-sided intervals of 95 %."""
_PERCENTILES = (2.5, 97.5)
_ENUMERATED = 14
"""Up to this many differences every assignment of signs is tried; beyond, a random sample of them."""
_FLIPS = 9_999
_CELLS = 1_000_000
"""How many numbers are drawn at a time: 8 MB."""
_ROUNDING = 1e-12
"""Sums that differ by less are the same sum, added up in another order."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(values: Sequence[float], *, samples: int = 2000, seed: int = 0) -> Interval:
    """The mean and its percentile bootstrap interval.

    Raises:
        InputError: if there are no values, or one is not finite.
    """
    return _bootstrap(_numbers(values), samples, seed)


def paired_bootstrap(a: Sequence[float], b: Sequence[float], *, samples: int = 2000, seed: int = 0) -> Interval:
    """The mean of a − b and its percentile bootstrap interval, pairs resampled together.

    Args:
        a: one number for each example.
        b: those of the other arm, in the same order.
        samples: how often to resample.
        seed: of the resampling.

    Raises:
        InputError: if there are no pairs, the lengths differ, or a number is not finite.
    """
    return _bootstrap(_differences(a, b), samples, seed)


def paired_test(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> float:
    """Two-sided p-value of a and b being exchangeable within each pair.

    For zeros and ones it is the exact McNemar test. Otherwise the signs of the differences are flipped: all ways where
    there are few, else 9,999 random ones and the one observed, so that p is never 0 (Phipson and Smyth 2010).

    Raises:
        InputError: as :func:`paired_bootstrap`.
    """
    differences = _differences(a, b)
    if {*a, *b} <= {0, 1}:
        return _mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
    return _sign_flips(differences[differences != 0], seed)


def wilson(successes: int, trials: int) -> Interval:
    """A share and its Wilson score interval, which stays within [0, 1] and does not shrink to nothing at 0 and 1.

    Raises:
        InputError: if there are no trials, or not between none and all of them succeeded.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"{successes} of {trials} is not a share; count at least one trial, and no more successes")
    share, z2 = successes / trials, _NORMAL_QUANTILE**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _NORMAL_QUANTILE / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(share, low, high)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], *, samples: int = 2000, seed: int = 0) -> Interval:
    """Cohen's kappa of two raters, with a percentile bootstrap interval over what they rated.

    Where both give one and the same label throughout, nothing tells agreement from chance, and kappa is 0.

    Args:
        a: one rater's labels.
        b: the other's, in the same order.
        samples: how often to resample.
        seed: of the resampling.

    Raises:
        InputError: if there are no labels, or not the same number of each.
    """
    _check_pairs(a, b)
    place = {label: i for i, label in enumerate(dict.fromkeys([*a, *b]))}
    table = np.zeros((len(place), len(place)))
    np.add.at(table, ([place[label] for label in a], [place[label] for label in b]), 1)
    shares = table.ravel() / len(a)
    drawn = np.random.default_rng(seed).multinomial(len(a), shares, samples).reshape(samples, *table.shape)
    low, high = np.percentile(_kappas(drawn / len(a)), _PERCENTILES)
    return Interval(float(_kappas(shares.reshape(1, *table.shape))[0]), float(low), float(high))


def per_unit(amounts: Sequence[float], units: Sequence[float]) -> list[float]:
    """Numbers whose mean is sum(amounts) / sum(units), and whose spread is that of this ratio.

    The ratio's linear approximation, ``R + (amount − R · unit) / mean unit``: what works on means then works on rates.

    Raises:
        InputError: if there are none, the lengths differ, a number is not finite, or units add up to 0 or less.
    """
    _check_pairs(amounts, units)
    tops, bottoms = _numbers(amounts), _numbers(units)
    if (bottoms == 1).all():
        return list(amounts)
    if bottoms.sum() <= 0:
        raise InputError("a rate needs units that add up to more than 0; leave out what took no time")
    ratio = tops.sum() / bottoms.sum()
    values: list[float] = (ratio + (tops - ratio * bottoms) / bottoms.mean()).tolist()
    return values


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for there being several of them (Holm 1979), in the order given."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = highest
    return adjusted


def _numbers(values: Sequence[float]) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        raise InputError("a figure needs at least one number, and finite ones; leave out what was not measured")
    return numbers


def _differences(a: Sequence[float], b: Sequence[float]) -> NDArray[np.float64]:
    _check_pairs(a, b)
    return _numbers(a) - _numbers(b)


def _check_pairs(a: Sequence[Hashable], b: Sequence[Hashable]) -> None:
    if not len(a) or len(a) != len(b):
        raise InputError(f"{len(a)} and {len(b)} do not pair up; give both for each example, and at least one")


def _bootstrap(values: NDArray[np.float64], samples: int, seed: int) -> Interval:
    draw = np.random.default_rng(seed)
    means = [
        values[draw.integers(len(values), size=shape, dtype=np.int32)].mean(axis=1)
        for shape in _blocks(samples, len(values))
    ]
    low, high = np.percentile(np.concatenate(means), _PERCENTILES)
    return Interval(float(values.mean()), float(low), float(high))


def _blocks(samples: int, count: int) -> Iterator[tuple[int, int]]:
    """Shapes of blocks that are small enough to hold, and have that many rows together."""
    rows = max(1, _CELLS // count)
    for start in range(0, samples, rows):
        yield min(rows, samples - start), count


def _mcnemar(more: int, fewer: int) -> float:
    discordant = more + fewer
    tail = sum(math.comb(discordant, k) for k in range(min(more, fewer) + 1))
    return min(1.0, 2 * tail / (1 << discordant))


def _sign_flips(differences: NDArray[np.float64], seed: int) -> float:
    if not differences.size:
        return 1.0
    total = differences.sum()
    observed = abs(total) - _ROUNDING * np.abs(differences).sum()
    if differences.size <= _ENUMERATED:
        signs = np.array(list(product((-1, 1), repeat=differences.size)))
        return float((np.abs(signs @ differences) >= observed).mean())
    draw = np.random.default_rng(seed)
    extreme = sum(
        int((np.abs(2 * (draw.integers(2, size=shape, dtype=np.int8) @ differences) - total) >= observed).sum())
        for shape in _blocks(_FLIPS, differences.size)
    )
    return (extreme + 1) / (_FLIPS + 1)


def _kappas(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kappa of each of several tables of shares."""
    agreed = np.trace(shares, axis1=1, axis2=2)
    by_chance = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    beyond = 1 - by_chance
    return np.where(beyond > _ROUNDING, (agreed - by_chance) / np.where(beyond > _ROUNDING, beyond, 1), 0.0)
