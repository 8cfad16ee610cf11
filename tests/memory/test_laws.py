"""Laws that every store of risky turns keeps."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.errors import ConversationMemoryError, SettingsError
from rose_guard.memory import ConversationKey, ConversationMemory, RiskyTurn
from tests.memory.naive import Full, NaiveMemory
from tests.memory.stores import NOW, WINDOWS, count_hate, turn, who

# Fractions keep any two turns from expiring at once, so that it is plain which of them goes first.
ALL_WINDOWS = {"hate": (2, 10.0), "privacy": (1, 100.25), "jailbreak": (3, 25.5)}
NAMES = st.sampled_from([None, "", "a", "b"])
KEYS = st.builds(ConversationKey, NAMES, NAMES, NAMES).filter(lambda key: (key.principal, key.thread) != (None, None))
LABELS = st.lists(st.sampled_from(sorted(ALL_WINDOWS)), unique=True).map(tuple)
EVENTS = st.lists(
    st.tuples(KEYS, LABELS, st.sampled_from("123456"), st.integers(0, 200), LABELS),
    unique_by=lambda event: event[3],
    max_size=60,
)


def test_every_store_is_a_conversation_memory(memory):
    assert isinstance(memory, ConversationMemory)


@settings(max_examples=150)
@given(events=EVENTS, room=st.integers(1, 6))
def test_every_store_counts_and_forgets_as_one_that_keeps_everything(store, events, room):
    """Whatever the order of calls and clocks: counts, what is forgotten, and when there is no room at all."""
    memory = store.open(store.new_place(), max_conversations=room)
    naive = NaiveMemory(ALL_WINDOWS, room)
    for key, fired, digest, at, counted in events:
        windows = {label: ALL_WINDOWS[label] for label in counted}
        try:
            expected = naive.count_and_add(key, RiskyTurn(fired, digest, float(at)), counted)
        except Full:
            with pytest.raises(ConversationMemoryError, match="full"):
                memory.count_and_add(key, RiskyTurn(fired, digest, float(at)), windows)
        else:
            assert memory.count_and_add(key, RiskyTurn(fired, digest, float(at)), windows) == expected


def test_a_fresh_thread_does_not_erase_a_principals_turns(memory):
    assert [count_hate(memory, who(thread=thread), thread or "none") for thread in ("t", "u", None)] == [0, 1, 2]


@pytest.mark.parametrize(
    "other", [who("bob"), who(tenant="acme"), who(None), who(""), who(tenant=""), who("ann", tenant="ann")]
)
def test_nobody_elses_turns_change_a_count(memory, other):
    for digest in "123":
        count_hate(memory, other, digest)
    assert count_hate(memory, who(), "4") == 0


def test_without_a_principal_turns_are_counted_by_thread(memory):
    assert count_hate(memory, who(None, "t"), "1") == 0
    assert count_hate(memory, who(None, "u"), "2") == 0
    assert count_hate(memory, who(None, "t"), "3") == 1


def test_without_a_principal_and_a_thread_nothing_can_be_counted(memory):
    with pytest.raises(ConversationMemoryError, match="name a principal or a thread"):
        count_hate(memory, who(None, None), "1")


def test_a_turn_that_is_tried_again_counts_once_and_sees_the_same_count(memory):
    count_hate(memory, who(), "1")
    assert [count_hate(memory, who(), "2", NOW + again) for again in range(5)] == [1] * 5
    assert count_hate(memory, who(), "3") == 2


def test_trying_again_never_ends_an_escalation(memory):
    """A count of its own turn must not push out an earlier one that it still needs."""
    for number in range(5):
        count_hate(memory, who(), str(number), NOW + number)
    assert [count_hate(memory, who(), digest, NOW + 9) for digest in "43210"] == [3] * 5


def test_a_turn_counts_until_its_window_is_over(memory):
    count_hate(memory, who(), "1")
    assert count_hate(memory, who(), "2", NOW + 599) == 1
    memory.count_and_add(who("bob"), turn("1"), WINDOWS)
    assert count_hate(memory, who("bob"), "2", NOW + 600) == 0


def test_a_clock_that_goes_back_drops_no_count(memory):
    count_hate(memory, who(), "1", NOW)
    count_hate(memory, who(), "2", NOW + 1e9)  # this clock was wrong
    assert count_hate(memory, who(), "3", NOW + 1) == 2
    assert count_hate(memory, who(), "4", NOW - 1e9) == 3


def test_labels_are_counted_apart_and_only_where_they_have_a_window(memory):
    both = {"hate": (3, 600.0), "privacy": (3, 600.0)}
    memory.count_and_add(who(), turn("1", labels=("hate", "jailbreak")), both)
    memory.count_and_add(who(), turn("2", labels=("privacy",)), {"hate": (3, 600.0)})
    assert memory.count_and_add(who(), turn("3"), both | {"jailbreak": (3, 600.0)}) == {
        "hate": 1,
        "privacy": 0,
        "jailbreak": 0,
    }


def test_a_policy_that_counts_less_forgets_nothing_of_one_that_counts_more(memory):
    """While a policy is rolled out, some processes follow the old one and some the new one."""
    wide, narrow = {"hate": (4, 600.0)}, {"hate": (1, 60.0)}
    counts = [
        count_hate(memory, who(), str(number), NOW + 60 * number, wide if number % 2 == 0 else narrow)
        for number in range(7)
    ]
    assert counts == [0, 0, 2, 0, 4, 0, 4]


@pytest.mark.parametrize(
    "windows", [{"hate": w} for w in [(0, 1.0), (1.5, 1.0), (1, 0.0), (1, -1.0), (1, float("nan")), (1, float("inf"))]]
)
def test_a_window_that_counts_nothing_is_refused(memory, windows):
    with pytest.raises(ConversationMemoryError, match="hate: "):
        memory.count_and_add(who(), turn("1"), windows)


@pytest.mark.parametrize("room", [0, -1, 1.5])
def test_a_memory_without_room_is_refused(store, room):
    with pytest.raises(SettingsError, match="max_conversations"):
        store.open(store.new_place(), max_conversations=room)


@pytest.fixture
def eager_threads():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_turns_at_once_see_each_other_in_some_order(memory):
    """No two see the same count, and none is lost."""
    together, windows = 8, {"hate": (100, 600.0)}
    start = threading.Barrier(together)

    def one(number):
        start.wait()
        return [count_hate(memory, who(thread=str(number)), f"{number}/{i}", NOW, windows) for i in range(5)]

    with ThreadPoolExecutor(together) as pool:
        counts = [count for counts in pool.map(one, range(together)) for count in counts]
    assert sorted(counts) == list(range(5 * together))


def test_a_full_memory_never_forgets_an_escalation_that_is_due(store):
    memory = store.open(store.new_place(), max_conversations=2)
    for principal in ("ann", "bob"):
        for digest in "123":
            count_hate(memory, who(principal), digest)
    with pytest.raises(ConversationMemoryError, match="raise max_conversations"):
        count_hate(memory, who("eve"), "1")
    assert [count_hate(memory, who(principal), "4") for principal in ("ann", "bob")] == [3, 3]
    assert count_hate(memory, who("eve"), "1", NOW + 600) == 0  # theirs are over


def test_an_escalation_that_is_over_makes_room(store):
    memory = store.open(store.new_place(), max_conversations=1)
    for digest, at in zip("1234", (NOW, NOW, NOW, NOW + 500), strict=True):
        count_hate(memory, who("ann"), digest, at)
    with pytest.raises(ConversationMemoryError, match="full"):
        count_hate(memory, who("bob"), "1", NOW + 599)
    assert count_hate(memory, who("bob"), "1", NOW + 600) == 0
    assert count_hate(memory, who("bob"), "2", NOW + 600) == 1


def test_an_escalation_is_not_over_because_a_clock_was_ahead(store):
    memory = store.open(store.new_place(), max_conversations=1)
    for digest, at in zip("1234", (NOW, NOW, NOW, NOW + 700), strict=True):
        count_hate(memory, who("ann"), digest, at)
    with pytest.raises(ConversationMemoryError, match="full"):
        count_hate(memory, who("bob"), "1", NOW + 100)
    assert count_hate(memory, who("ann"), "5", NOW + 100) == 3


def test_what_has_expired_goes_before_what_is_idle(store):
    memory = store.open(store.new_place(), max_conversations=2)
    count_hate(memory, who("ann"), "1", NOW, {"hate": (3, 1000.0)})
    count_hate(memory, who("bob"), "1", NOW + 1, {"hate": (3, 10.0)})
    count_hate(memory, who("eve"), "1", NOW + 20)
    assert count_hate(memory, who("ann"), "2", NOW + 20) == 1
    assert count_hate(memory, who("bob"), "2", NOW + 2) == 0


def test_who_is_idle_longest_goes_first(store):
    memory = store.open(store.new_place(), max_conversations=2)
    for principal, at in (("ann", NOW), ("bob", NOW + 1), ("ann", NOW + 2), ("eve", NOW + 3)):
        count_hate(memory, who(principal), str(at), at)
    assert count_hate(memory, who("ann"), "x", NOW + 4) == 2
    assert count_hate(memory, who("bob"), "x", NOW + 4) == 0


def test_a_flood_of_strangers_cannot_wash_an_escalation_away(store):
    memory = store.open(store.new_place(), max_conversations=5)
    for digest in "123":
        count_hate(memory, who("ann"), digest)
    for number in range(300):
        count_hate(memory, who(None, str(number)), "1", NOW + 1)
    assert count_hate(memory, who("ann"), "4", NOW + 2) == 3


def test_one_that_counts_only_takes_no_room(store):
    memory = store.open(store.new_place(), max_conversations=1)
    count_hate(memory, who("ann"), "1")
    assert memory.count_and_add(who("bob"), turn("1", labels=()), WINDOWS) == {"hate": 0}
    assert count_hate(memory, who("ann"), "2") == 1
