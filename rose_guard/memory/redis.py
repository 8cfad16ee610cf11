"""RedisConversations: a memory in Redis, for all processes of all machines. Counting is the tally's; needs `redis`."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rose_guard.errors import ConversationMemoryError
from rose_guard.memory.memory import MAX_CONVERSATIONS, check_room, check_windows, full
from rose_guard.memory.pseudonyms import Pseudonyms
from rose_guard.memory.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Generator

    from redis import Redis

    from rose_guard.memory.key import ConversationKey
    from rose_guard.memory.memory import Windows
    from rose_guard.memory.turn import RiskyTurn

VERSION = 1

_ATTEMPTS = 100
_SLACK_S = 60.0
_LONGEST_LIFE_S = 100 * 365 * 86_400.0
"""As much as Redis takes without an overflow, and more than any window."""

_STORED, _STALE, _FULL, _FOREIGN = 1, 0, -1, -2
"""What the script answers."""


class RedisConversations:
    """A ConversationMemory in Redis.

    Principals, threads and turns stand in it as digests. Keys vanish a minute after their longest window. Redis must
    not evict keys by itself: ``maxmemory-policy noeviction``.

    Args:
        client_or_url: a ``redis.Redis`` with a socket timeout, or a URL such as ``rediss://host:6379/0``.
        secret: makes the digests HMACs; at least 16 random bytes, the same for all who share a prefix.
        max_conversations: how many principals and threads are remembered at most.
        prefix: every key starts with it, in braces, so that a cluster keeps all of them on one node.
        timeout_s: how long to wait for Redis, in seconds, where a URL is given.

    Raises:
        ConversationMemoryError: if the package `redis` is missing, or the URL is none.
        SettingsError: if another argument is out of range.
    """

    def __init__(
        self,
        client_or_url: Redis | str,
        *,
        secret: bytes | None = None,
        max_conversations: int = MAX_CONVERSATIONS,
        prefix: str = "rose_guard",
        timeout_s: float = 2.0,
    ) -> None:
        check_room(max_conversations)
        self._client: Any = _connect(client_or_url, timeout_s) if isinstance(client_or_url, str) else client_or_url
        self._pseudonyms = Pseudonyms(secret)
        self._max_conversations = max_conversations
        self._prefix = f"{{{prefix}}}:"
        self._format = f"{VERSION}:{self._pseudonyms.mark}"
        self._script = self._client.register_script(
            files("rose_guard.memory").joinpath("store_tally.lua").read_text(encoding="utf-8")
        )
        self._keeps_keys = False

    def count_and_add(self, key: ConversationKey, turn: RiskyTurn, windows: Windows) -> dict[str, int]:
        """As the protocol says."""
        check_windows(windows)
        subject = self._pseudonyms.of(key)
        turn = self._pseudonyms.turn(turn, subject)
        with _errors():
            self._check_eviction()
            for _ in range(_ATTEMPTS):
                dumped = self._client.hget(self._prefix + subject, "tally")
                before = Tally.load(dumped)
                counts, after = before.counts(turn, windows), before.add(turn, windows)
                if after == before or self._store(subject, dumped, after, turn.at):
                    return counts
        raise ConversationMemoryError("too many turns of one principal or thread came at once; try again later")

    def _store(self, subject: str, before: bytes | str | None, after: Tally, now: float) -> bool:
        """Store a tally unless another process was faster, which is False."""
        answer = self._script(
            keys=[self._prefix + name for name in (subject, "by_expiry", "calm", "alarmed", "format")],
            args=[
                *(before or "", after.dump(), subject),
                *map(repr, (after.newest, after.expires, after.live_until, now)),
                *(self._max_conversations, _life_ms(after, now), self._prefix, self._format),
            ],
        )
        if answer == _FULL:
            raise full(self._max_conversations)
        if answer == _FOREIGN:
            raise ConversationMemoryError(
                f"the keys {self._prefix}* in Redis are of another version of rose_guard or were made with another "
                f"secret; give all who share them the same, or another prefix"
            )
        return bool(answer == _STORED)

    def _check_eviction(self) -> None:
        """Redis must fail when it is full, rather than forget an escalation."""
        if self._keeps_keys:
            return
        info = self._client.info("memory")
        policy = info.get("maxmemory_policy", "noeviction")
        if info.get("maxmemory", 0) and policy != "noeviction":
            raise ConversationMemoryError(
                f"Redis evicts keys when its memory is full ({policy}), and escalations with them; "
                f"set maxmemory-policy to noeviction"
            )
        self._keeps_keys = True


@contextmanager
def _errors() -> Generator[None]:
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as error:
        raise ConversationMemoryError(
            f"the conversation memory in Redis cannot be used ({type(error).__name__}); see that Redis runs, can be "
            f"reached, has free memory and lets this user run INFO, HGET and EVALSHA"
        ) from error


def _connect(url: str, timeout_s: float) -> Redis:
    try:
        from redis import Redis
    except ImportError as error:
        raise ConversationMemoryError(
            "a conversation memory in Redis needs redis; run `pip install 'rose-guard[redis]'`"
        ) from error
    try:
        return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    except ValueError:  # its message may repeat a password
        raise ConversationMemoryError(
            "the URL of Redis cannot be read; write it as redis://host:6379/0, rediss://… or unix://…"
        ) from None


def _life_ms(tally: Tally, now: float) -> int:
    """How long a key lives, in milliseconds: until no window holds any of its turns, and a little longer."""
    return round(1000 * min(max(tally.expires - now, 0.0) + _SLACK_S, _LONGEST_LIFE_S))
