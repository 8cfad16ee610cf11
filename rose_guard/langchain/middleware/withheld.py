"""Withheld: violations that are raised later, since a retry or a fallback around a wrapper would swallow them."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from langchain_core.messages import ToolMessage

from rose_guard.errors import PolicyViolation
from rose_guard.langchain.middleware.events import decided
from rose_guard.langchain.middleware.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

_REASONS = 1024


class Withheld:
    """Why something was blocked, by decision; not the exceptions, whose frames hold the conversation."""

    def __init__(self) -> None:
        self._reasons: Recent[str] = Recent(_REASONS)

    def keep(self, violation: PolicyViolation) -> dict[str, Any]:
        """Remember a violation; gives what the message in its place says in ``response_metadata["rose"]``."""
        self._reasons.keep(violation.decision_id, violation.reason)
        return {"decision_id": violation.decision_id, "action": "block"}

    def raise_for(self, message: BaseMessage) -> None:
        """See that a message stands in no violation's place.

        Raises:
            PolicyViolation: the one that it does stand for.
        """
        decision_id = decided(message).get("decision_id", "")
        if (reason := self._reasons.find(decision_id)) is not None:
            raise PolicyViolation(reason, decision_id)

    def raise_for_results(self, messages: Sequence[BaseMessage]) -> None:
        """As :meth:`raise_for`, of each result that no model has read yet."""
        for message in takewhile(lambda each: isinstance(each, ToolMessage), reversed(messages)):
            self.raise_for(message)
