"""What becomes of a decision to steer where the model cannot be steered. A pure function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rose_guard.policy.unsteerable import UNSTEERABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.guard.ruling import Ruling
    from rose_guard.policy.decision import Decision

_CANNOT = "the model cannot be steered"


def refused(decision: Decision, reason: str) -> Decision:
    """A refusal in a decision's place."""
    return replace(
        decision, action="refuse", reason=reason, branches=(), safe_prompt=None, horizon=None, message="refusal"
    )


def unsteered(decision: Decision, rulings: Sequence[Ruling], *, local: bool) -> Decision:
    """What the strictest policy of those that would steer says then: steered elsewhere, plain, or a refusal.

    Args:
        decision: it steers.
        rulings: the decisions that it was made of, and whose they are.
        local: whether there is an engine that can be steered in the model's place.
    """
    steering = [ruling for ruling in rulings if ruling.decision.action == "steer"]
    choice = max((ruling.policy.unsteerable for ruling in steering), key=UNSTEERABLE.index)
    if choice == "route" and local:
        return replace(decision, reason=f"{decision.reason}; {_CANNOT}, so a local one answers: route")
    if choice == "warn" and not any(_is_locked(ruling) for ruling in steering):
        reason = f"{decision.reason}; would be steered, but {_CANNOT}: warn"
        return replace(decision, action="allow", reason=reason, branches=(), safe_prompt=None, horizon=None)
    return refused(decision, f"{decision.reason}; {_CANNOT}: refuse")


def _is_locked(ruling: Ruling) -> bool:
    """Whether a rule that nobody may weaken asks for the steering; no tenant has other locks than its policy."""
    labels = (*ruling.decision.hazards, *ruling.decision.attacks)
    return any(ruling.policy.rules[label].locked for label in labels)
