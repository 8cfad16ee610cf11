"""Decision: what happens to one conversation, and why. Plain strings and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

if TYPE_CHECKING:
    from rose_guard.assessment import RiskAssessment

Action = Literal["allow", "steer", "refuse", "block"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""From the mildest to the strictest."""


def strictness(action: Action) -> int:
    """Rank of an action, 0 for ``allow``."""
    return ACTIONS.index(action)


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
        decision_id: unique, for audit lines and metadata.
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

    @property
    def alpha(self) -> float:
        """Total strength of the contrast; 0 unless steering."""
        return math.fsum(alpha for _, alpha in self.branches)
