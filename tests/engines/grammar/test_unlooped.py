"""Laws of leaving loops: a text that goes round is ended in time, and everything else is left as it is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.engines.grammar import Unlooped
from rose_guard.engines.grammar.unlooped import LONGEST_PERIOD, LOOP_TOKENS, loop_at_end
from tests.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
LETTERS = TOKENIZER.encode("abcdef", add_special_tokens=False)
QUOTE = TOKENIZER.encode('"', add_special_tokens=False)[0]
VOCABULARY = len(TOKENIZER)


class Admitting:
    """Admits the same tokens always."""

    identity = "these"

    def __init__(self, *token_ids):
        self.token_ids = list(token_ids)

    def token_mask(self, tokenizer, vocabulary, ends=()):
        allowed = torch.zeros(vocabulary, dtype=torch.bool)
        allowed[self.token_ids] = True
        return lambda _: allowed


def admitted(generated, token_ids, max_tokens=2 * LOOP_TOKENS - 1):
    mask = Unlooped(Admitting(*token_ids), max_tokens).token_mask(TOKENIZER, VOCABULARY)
    return set(mask(generated).nonzero().flatten().tolist())


@given(loop=st.lists(st.sampled_from(LETTERS), min_size=1, max_size=LONGEST_PERIOD), before=st.lists(st.integers(0, 9)))
def test_a_text_that_loops_can_only_end(loop, before):
    generated = [*before, *(loop * LOOP_TOKENS)[:LOOP_TOKENS]]
    assert admitted(generated, [*LETTERS, QUOTE]) == {QUOTE}


@given(generated=st.lists(st.sampled_from(LETTERS), max_size=3 * LOOP_TOKENS))
def test_what_does_not_loop_is_left_as_it_is(generated):
    loops = any(
        generated[-LOOP_TOKENS:][period:] == generated[-LOOP_TOKENS:][:-period]
        for period in range(1, LONGEST_PERIOD + 1)
    )
    if len(generated) < LOOP_TOKENS or not loops:
        assert loop_at_end(generated) == []
        assert admitted(generated, [*LETTERS, QUOTE]) == {*LETTERS, QUOTE}


@pytest.mark.parametrize(
    ("loop", "admits", "max_tokens"),
    [
        ([LETTERS[0]], [*LETTERS, QUOTE], 2 * LOOP_TOKENS),
        ([LETTERS[0], QUOTE], [*LETTERS, QUOTE], 1),
        ([LETTERS[0]], LETTERS, 1),
    ],
    ids=["in the first half", "a list of texts", "where no text can end"],
)
def test_loops_are_left_alone(loop, admits, max_tokens):
    generated = (loop * LOOP_TOKENS)[:LOOP_TOKENS]
    assert admitted(generated, admits, max_tokens) == set(admits)


def test_kept_answers_tell_limits_and_constraints_apart():
    assert Unlooped(Admitting(), 7).identity != Unlooped(Admitting(), 8).identity
    assert Unlooped(object(), 7).identity is None
