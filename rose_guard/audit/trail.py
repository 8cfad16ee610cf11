"""AuditTrail: what a guard needs of an audit log. Says nothing of files, keys or chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS = ("decision", "output", "restart", "end")
"""What happens to a conversation, in the order in which it may happen."""


@runtime_checkable
class AuditTrail(Protocol):
    """Takes down what happened. Implementations are called from several threads."""

    def append(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Take an event down; it is on record when this returns.

        Args:
            kind: ``decision``, ``output``, ``restart`` or ``end``.
            payload: as :mod:`rose_guard.audit.record` makes it.

        Raises:
            AuditError: if it is not on record; what the event is about must not go out then.
        """
        ...
