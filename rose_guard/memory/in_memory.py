"""InMemoryConversations: a memory within one process. It ends with the process, and no other process sees it."""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from rose_guard.memory.memory import MAX_CONVERSATIONS, check_room, check_windows, full
from rose_guard.memory.pseudonyms import Pseudonyms
from rose_guard.memory.tally import Tally

if TYPE_CHECKING:
    from rose_guard.memory.key import ConversationKey
    from rose_guard.memory.memory import Windows
    from rose_guard.memory.turn import RiskyTurn


class InMemoryConversations:
    """A ConversationMemory in a dictionary.

    With several worker processes each has one of its own, and counts less than there was: use
    :class:`~rose_guard.memory.sqlite.SQLiteConversations` or :class:`~rose_guard.memory.redis.RedisConversations`.

    Args:
        max_conversations: how many principals and threads are remembered at most.

    Raises:
        SettingsError: if ``max_conversations`` is below 1.
    """

    def __init__(self, *, max_conversations: int = MAX_CONVERSATIONS) -> None:
        check_room(max_conversations)
        self._max_conversations = max_conversations
        self._pseudonyms = Pseudonyms()
        self._lock = Lock()
        self._tallies: dict[str, Tally] = {}
        self._by_expiry: list[tuple[float, str]] = []
        self._by_idleness: list[tuple[float, str, float]] = []
        _memories.add(self)

    def count_and_add(self, key: ConversationKey, turn: RiskyTurn, windows: Windows) -> dict[str, int]:
        """As the protocol says."""
        check_windows(windows)
        subject = self._pseudonyms.of(key)
        turn = self._pseudonyms.turn(turn, subject)
        with self._lock:
            before = self._tallies.get(subject, Tally())
            counts, after = before.counts(turn, windows), before.add(turn, windows)
            if after != before:
                self._put(subject, after, turn.at)
        return counts

    def _put(self, subject: str, tally: Tally, now: float) -> None:
        if subject in self._tallies:
            self._drop(subject)
        elif len(self._tallies) >= self._max_conversations:
            self._drop(self._dispensable(now))
        self._tallies[subject] = tally
        insort(self._by_expiry, (tally.expires, subject))
        insort(self._by_idleness, (tally.newest, subject, tally.live_until))

    def _drop(self, subject: str) -> None:
        tally = self._tallies.pop(subject)
        del self._by_expiry[bisect_left(self._by_expiry, (tally.expires, subject))]
        del self._by_idleness[bisect_left(self._by_idleness, (tally.newest, subject, tally.live_until))]

    def _dispensable(self, now: float) -> str:
        expires, soonest = self._by_expiry[0]
        if expires <= now:
            return soonest
        for _, subject, live_until in self._by_idleness:
            if live_until <= now:
                return subject
        raise full(self._max_conversations)


_memories: WeakSet[InMemoryConversations] = WeakSet()


def _unlock_in_child() -> None:
    """A thread that held a lock when the process forked is not there to let go of it."""
    for memory in _memories:
        memory._lock = Lock()  # noqa: SLF001 - its own


os.register_at_fork(after_in_child=_unlock_in_child)
