"""PrefixCache: keys and values of prompts' beginnings, kept for later requests.

What policies put at the head of a prompt is shared by all. What users say is kept apart by principal, so that a hit,
or how long an answer takes, tells nothing about anybody else.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.decoding.kv_cache import SavedRow

SHORTEST = 8
"""Beginnings of fewer tokens are not worth the copying."""
SHARED = None
"""Owner of what policies say; every principal may read it."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a prefix cache did so far.

    Args:
        entries: prefixes held.
        nbytes: memory that they take.
        hits: look-ups that found something.
        misses: look-ups that found nothing.
        reused_tokens: tokens that did not have to be read again.
        evictions: prefixes dropped for room.
    """

    entries: int
    nbytes: int
    hits: int
    misses: int
    reused_tokens: int
    evictions: int


class PrefixCache:
    """Saved rows by owner and exact token ids; the least recently used goes first.

    Args:
        max_bytes: what all entries together may take; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str | None, tuple[int, ...]], SavedRow] = OrderedDict()
        self._nbytes = self._hits = self._misses = self._reused_tokens = self._evictions = 0

    @property
    def stats(self) -> CacheStats:
        """Counts so far."""
        return CacheStats(
            len(self._entries), self._nbytes, self._hits, self._misses, self._reused_tokens, self._evictions
        )

    def find(self, ids: Sequence[int], owner: str | None) -> tuple[SavedRow | None, int]:
        """The saved row that shares most of its beginning with these tokens, and how many; None and 0 if too few."""
        best, length = None, SHORTEST - 1
        for key in self._entries:
            if key[0] in (SHARED, owner) and (common := common_length(key[1], ids)) > length:
                best, length = key, common
        if best is None:
            self._misses += 1
            return None, 0
        self._hits += 1
        self._reused_tokens += length
        self._entries.move_to_end(best)
        return self._entries[best], length

    def holds(self, ids: Sequence[int], owner: str | None) -> bool:
        """Whether these tokens are the beginning of something saved."""
        return any(key[0] in (SHARED, owner) and common_length(key[1], ids) == len(ids) for key in self._entries)

    def add(self, ids: Sequence[int], owner: str | None, saved: SavedRow) -> None:
        """Keep a row, in place of shorter ones of the same owner that it continues."""
        key = (owner, tuple(ids))
        for other in [k for k in self._entries if k[0] == owner and common_length(k[1], ids) == len(k[1])]:
            self._drop(other)
        if saved.nbytes > self._max_bytes:
            return
        self._entries[key] = saved
        self._nbytes += saved.nbytes
        while self._nbytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self._evictions += 1

    def clear(self) -> None:
        """Forget everything, as must be done when the model's weights change."""
        self._entries.clear()
        self._nbytes = 0

    def _drop(self, key: tuple[str | None, tuple[int, ...]]) -> None:
        self._nbytes -= self._entries.pop(key).nbytes


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences share from their beginning."""
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))
