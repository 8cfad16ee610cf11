"""RiskyTurn: what is remembered of one turn. A plain value without any text of the conversation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rose_guard.errors import ConversationMemoryError


@dataclass(frozen=True, slots=True)
class RiskyTurn:
    """One turn for which rules fired.

    Args:
        labels: hazards and attacks whose rules fired.
        digest: digest of the messages judged; a turn with the same digest is the same turn, tried again.
        at: when, in seconds since the epoch.

    Raises:
        ConversationMemoryError: if the digest is no text or empty, or ``at`` is not a finite number.
    """

    labels: tuple[str, ...]
    digest: str
    at: float

    def __post_init__(self) -> None:
        if not isinstance(self.digest, str) or not self.digest:
            raise ConversationMemoryError("a turn needs the digest of its messages")
        if not isinstance(self.at, int | float) or not math.isfinite(self.at):
            raise ConversationMemoryError("a turn's time must be a finite number of seconds")
