"""The stores of risky turns, and where each keeps them."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import fakeredis

from rose_guard.memory import (
    ConversationKey,
    InMemoryConversations,
    RedisConversations,
    RiskyTurn,
    SQLiteConversations,
)

NOW = 1_800_000_000.0
WINDOWS = {"hate": (3, 600.0)}
SECRET = b"sixteen bytes or more"


class FakeRedis(fakeredis.FakeRedis):
    """Redis on a server of its own; it knows INFO, which fakeredis does not."""

    policy = "noeviction"
    maxmemory = 1_000_000

    def info(self, section):
        return {"maxmemory": self.maxmemory, "maxmemory_policy": self.policy}


def new_server():
    """A server that has its database: clients that connect to a new one at once may each make their own."""
    server = fakeredis.FakeServer()
    FakeRedis(server=server).ping()
    return server


@dataclass(frozen=True)
class Store:
    """One kind of store; ``place`` is what two memories have to share to be one."""

    name: str
    new_place: Any
    open: Any
    read_all: Any = None


def stores(folder):
    numbers = count()
    return [
        Store("in_memory", lambda: None, lambda _, **options: InMemoryConversations(**options)),
        Store("sqlite", lambda: folder / f"{next(numbers)}.db", SQLiteConversations, read_files),
        Store(
            "redis",
            new_server,
            lambda server, **options: RedisConversations(FakeRedis(server=server), **options),
            read_keys,
        ),
    ]


def read_files(path):
    """Every byte of the database, its log included."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def read_keys(server):
    """Every key and value."""
    client = FakeRedis(server=server)
    read = {
        b"string": client.get,
        b"hash": lambda key: b"".join(client.hvals(key)),
        b"zset": lambda key: b"".join(client.zrange(key, 0, -1)),
    }
    return b"".join(key + read[client.type(key)](key) for key in client.scan_iter())


def turn(digest, at=NOW, labels=("hate",)):
    return RiskyTurn(labels, digest, at)


def who(principal="ann", thread="t", tenant=None):
    return ConversationKey(tenant, principal, thread)


def count_hate(memory, key, digest, at=NOW, windows=WINDOWS):
    return memory.count_and_add(key, turn(digest, at), windows)["hate"]
