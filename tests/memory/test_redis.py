"""Laws of RedisConversations: dead, slow, full or changed by others, it never counts less than there was."""

import sys

import fakeredis
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rose_guard.errors import ConversationMemoryError
from rose_guard.memory import RedisConversations
from tests.memory.stores import NOW, FakeRedis, count_hate, who


@pytest.fixture
def client():
    return FakeRedis(server=fakeredis.FakeServer())


class Interrupted:
    """A client that does something else before it answers."""

    def __init__(self, client, before_answering):
        self._client, self._before_answering = client, before_answering

    def hget(self, name, field):
        value = self._client.hget(name, field)
        self._before_answering()
        return value

    def __getattr__(self, name):
        return getattr(self._client, name)


def test_a_turn_that_comes_in_between_is_counted(client):
    """Between reading and storing, another process stores a turn of the same principal."""
    other = RedisConversations(client)
    between = iter(["between"])
    memory = RedisConversations(Interrupted(client, lambda: [count_hate(other, who(), digest) for digest in between]))
    assert count_hate(memory, who(), "1") == 1
    assert count_hate(memory, who(), "2") == 2


def test_a_turn_that_is_never_let_through_is_an_error(client):
    other, numbers = RedisConversations(client), iter(range(10_000))
    memory = RedisConversations(Interrupted(client, lambda: count_hate(other, who(), "other", NOW + next(numbers))))
    with pytest.raises(ConversationMemoryError, match="at once"):
        count_hate(memory, who(), "mine")


@pytest.mark.parametrize("decode", [False, True])
def test_clients_may_give_bytes_or_text(decode):
    memory = RedisConversations(FakeRedis(server=fakeredis.FakeServer(), decode_responses=decode))
    assert [count_hate(memory, who(), digest) for digest in "123"] == [0, 1, 2]


def test_every_key_vanishes_after_the_longest_window_and_not_before(client):
    memory = RedisConversations(client)
    count_hate(memory, who(), "1", NOW, {"hate": (3, 600.0)})
    count_hate(memory, who("bob"), "1", NOW, {"hate": (3, 6.0)})
    lives = sorted(client.pttl(key) / 1000 for key in client.scan_iter())
    assert len(lives) == 5
    assert 6 < lives[0] <= 6 + 60  # bob's own; what is shared lives as long as the longest
    assert all(600 < life <= 600 + 60 for life in lives[1:])


def test_a_key_outlives_a_clock_that_went_back(client):
    memory = RedisConversations(client)
    count_hate(memory, who(), "1", NOW + 3600)
    count_hate(memory, who(), "2", NOW)
    assert min(client.pttl(key) for key in client.scan_iter()) > 4200 * 1000


def test_no_key_stays_for_ever_where_there_was_no_room(client):
    memory = RedisConversations(client, max_conversations=1)
    for digest, at in zip("1234", (NOW, NOW, NOW, NOW + 700), strict=True):
        count_hate(memory, who(), digest, at)
    with pytest.raises(ConversationMemoryError, match="full"):
        count_hate(memory, who("bob"), "1", NOW + 100)
    assert min(client.pttl(key) for key in client.scan_iter()) > 0


def test_what_redis_has_let_vanish_makes_room(client):
    memory = RedisConversations(client, max_conversations=1)
    for digest in "123":
        count_hate(memory, who(), digest)
    client.delete(*client.scan_iter(_type="hash"))
    assert count_hate(memory, who("bob"), "1", NOW + 600) == 0
    assert count_hate(memory, who("bob"), "2", NOW + 600) == 1


def test_a_server_that_is_gone_is_an_error_until_it_is_back():
    server = fakeredis.FakeServer()
    memory = RedisConversations(FakeRedis(server=server))
    count_hate(memory, who(), "1")
    server.connected = False
    with pytest.raises(ConversationMemoryError, match="ConnectionError"):
        count_hate(memory, who(), "2")
    server.connected = True
    assert count_hate(memory, who(), "3") == 1


@pytest.mark.parametrize("fault", [RedisTimeoutError, RedisConnectionError, OutOfMemoryError, OSError])
def test_a_fault_is_a_memory_error(client, fault):
    def fail():
        raise fault("redis://user:password@host")

    memory = RedisConversations(Interrupted(client, fail))
    with pytest.raises(ConversationMemoryError, match=fault.__name__) as raised:
        count_hate(memory, who(), "1")
    assert "password" not in str(raised.value)


def test_a_reply_that_was_lost_counts_its_turn_once(client):
    """The turn was stored, but nobody heard of it; it is tried again."""
    memory = RedisConversations(client)
    store = memory._script

    def lose_the_reply(**arguments):
        store(**arguments)
        raise RedisTimeoutError

    memory._script = lose_the_reply
    with pytest.raises(ConversationMemoryError):
        count_hate(memory, who(), "1")
    memory._script = store
    assert [count_hate(memory, who(), digest) for digest in "12"] == [0, 1]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts_keys_is_refused(client, policy):
    client.policy = policy
    memory = RedisConversations(client)
    with pytest.raises(ConversationMemoryError, match="noeviction"):
        count_hate(memory, who(), "1")
    client.maxmemory = 0  # without a limit there is nothing to evict for
    assert count_hate(memory, who(), "1") == 0


def test_a_value_that_is_damaged_is_an_error(client):
    memory = RedisConversations(client)
    count_hate(memory, who(), "1")
    for key in client.scan_iter(_type="hash"):
        client.hset(key, "tally", "{")
    with pytest.raises(ConversationMemoryError, match="cannot be read"):
        count_hate(memory, who(), "2")


def test_a_key_of_another_kind_is_an_error(client):
    client.set("{rose_guard}:by_expiry", "something else")
    with pytest.raises(ConversationMemoryError, match="ResponseError"):
        count_hate(RedisConversations(client), who(), "1")


def test_another_prefix_is_another_memory(client):
    count_hate(RedisConversations(client), who(), "1")
    assert count_hate(RedisConversations(client, prefix="staging"), who(), "2") == 0
    assert {key.split(b":")[0] for key in client.scan_iter()} == {b"{rose_guard}", b"{staging}"}


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConversationMemoryError, match=r"pip install 'rose-guard\[redis\]'"):
        RedisConversations("redis://localhost")


def test_a_url_is_taken_with_a_timeout_and_without_connecting():
    memory = RedisConversations("redis://localhost:1", timeout_s=0.5)
    options = memory._client.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.5, 0.5)


def test_a_url_that_is_none_is_not_repeated():
    with pytest.raises(ConversationMemoryError, match="cannot be read") as raised:
        RedisConversations("http://user:password@host")
    assert "password" not in str(raised.value)
