"""Laws of what waits to be checked: nothing is released unseen, nothing is lost, windows overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.engines import Delta, Usage
from rose_guard.engines.engine import TokenLogprob
from rose_guard.guard.held_answer import HeldAnswer
from rose_guard.message import ToolCall

words = st.text("ab ", max_size=4)
calls = st.lists(st.builds(ToolCall, words, st.just('{"q": 1}')), max_size=2).map(tuple)
deltas = st.lists(
    st.builds(Delta, st.text(max_size=4), tokens=st.integers(0, 3), prompt_tokens=st.just(5))
    | st.builds(Delta, words, tokens=st.integers(0, 3), reasoning=words, tool_calls=calls, broken_call=words),
    max_size=40,
)
sizes = st.integers(8, 20).flatmap(lambda window: st.tuples(st.just(window), st.integers(1, window)))


def run(held, given_out, deltas):
    """Release all windows as clean; what was scored, beside what was released after it."""
    scored = []
    for delta in [*deltas, Delta("", "stop", Usage(5, 0), prompt_tokens=5)]:
        held.push(delta)
        if held.due:
            scored.append(held.window)
            given_out += held.release()
    return scored


@given(deltas, sizes)
def test_what_is_released_is_what_was_decoded(deltas, sizes):
    given_out = []
    run(HeldAnswer(*sizes), given_out, deltas)
    for part in ("text", "reasoning", "broken_call"):
        assert "".join(getattr(d, part) for d in given_out) == "".join(getattr(d, part) for d in deltas)
    assert [call for d in given_out for call in d.tool_calls] == [call for d in deltas for call in d.tool_calls]


@given(deltas, sizes)
def test_every_character_is_in_a_scored_window_before_it_is_released(deltas, sizes):
    held, seen, released, text = HeldAnswer(*sizes), "", "", ""
    for delta in [*deltas, Delta("", "stop", Usage(5, 0))]:
        held.push(delta)
        if held.due:
            window = held.window
            out = held.release()
            waited = "".join(each.shown for each in out)
            released, text = released + waited, text + "".join(each.text for each in out)
            seen = window
            assert window.endswith(waited)
            assert not window or released.endswith(window)
    assert held.text == text
    assert released.endswith(seen)


@given(deltas, sizes)
def test_an_answer_is_text_alone_exactly_where_no_thought_or_call_was_released(deltas, sizes):
    held, given_out = HeldAnswer(*sizes), []
    run(held, given_out, deltas)
    assert held.is_text_alone == (not any(d.reasoning or d.tool_calls or d.broken_call for d in given_out))


@pytest.mark.parametrize(
    "delta", [Delta("", reasoning="a"), Delta("", tool_calls=(ToolCall("f"),)), Delta("", broken_call="{")]
)
def test_what_is_no_text_waits_to_be_scored_too(delta):
    held = HeldAnswer(8, 1)
    held.push(delta)
    assert held.due
    assert held.window == delta.shown


@given(deltas, sizes)
def test_no_more_waits_than_the_hold_back_and_the_last_delta(deltas, sizes):
    held = HeldAnswer(*sizes)
    for delta in deltas:
        held.push(delta)
        if held.due:
            held.release()
        assert held.end_tokens - held.tokens < sizes[1]


def test_a_window_reaches_back_over_what_was_released():
    held = HeldAnswer(8, 2)
    windows = run(held, [], [Delta(f"{i} ", tokens=1) for i in range(12)])
    assert windows[-2] == "4 5 6 7 8 9 10 11 "
    assert all(len(window.split()) <= 8 for window in windows)


def test_usage_counts_what_was_thrown_away_too():
    held = HeldAnswer(8, 2)
    held.push(Delta("a", tokens=3, prompt_tokens=11))
    held.discard()
    held.push(Delta("b", "stop", Usage(99, 99), tokens=2, prompt_tokens=11))
    (last,) = held.release()
    assert last.usage == Usage(11, 5)


def test_what_was_thrown_away_does_not_wait():
    held = HeldAnswer(8, 3)
    held.push(Delta("a ", tokens=2))
    held.discard()
    held.push(Delta("b ", tokens=2))
    assert (held.due, held.end_tokens) == (False, 2)


def test_log_probabilities_wait_until_the_whole_answer_was_checked():
    held, chance = HeldAnswer(8, 1), TokenLogprob("a", -0.1)
    held.push(Delta("a", tokens=1, logprobs=(chance,)))
    assert [delta.logprobs for delta in held.release()] == [()]
    held.push(Delta("b", "stop", Usage(1, 1), tokens=1, logprobs=(chance,)))
    assert [delta.logprobs for delta in held.release()] == [(chance, chance)]


@pytest.mark.parametrize("end", ["stop", "content_filter"])
def test_an_answer_of_which_something_was_withheld_has_no_log_probabilities(end):
    held = HeldAnswer(8, 1)
    held.push(Delta("", tokens=1, logprobs=(TokenLogprob("withheld", -2.0),)))
    held.release()
    if end == "stop":
        held.push(Delta("withheld", tokens=1))
        held.discard()
    held.push(Delta("shown", end, Usage(1, 1), tokens=1))
    assert [delta.logprobs for delta in held.release()] == [()]


def test_a_window_holds_deltas_of_many_tokens_whole_so_that_nothing_is_read_apart():
    held, windows = HeldAnswer(8, 4), []
    for text in ("aaa b", "ad bb"):
        held.push(Delta(text, tokens=5))
        windows.append(held.window)
        held.release()
    assert windows[-1] == "aaa bad bb"


def test_an_engine_that_does_not_count_by_the_delta_is_believed_at_the_end():
    held = HeldAnswer(8, 1)
    held.push(Delta("a", "stop", Usage(7, 3)))
    assert held.release()[0].usage == Usage(7, 3)


@pytest.mark.parametrize("index", [0, 3])
def test_each_delta_says_which_answer_it_belongs_to(index):
    held = HeldAnswer(8, 1, index)
    held.push(Delta("a", "stop", Usage(1, 1), tokens=1))
    assert [delta.index for delta in held.release()] == [index]


def test_holding_a_long_answer_back_to_its_end_looks_at_each_delta_a_few_times():
    looks = []

    class Watched(Delta):
        @property
        def shown(self):
            looks.append(1)
            return self.text

    held = HeldAnswer(100_000, 100_000)
    for _ in range(500):
        held.push(Watched("word ", tokens=1))
        assert not held.due
    held.push(Watched("end", "stop", tokens=1))
    assert held.due
    assert held.window == "word " * 500 + "end"
    assert len(looks) < 10 * 501
