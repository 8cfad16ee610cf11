"""EngineStats: what an engine holds and did so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rose_guard.decoding.batch import Clock
    from rose_guard.decoding.prefix_cache import CacheStats


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A look at an engine.

    Args:
        running: answers being decoded.
        waiting: requests that wait for a place.
        bytes_per_token: memory of one token's keys and values in one branch.
        prefixes: what is kept of earlier prompts, and how often it helped.
        clock: where the time went.
    """

    running: int
    waiting: int
    bytes_per_token: int
    prefixes: CacheStats
    clock: Clock
