"""ConversationMemory: what every store of risky turns promises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from rose_guard.errors import ConversationMemoryError, SettingsError

if TYPE_CHECKING:
    from rose_guard.memory.key import ConversationKey
    from rose_guard.memory.turn import RiskyTurn

Windows: TypeAlias = Mapping[str, tuple[int, float]]
"""Of each label that escalates: after how many earlier turns, and within how many seconds."""

MAX_CONVERSATIONS = 100_000


@runtime_checkable
class ConversationMemory(Protocol):
    """Counts risky turns, and remembers them.

    Turns of another principal or tenant never change a count. An escalation that is due is never forgotten: a memory
    that is full drops what has expired, then whoever is idle longest among those for whom no escalation is due, and
    else raises. Times are compared by ``turn.at`` alone, so a clock that is set back makes turns count longer, never
    shorter. Implementations may be called from many threads.
    """

    def count_and_add(self, key: ConversationKey, turn: RiskyTurn, windows: Windows) -> dict[str, int]:
        """Count the risky turns before this one, and remember it, as one step that nothing can come between.

        Args:
            key: whose turn it is.
            turn: it is remembered for those of its labels that have a window.
            windows: ``(after, within_s)`` of each label to count. An ``after`` that grows starts from what is kept.

        Returns:
            For each label in ``windows``, how many other turns of the same principal (of the same thread, where there
            is no principal) are younger than ``within_s``; told up to ``after``, since nothing more is kept. Turns
            with one digest are one turn, as old as the latest of them.

        Raises:
            ConversationMemoryError: if it cannot be counted or remembered; then the turn must be taken for one whose
                escalations are due.
        """
        ...


def check_windows(windows: Windows) -> None:
    """Refuse windows that would count nothing.

    Raises:
        ConversationMemoryError: if an ``after`` is no whole number of at least 1, or a ``within_s`` is not a finite
            number above 0.
    """
    for label, (after, within_s) in windows.items():
        if not isinstance(after, int) or after < 1:
            raise ConversationMemoryError(f"{label}: after = {after!r} must be a whole number of at least 1")
        if not isinstance(within_s, int | float) or not math.isfinite(within_s) or within_s <= 0:
            raise ConversationMemoryError(f"{label}: within_s = {within_s!r} must be a number of seconds above 0")


def check_room(max_conversations: int) -> None:
    """Refuse a memory without room.

    Raises:
        SettingsError: if ``max_conversations`` is no whole number of at least 1.
    """
    if not isinstance(max_conversations, int) or max_conversations < 1:
        raise SettingsError(f"max_conversations = {max_conversations!r}: must be a whole number of at least 1")


def full(max_conversations: int) -> ConversationMemoryError:
    """What a memory raises rather than forget an escalation that is due."""
    return ConversationMemoryError(
        f"the conversation memory is full: escalations are due in all of its {max_conversations} conversations; "
        f"raise max_conversations, or wait until one is over"
    )
