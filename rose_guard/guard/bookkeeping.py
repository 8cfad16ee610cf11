"""Bookkeeping: the effects that touch neither model nor classifier, but perhaps a disk."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rose_guard.guard.effect import CountRiskyTurns, FindAnswers, KeepAnswers, Notify, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from rose_guard.audit.trail import AuditTrail
    from rose_guard.guard.answer_store import AnswerStore
    from rose_guard.guard.effect import Effect
    from rose_guard.memory.memory import ConversationMemory
    from rose_guard.policy.decision import Decision

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Books:
    """Where a guard writes things down, and whom it tells.

    Args:
        memory: where risky turns are counted.
        audit: where events are recorded.
        answers: where answers are kept.
        on_notify: called with a decision that a human should see.
    """

    memory: ConversationMemory
    audit: AuditTrail | None
    answers: AnswerStore | None
    on_notify: Callable[[Decision], object] | None

    def do(self, effect: Effect) -> Any:
        """Do what a turn asks for; what that raises, the turn is told."""
        match effect:
            case CountRiskyTurns():
                return self.memory.count_and_add(effect.key, effect.turn, effect.windows)
            case Record():
                assert self.audit is not None
                return self.audit.append(effect.kind, effect.payload)
            case FindAnswers():
                assert self.answers is not None
                return self.answers.find(effect.key)
            case KeepAnswers():
                assert self.answers is not None
                return self.answers.keep(effect.key, effect.answers)
        assert isinstance(effect, Notify)
        return self._notify(effect.decision)

    def _notify(self, decision: Decision) -> None:
        if self.on_notify is None:
            logger.warning("decision %s is for a human to see, but on_notify is not set", decision.decision_id)
            return
        try:
            self.on_notify(decision)
        except Exception:  # noqa: BLE001 - whoever is told must not change what is decided
            logger.error("on_notify failed for decision %s", decision.decision_id)  # noqa: TRY400 - it may quote the conversation
