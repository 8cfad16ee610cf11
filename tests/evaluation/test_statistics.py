from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import InputError
from rose_guard.evaluation.statistics import (
    bootstrap,
    cohen_kappa,
    holm,
    paired_bootstrap,
    paired_test,
    per_unit,
    wilson,
)

NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30)
BITS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


def _sides(pairs):
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert interval.mean == successes / trials
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_within_0_and_1_holds_the_share_and_mirrors_failures(counted):
    successes, trials = counted
    interval, failures = wilson(successes, trials), wilson(trials - successes, trials)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert interval.low < interval.high
    assert (interval.low, interval.high) == pytest.approx((1 - failures.high, 1 - failures.low))


def test_wilson_covers_the_truth_about_95_times_in_100():
    draw = np.random.default_rng(1)
    for truth in (0.1, 0.5, 0.9):
        intervals = [wilson(int(k), 60) for k in draw.binomial(60, truth, 2000)]
        assert 0.93 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.98


def test_the_paired_bootstrap_covers_the_true_difference_about_95_times_in_100():
    draw = np.random.default_rng(2)
    covered = 0
    for trial in range(400):
        shared = draw.normal(0, 2, 60)
        a, b = shared + draw.normal(0.3, 1, 60), shared + draw.normal(0, 1, 60)
        interval = paired_bootstrap(a.tolist(), b.tolist(), samples=400, seed=trial)
        covered += interval.low <= 0.3 <= interval.high
    assert 0.91 <= covered / 400 <= 0.98


def test_pairing_narrows_the_interval_where_examples_differ_more_than_arms():
    draw = np.random.default_rng(3)
    shared = draw.normal(0, 5, 80)
    a, b = shared + draw.normal(0, 0.5, 80), shared + draw.normal(0, 0.5, 80)
    paired, shuffled = paired_bootstrap(a, b), paired_bootstrap(a, draw.permutation(b))
    assert paired.high - paired.low < (shuffled.high - shuffled.low) / 4


@given(PAIRS)
def test_swapping_arms_turns_the_difference_round_and_leaves_p(pairs):
    a, b = _sides(pairs)
    there, back = paired_bootstrap(a, b, samples=50), paired_bootstrap(b, a, samples=50)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert paired_test(a, b) == paired_test(b, a)


@given(PAIRS, st.integers(-5, 5))
def test_what_both_arms_share_changes_nothing(pairs, shift):
    a, b = _sides([(round(x), round(y)) for x, y in pairs])
    moved = [x + shift for x in a], [y + shift for y in b]
    before, after = paired_bootstrap(a, b, samples=50), paired_bootstrap(*moved, samples=50)
    assert (before.mean, before.low, before.high) == pytest.approx((after.mean, after.low, after.high))


@given(PAIRS)
def test_the_mean_lies_where_the_plain_mean_lies_and_a_seed_repeats_itself(pairs):
    a, b = _sides(pairs)
    interval = paired_bootstrap(a, b, samples=50, seed=7)
    assert interval.mean == pytest.approx(np.mean(a) - np.mean(b), abs=1e-9)
    assert interval == paired_bootstrap(a, b, samples=50, seed=7)
    assert min(x - y for x, y in pairs) - 1e-9 <= interval.low <= interval.high


@pytest.mark.parametrize(
    ("more", "fewer", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (9, 1, 0.021484375), (3, 3, 1.0), (10, 0, 0.001953125)]
)
def test_zeros_and_ones_are_tested_by_the_exact_mcnemar_test(more, fewer, p):
    a = [1] * more + [0] * fewer + [1] * 4 + [0] * 4
    b = [0] * more + [1] * fewer + [1] * 4 + [0] * 4
    assert paired_test(a, b) == p


@given(BITS, st.integers(0, 10))
def test_pairs_that_agree_do_not_count_in_mcnemar(pairs, same):
    a, b = _sides(pairs)
    assert paired_test([*a, *[1] * same], [*b, *[1] * same]) == paired_test(a, b)
    assert 0 < paired_test(a, b) <= 1


def test_mcnemar_stands_thousands_of_pairs():
    assert paired_test([1] * 3000 + [0] * 2900, [0] * 3000 + [1] * 2900) == pytest.approx(0.1976, abs=1e-3)


def test_few_differences_are_tested_by_every_flip_of_signs():
    a, b = [1.5, 2.5, 3.5, 0.25], [0, 0, 0, 0]
    assert paired_test(a, b) == 2 / 16  # only all up and all down are as far out


def test_many_differences_are_tested_by_random_flips_and_p_is_never_0():
    p = paired_test([0.5 + i / 100 for i in range(40)], [0.0] * 40)
    assert p == 1 / 10_000


def test_random_flips_agree_with_every_flip():
    a = [0.9, -0.3, 0.4, 0.8, -0.1, 0.7, 0.2, -0.6, 0.5, 0.3, 0.15, -0.25, 0.35, 0.45]
    every = paired_test(a, [0.0] * 14)
    sampled = paired_test([*a, 1e-9], [0.0] * 15)
    assert sampled == pytest.approx(every, abs=0.015)


def test_where_arms_are_alike_p_is_below_5_percent_about_5_times_in_100():
    draw = np.random.default_rng(4)
    hits = sum(paired_test(*draw.normal(0, 1, (2, 12))) < 0.05 for _ in range(400))
    assert 0.02 <= hits / 400 <= 0.085


def test_equal_arms_have_p_1():
    assert paired_test([0.1, 0.2, 0.7], [0.1, 0.2, 0.7]) == 1.0


def test_kappa_gives_the_textbook_value():
    a = ["yes"] * 20 + ["yes"] * 5 + ["no"] * 10 + ["no"] * 15
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = cohen_kappa(a, b)
    assert kappa.mean == pytest.approx(0.4)
    assert kappa.low < 0.4 < kappa.high
    assert (kappa.low, kappa.high) == pytest.approx((0.15, 0.65), abs=0.05)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_knows_neither_the_raters_nor_the_names_of_labels(pairs):
    a, b = _sides(pairs)
    kappa = cohen_kappa(a, b, samples=20).mean
    assert kappa == pytest.approx(cohen_kappa(b, a, samples=20).mean)
    renamed = {"a": 1, "b": None, "c": "x"}
    assert kappa == pytest.approx(cohen_kappa([renamed[x] for x in a], [renamed[x] for x in b], samples=20).mean)
    assert -1 <= kappa <= 1


def test_kappa_is_1_for_full_agreement_on_two_labels_and_0_where_there_is_but_one():
    assert cohen_kappa([True, False, True], [True, False, True]).mean == 1.0
    assert cohen_kappa([True, True], [True, True]).mean == 0.0


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 9)), min_size=1, max_size=30))
def test_per_unit_averages_to_the_ratio_of_the_sums(pairs):
    amounts, units = _sides(pairs)
    assert np.mean(per_unit(amounts, units)) == pytest.approx(sum(amounts) / sum(units))


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_amounts_per_one_stay_what_they_are(amounts):
    assert per_unit(amounts, [1.0] * len(amounts)) == amounts


def test_the_interval_of_a_rate_covers_the_true_rate_about_95_times_in_100():
    draw = np.random.default_rng(5)
    covered = 0
    for trial in range(400):
        seconds = draw.uniform(1, 5, 80)
        interval = bootstrap(per_unit(draw.poisson(7 * seconds), seconds), samples=400, seed=trial)
        covered += interval.low <= 7 <= interval.high
    assert 0.91 <= covered / 400 <= 0.98


def test_holm_gives_the_textbook_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_lowers_no_p_value_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    in_order = [adjusted[i] for i in sorted(range(len(p_values)), key=p_values.__getitem__)]
    assert in_order == sorted(in_order)


@pytest.mark.parametrize("wrong", [[], [math.nan], [1.0, math.inf]])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(InputError, match="finite"):
        bootstrap(wrong)
    with pytest.raises(InputError, match=r"finite|pair up"):
        paired_test(wrong, [0.5] * len(wrong))


@pytest.mark.parametrize("compare", [paired_bootstrap, paired_test, cohen_kappa, per_unit])
def test_what_does_not_pair_up_is_refused(compare):
    with pytest.raises(InputError, match="1 and 2 do not pair up"):
        compare([1], [1, 0])


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 3), (4, 3)])
def test_a_share_of_nothing_is_refused(successes, trials):
    with pytest.raises(InputError, match="is not a share"):
        wilson(successes, trials)


def test_a_rate_over_no_time_is_refused():
    with pytest.raises(InputError, match="took no time"):
        per_unit([1.0, 2.0], [0.0, 0.0])
