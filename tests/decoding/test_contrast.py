"""Laws of the contrast as a pure function."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.decoding.contrast import contrast

finite = st.floats(-50, 50, allow_nan=False, width=32)
logits = st.lists(finite, min_size=5, max_size=5).map(torch.tensor)
alphas = st.floats(0, 0.95)


@given(logits, logits, alphas)
def test_it_is_positive_minus_alpha_times_reverse(positive, reverse, alpha):
    assert torch.equal(contrast(positive, [reverse], [alpha]), positive - alpha * reverse)


@given(logits, logits)
def test_alpha_zero_leaves_the_positive_logits(positive, reverse):
    assert torch.equal(contrast(positive, [reverse], [0.0]), positive)


@given(logits, logits, st.floats(0.01, 0.95))
def test_normalising_keeps_the_greedy_choice(positive, reverse, alpha):
    raw = contrast(positive, [reverse], [alpha])
    normalised = contrast(positive, [reverse], [alpha], normalised=True)
    assert raw[normalised.argmax()] == pytest.approx(raw.max().item(), rel=1e-5, abs=1e-5)


@given(logits, alphas)
def test_equal_branches_normalised_are_the_positive_logits(positive, alpha):
    assert torch.allclose(contrast(positive, [positive], [alpha], normalised=True), positive, rtol=1e-3, atol=1e-3)


@given(logits, logits, st.floats(0.01, 0.9))
def test_two_equal_reverse_branches_are_one_of_their_joint_weight(positive, reverse, alpha):
    one = contrast(positive, [reverse], [alpha])
    two = contrast(positive, [reverse, reverse], [alpha / 2, alpha / 2])
    assert torch.allclose(one, two, rtol=1e-4, atol=1e-4)


@given(logits, logits, alphas, st.floats(0.01, 1.0))
def test_plausibility_keeps_exactly_the_tokens_within_beta_of_the_likeliest(positive, reverse, alpha, beta):
    kept = contrast(positive, [reverse], [alpha], beta=beta) > -math.inf
    assert torch.equal(kept, positive >= positive.max() + math.log(beta))
    assert kept[positive.argmax()]


def test_without_plausibility_a_token_unlikely_under_both_branches_can_win():
    positive, reverse = torch.tensor([0.0, -20.0]), torch.tensor([0.0, -60.0])
    assert contrast(positive, [reverse], [0.5]).argmax() == 1
    assert contrast(positive, [reverse], [0.5], beta=0.1).argmax() == 0


def test_inputs_are_left_as_they_are():
    positive, reverse = torch.ones(3), torch.ones(3)
    contrast(positive, [reverse], [0.5], beta=0.5, normalised=True)
    assert torch.equal(positive, torch.ones(3))
    assert torch.equal(reverse, torch.ones(3))
