"""Decision: what happens to one conversation, and why. Plain strings and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

if TYPE_CHECKING:
    from rose_guard.assessment import RiskAssessment
    from rose_guard.policy.severity import Severity

Action = Literal["allow", "steer", "refuse", "block"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""From the mildest to the strictest."""

Mode = Literal["enforce", "shadow"]
MODES: tuple[Mode, ...] = get_args(Mode)


_RANKS: dict[Action, int] = {action: rank for rank, action in enumerate(ACTIONS)}


def strictness(action: Action) -> int:
    """Rank of an action, 0 for ``allow``."""
    return _RANKS[action]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of one conversation.

    Args:
        action: ``allow`` decodes plainly, ``steer`` contrasts, ``refuse`` answers with a message and does not run
            the model, ``block`` raises :class:`~rose_guard.errors.PolicyViolation`.
        reason: which rules fired at which scores; holds no part of the conversation.
        policy_digest: SHA-256 of the policy that decided.
        messages_digest: SHA-256 of the messages judged; the decision holds for no others.
        hazards: hazards whose rules fired with this action, strongest first.
        attacks: attacks likewise.
        branches: ``(reverse prompt id, alpha)`` of each reverse branch, when steering.
        safe_prompt: id of the positive branch's system prompt, when steering.
        horizon: contrast only so many tokens, when steering; None for all.
        message: id of the message to answer with, when refusing.
        assessment: the scores judged; None where the policy needs none or the classifier failed.
        decision_id: unique, for audit lines and metadata; a decision and its shadow share it.
        tenant: whose rules decided; None for the policy's own.
        mode: ``shadow`` where only locked rules decided.
        shadow: in shadow mode, what the whole policy would have done; None when enforcing.
        escalated: labels whose action repeated risky turns made stricter, in taxonomy order.
        notify: labels whose repeated risky turns ask for a human, likewise.
        severity: the highest severity of the rules that fire, whatever their action; None where none does.
    """

    action: Action
    reason: str
    policy_digest: str
    messages_digest: str
    hazards: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    branches: tuple[tuple[str, float], ...] = ()
    safe_prompt: str | None = None
    horizon: int | None = None
    message: str | None = None
    assessment: RiskAssessment | None = field(default=None, repr=False)
    decision_id: str = field(default_factory=lambda: uuid4().hex)
    tenant: str | None = None
    mode: Mode = "enforce"
    shadow: Decision | None = None
    escalated: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    severity: Severity | None = None

    @property
    def alpha(self) -> float:
        """Total strength of the contrast; 0 unless steering."""
        return math.fsum(alpha for _, alpha in self.branches)
