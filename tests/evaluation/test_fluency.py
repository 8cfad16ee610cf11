"""Laws of fluency: what counts as language, by limits fixed beforehand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.evaluation import fluency
from rose_guard.evaluation.fluency import Fluency, is_degenerate, longest_loop, perplexity_of, repeated_share

SOUP = (
    "Rinse the lentils, chop an onion and two carrots, and soften them in oil. Add stock and the lentils, let it "
    "simmer for half an hour, then season it with salt, lemon and a little cumin."
)
words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=30)


def distinct(count):
    return [f"w{i}" for i in range(count)]


@given(words)
def test_repetition_is_a_share_and_a_loop_is_shorter_than_its_text(text):
    assert 0.0 <= repeated_share(text) < 1.0
    assert 0 <= longest_loop(text) <= max(0, len(text) - 1)


@given(st.integers(0, 30))
def test_words_that_never_come_again_neither_repeat_nor_loop(count):
    assert repeated_share(distinct(count)) == 0.0
    assert longest_loop(distinct(count)) == 0


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 5), st.integers(0, 5))
def test_a_loop_is_what_was_said_again_whatever_stands_around_it(period, times, before, after):
    unit = [f"u{i}" for i in range(period)]
    text = [*[f"b{i}" for i in range(before)], *unit * times, *[f"a{i}" for i in range(after)]]
    assert longest_loop(text) == period * (times - 1)


@given(words)
def test_a_loop_is_the_longest_stretch_that_equals_what_stands_before_it(text):
    stretches = [
        length
        for start in range(len(text))
        for period in range(1, start + 1)
        for length in range(period, len(text) - start + 1)
        if text[start : start + length] == text[start - period : start - period + length]
    ]
    assert longest_loop(text) == max(stretches, default=0)


def test_the_share_of_repeated_phrases_counts_every_later_one():
    assert repeated_share(["a", "b", "c", "d"] * 2) == pytest.approx(1 / 5)
    assert repeated_share(["a", "b", "c"] * 20) == pytest.approx(1 - 3 / 57)
    assert repeated_share(["a", "a", "a"]) == 0.0


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ("empty",)),
        (" \n\t ", ("empty",)),
        ("No.", ()),
        (SOUP, ()),
        ("No, no, no! Never, never.", ()),
        ("Add salt. " * 12, ("loop", "repetition")),
        (SOUP + " Then stir it well." * 9, ("loop",)),
        ("!" * 200, ("loop", "repetition")),
        ("ha" * 200, ("loop", "repetition")),
        ("abc" * 200, ("loop", "repetition")),
        ("好" * 60, ("loop", "repetition")),
        ("把扁豆洗净，切一个洋葱和两根胡萝卜，用油炒软，再加入高汤慢炖半小时。", ()),
        (f"Heading\n{'=' * 200}\n{SOUP}\n{'-' * 200}", ()),
        (f"{SOUP} The rest is stirring.\n" + "| pot | pan |\n" * 2, ()),
    ],
)
def test_empty_looping_and_repeating_answers_are_degenerate_and_no_others(text, faults):
    assert Fluency.of(text).faults == faults
    assert is_degenerate(text) == bool(faults)


def test_a_loop_may_be_a_small_part_of_a_long_answer():
    long = " ".join(distinct(200))
    assert not is_degenerate(f"{long} {'la ' * 20}")
    assert is_degenerate(f"{' '.join(distinct(20))} {'la ' * 20}")


def test_the_same_phrases_in_another_order_are_repetition_without_a_loop():
    lines = ["we boil the red lentils", "we chop the old onion", "we peel the young carrot"]
    order = [0, 1, 2, 1, 0, 2, 2, 1, 0, 1, 2, 0, 0, 2, 1]
    text = " . ".join(lines[i] for i in order)
    assert Fluency.of(text).faults == ("repetition",)


@given(st.floats(0.0, 1e6))
def test_perplexity_counts_from_its_limit_and_only_for_texts_of_some_length(perplexity):
    assert is_degenerate(SOUP, perplexity) == (perplexity > fluency.MAX_PERPLEXITY)
    assert not is_degenerate("Tegucigalpa.", perplexity)


def test_a_perplexity_that_is_no_number_counts_as_too_high():
    assert is_degenerate(SOUP, math.nan)
    assert is_degenerate(SOUP, math.inf)
    assert not is_degenerate(SOUP, None)


@given(st.floats(-1e9, 0.0))
def test_perplexity_is_one_for_certainty_and_finite_and_larger_for_less(logprob):
    assert perplexity_of(0.0) == 1.0
    assert 1.0 <= perplexity_of(logprob) < math.inf
    assert perplexity_of(logprob - 1.0) >= perplexity_of(logprob)
    assert perplexity_of(None) is None


def test_the_limits_are_those_that_were_fixed():
    """To change one is to change what every earlier report says: let it be seen."""
    limits = {name: value for name, value in vars(fluency).items() if name.startswith(("MAX_", "MIN_", "NGRAM"))}
    assert limits == {
        "NGRAM": 4,
        "MAX_PERPLEXITY": 50.0,
        "MIN_WORDS_FOR_PERPLEXITY": 10,
        "MAX_REPEATED": 0.5,
        "MIN_WORDS_FOR_REPEATED": 20,
        "MAX_LOOP": 12,
        "MAX_LOOP_SHARE": 1 / 3,
    }
