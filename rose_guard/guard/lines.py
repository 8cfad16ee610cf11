"""Lines of the audit log, as effects: what a turn has written down, and what follows where it cannot be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rose_guard.audit.record import decision_record, end_record, output_record, restart_record
from rose_guard.errors import AuditError, PolicyViolation
from rose_guard.guard.effect import Record

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

    from rose_guard.engines.engine import Delta
    from rose_guard.guard.answer import OutputVerdict
    from rose_guard.guard.options import GenerationOptions
    from rose_guard.message import Message
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy

logger = logging.getLogger(__name__)


def decision_line(decision: Decision, messages: Sequence[Message], options: GenerationOptions) -> Record:
    """What was decided, of which text."""
    record = decision_record(decision, messages=messages, principal=options.principal, thread=options.thread)
    return Record("decision", record)


def output_line(decision: Decision, verdict: OutputVerdict, found: str, tokens: tuple[int, int], index: int) -> Record:
    """What the check of an answer found, and what came of it."""
    record = output_record(decision.decision_id, found, verdict.score, tokens, verdict.action, index=index)
    return Record("output", record)


def restart_line(decision: Decision, attempt: int, alpha: float, kept_tokens: int, index: int) -> Record:
    """An answer is begun anew."""
    return Record("restart", restart_record(decision.decision_id, attempt, alpha, kept_tokens, index=index))


def end_line(decision: Decision, last: Delta, shown: str, *, cached: bool = False) -> Record:
    """How an answer ended, of which so much was shown."""
    contrasted = last.contrast.contrasted_tokens if last.contrast else 0
    reason = last.finish_reason or "stop"
    record = end_record(
        decision.decision_id, reason, last.usage, contrasted, len(shown), shown, index=last.index, cached=cached
    )
    return Record("end", record)


def recorded(line: Record, decision: Decision, policy: Policy | None) -> Generator[Any, Any, bool]:
    """Write a line; whether it is durable now.

    Raises:
        AuditError: if it is not, and there is no policy.
        PolicyViolation: if it is not, and the policy's ``on_audit_error`` is ``block``.
    """
    try:
        yield line
    except AuditError as error:
        logger.error("decision %s: %s", decision.decision_id, error)  # noqa: TRY400 - where it failed says nothing more
        if policy is None:
            raise
        if policy.on_audit_error == "block":
            reason = f"what happened could not be recorded: {decision.reason}"
            raise PolicyViolation(reason, decision.decision_id) from error
        return False
    return True
