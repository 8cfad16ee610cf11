"""Metrics: what a classifier's scores are worth, with confidence intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from rose_guard.errors import ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Statistic = Callable[[NDArray[np.float64], NDArray[np.bool_]], float]

_RESAMPLES = 500
_BINS = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def sklearn(module: str) -> Any:
    """A module of scikit-learn.

    Raises:
        ModelLoadError: if it is not installed.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ModelLoadError("training needs scikit-learn; run `pip install 'rose-guard[train]'`") from error


def auroc(scores: NDArray[np.float64], harmful: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; NaN without both kinds."""
    if harmful.all() or not harmful.any():
        return math.nan
    others, found = np.sort(scores[~harmful]), scores[harmful]
    lower, no_higher = (np.searchsorted(others, found, side) for side in ("left", "right"))
    return float((lower + no_higher).mean() / (2 * len(others)))


def calibration_error(probabilities: NDArray[np.float64], harmful: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width, both kinds weighing the same (50 % prevalence).

    ``Σ_b share_b · |mean probability_b − share of harmful_b|`` (Naeini et al. 2015).
    """
    weights = np.where(harmful, 0.5 / max(harmful.sum(), 1), 0.5 / max((~harmful).sum(), 1))
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    total = np.bincount(bins, weights, _BINS)
    predicted = np.bincount(bins, weights * probabilities, _BINS)
    observed = np.bincount(bins, weights * harmful, _BINS)
    return float(np.abs(predicted - observed).sum() / total.sum())


def estimate(
    statistic: Statistic, scores: NDArray[np.float64], harmful: NDArray[np.bool_], *, seed: int = 0
) -> Estimate:
    """A statistic and its interval, from resampling examples of each kind."""
    draw = np.random.default_rng(seed)
    kinds = [np.flatnonzero(harmful == kind) for kind in (True, False)]
    values = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([draw.choice(kind, len(kind)) for kind in kinds if len(kind)])
        values.append(statistic(scores[drawn], harmful[drawn]))
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(statistic(scores, harmful), float(low), float(high))


def flagged(threshold: float) -> Statistic:
    """The share of scores at or above a threshold, as a statistic."""

    def share(scores: NDArray[np.float64], _: NDArray[np.bool_]) -> float:
        return float((scores >= threshold).mean()) if len(scores) else math.nan

    return share


def threshold_at(rate: float, harmless_scores: NDArray[np.float64]) -> float:
    """The lowest threshold, in steps of 0.01, that flags at most this share of harmless scores; 1 where none does."""
    thresholds = (percent / 100 for percent in range(5, 100))
    return next((t for t in thresholds if (harmless_scores >= t).mean() <= rate), 1.0)
