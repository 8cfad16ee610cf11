"""Laws of the stores that several processes share."""

import pytest

from rose_guard.errors import ConversationMemoryError
from rose_guard.memory import ConversationKey, RiskyTurn
from tests.memory.stores import NOW, SECRET, WINDOWS, count_hate, who


def test_what_one_counts_another_sees(shared_store):
    place = shared_store.new_place()
    one, other = shared_store.open(place), shared_store.open(place)
    assert [count_hate(one, who(), "1"), count_hate(other, who(), "2"), count_hate(one, who(), "3")] == [0, 1, 2]


@pytest.mark.parametrize("secret", [None, SECRET])
def test_nobodys_name_stands_in_the_store(shared_store, secret):
    place = shared_store.new_place()
    memory = shared_store.open(place, secret=secret)
    for principal in ("the-principal", None):
        key = ConversationKey("the-tenant", principal, "the-thread")
        memory.count_and_add(key, RiskyTurn(("hate",), "the-digest", NOW), WINDOWS)
    stored = shared_store.read_all(place)
    assert b"hate" in stored
    assert not [name for name in (b"the-", *([secret] if secret else [])) if name in stored]


def test_another_secret_is_an_error_and_not_a_fresh_start(shared_store):
    place = shared_store.new_place()
    count_hate(shared_store.open(place, secret=SECRET), who(), "1")
    for secret in (None, SECRET + b"!"):
        with pytest.raises(ConversationMemoryError, match="another secret"):
            count_hate(shared_store.open(place, secret=secret), who(), "2")
    assert count_hate(shared_store.open(place, secret=SECRET), who(), "2") == 1


def test_a_smaller_room_makes_room_without_forgetting_an_escalation(shared_store):
    place = shared_store.new_place()
    memory = shared_store.open(place)
    for digest in "123":
        count_hate(memory, who(), digest)
    for number in range(9):
        count_hate(memory, who(str(number)), "1", NOW + number)
    smaller = shared_store.open(place, max_conversations=3)
    assert count_hate(smaller, who("eve"), "1", NOW + 9) == 0
    assert count_hate(smaller, who(), "4", NOW + 9) == 3
    assert [count_hate(smaller, who(str(number)), "2", NOW + 9) for number in (8, 0)] == [1, 0]
