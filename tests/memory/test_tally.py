"""Laws of a tally: it stays small, and what is written is what is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import ConversationMemoryError
from rose_guard.memory import RiskyTurn
from rose_guard.memory.tally import Tally

WINDOWS = {"hate": (2, 10.0), "privacy": (4, 25.5)}
POLICIES = [WINDOWS, {"hate": (1, 5.0), "privacy": (5, 100.0)}, {"hate": (3, 40.0), "privacy": (2, 1.0)}]
TIMES = st.floats(-1e12, 1e12)
MINUTE = st.integers(0, 60)
FIRED = st.sampled_from([("hate",), ("hate", "privacy")])
TURNS = st.builds(RiskyTurn, FIRED, st.text("12345", min_size=1), TIMES | MINUTE)


def tally_of(turns, windows=WINDOWS):
    tally = Tally()
    for turn in turns:
        tally = tally.add(turn, windows)
    return tally


@given(st.lists(TURNS, min_size=1))
def test_no_more_turns_are_kept_than_are_needed(turns):
    tally = tally_of(turns)
    for label, (after, _) in WINDOWS.items():
        distinct = {turn.digest for turn in turns if label in turn.labels}
        kept = tally.labels[label].turns if distinct else {}
        assert len(kept) == min(len(distinct), after + 1)


@given(st.lists(TURNS, min_size=1), st.randoms())
def test_the_order_in_which_turns_come_does_not_matter(turns, random):
    shuffled = random.sample(turns, len(turns))
    assert tally_of(shuffled).dump() == tally_of(turns).dump()


def test_a_shorter_window_does_not_end_a_longer_one():
    tally = Tally().add(RiskyTurn(("hate",), "1", 0.0), {"hate": (1, 600.0)})
    tally = tally.add(RiskyTurn(("hate",), "2", 1.0), {"hate": (9, 5.0)})
    assert (tally.expires, tally.live_until) == (601.0, 601.0)


@given(st.lists(TURNS, min_size=1))
def test_what_is_written_is_what_is_read(turns):
    tally = tally_of(turns)
    assert Tally.load(tally.dump()) == Tally.load(tally.dump().encode()) == tally


@given(st.lists(TURNS, min_size=1), TIMES | MINUTE)
def test_an_escalation_is_live_exactly_while_the_next_turn_would_be_escalated(turns, now):
    tally = tally_of(turns)
    counts = tally.counts(RiskyTurn((), "another", now), WINDOWS)
    due = any(counts[label] >= after for label, (after, _) in WINDOWS.items())
    assert (tally.live_until > now) == due


@given(st.lists(TURNS, min_size=1), TIMES | MINUTE)
def test_what_has_expired_counts_nothing(turns, now):
    tally = tally_of(turns)
    counts = tally.counts(RiskyTurn((), "another", now), WINDOWS)
    assert (tally.expires <= now) == (not any(counts.values()))


@given(st.lists(st.tuples(TURNS, st.sampled_from(POLICIES)), min_size=1), MINUTE)
def test_what_any_policy_still_counts_is_kept_and_what_it_escalates_is_live(added, now):
    """Processes may follow different policies while one is rolled out: the memory serves each of them."""
    tally = Tally()
    for turn, policy in added:
        tally = tally.add(turn, policy)
    for turn, policy in added:
        counts = tally.counts(RiskyTurn((), "another", now), policy)
        for label in turn.labels:
            assert tally.live_until > now or counts[label] < policy[label][0]
            assert tally.expires > now or counts[label] == 0


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{",
        "[]",
        "1",
        b"\xff",
        '{"hate":1}',
        '{"hate":[1,2]}',
        '{"hate":[1,1,9.0,{}]}',
        '{"hate":[1,1,9.0,[1.0]]}',
        '{"hate":[1,1,9.0,{"d":"x"}]}',
        '{"hate":[1,1,9.0,{"d":NaN}]}',
        '{"hate":["1",1,9.0,{"d":1.0}]}',
    ],
)
def test_what_cannot_be_read_is_an_error_and_not_an_empty_tally(written):
    with pytest.raises(ConversationMemoryError, match="cannot be read"):
        Tally.load(written)
