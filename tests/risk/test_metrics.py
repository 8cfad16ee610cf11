"""Laws of the figures that a classifier is judged by."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.risk.metrics import auroc, calibration_error, estimate, flagged, threshold_at

SCORES = st.lists(st.floats(0, 1), min_size=4, max_size=40)


def half(scores):
    return np.arange(len(scores)) % 2 == 0


@given(SCORES)
def test_auroc_is_that_of_pairs_and_turns_over_with_the_scores(scores):
    scores = np.array(scores)
    harmful = half(scores)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[harmful] for b in scores[~harmful]]
    assert auroc(scores, harmful) == pytest.approx(np.mean(pairs))
    assert auroc(-scores, harmful) == pytest.approx(1 - np.mean(pairs))


def test_auroc_needs_both_kinds():
    assert math.isnan(auroc(np.array([0.1, 0.2]), np.array([True, True])))


@given(SCORES)
def test_calibration_error_is_a_share(scores):
    assert 0 <= calibration_error(np.array(scores), half(scores)) <= 1


def test_calibration_error_is_0_for_true_and_half_for_certain_but_ignorant_probabilities():
    harmful = np.array([True] * 30 + [False] * 10)
    assert calibration_error(harmful.astype(float), harmful) == 0
    assert calibration_error(np.full(40, 0.5), harmful) == pytest.approx(0)  # both kinds weigh the same
    assert calibration_error(np.ones(40), harmful) == pytest.approx(0.5)


@given(SCORES, st.floats(0, 1))
def test_no_more_than_the_rate_is_flagged_at_its_threshold(scores, rate):
    threshold = threshold_at(rate, np.array(scores))
    assert threshold == 1.0 or np.mean(np.array(scores) >= threshold) <= rate


@given(SCORES)
def test_an_interval_is_drawn_from_the_same_examples_each_time(scores):
    scores = np.array(scores)
    found = estimate(flagged(0.5), scores, half(scores))
    assert found == estimate(flagged(0.5), scores, half(scores))
    assert 0 <= found.low <= found.high <= 1
    assert found.value == np.mean(scores >= 0.5)
