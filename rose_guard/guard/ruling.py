"""Ruling: a decision made elsewhere, such as by an agent's middleware, that a turn must be no milder than."""

from __future__ import annotations

import math
from dataclasses import replace

from rose_guard.errors import SettingsError
from rose_guard.policy.decision import ACTIONS, Decision, strictness
from rose_guard.policy.policy import Policy
from rose_guard.policy.severity import SEVERITIES, Severity


class Ruling:
    """A decision and the policy whose prompts and messages it names.

    It can only tighten: the turn is decided as ever, and the stricter of both decisions holds. So it needs no proof of
    where it comes from, and one that was made for other messages does no harm. It is no dataclass, since tracers write
    these out field by field, and a policy holds reverse prompts.

    Args:
        decision: what was decided.
        policy: by which policy.

    Raises:
        SettingsError: if the policy cannot have decided so.
    """

    __slots__ = ("decision", "policy")

    def __init__(self, decision: Decision, policy: Policy) -> None:
        if not (isinstance(decision, Decision) and isinstance(policy, Policy)):
            raise SettingsError("a ruling is made of a Decision and the Policy that decided")
        if decision.action not in ACTIONS or not _can_follow(decision, policy):
            raise SettingsError("a ruling's decision names what its policy has not; give the policy that decided")
        self.decision = decision
        self.policy = policy

    def __repr__(self) -> str:
        return f"Ruling({self.decision.action}, {self.decision.decision_id})"


def overrules(ruled: Decision, own: Decision) -> bool:
    """Whether a decision made elsewhere is the stricter one: by its action, then by the contrast of a steer."""
    return (strictness(ruled.action), ruled.alpha) > (strictness(own.action), own.alpha)


def tightened(own: Decision, ruled: Decision) -> Decision:
    """The stricter of two decisions, contrasted as long as either of them says, about the messages of the first.

    Args:
        own: what the turn's own policy decided.
        ruled: what was decided elsewhere.
    """
    holding = own
    if overrules(ruled, own):
        holding = replace(
            own,
            action=ruled.action,
            reason=f"{ruled.reason}: a stricter ruling holds (decision {ruled.decision_id})",
            policy_digest=ruled.policy_digest,
            hazards=ruled.hazards,
            attacks=ruled.attacks,
            branches=ruled.branches,
            safe_prompt=ruled.safe_prompt,
            horizon=ruled.horizon,
            message=ruled.message,
            escalated=ruled.escalated,
            severity=_graver(own.severity, ruled.severity),
        )
    reach = max(_reach(own), _reach(ruled))
    if holding.action != "steer" or _reach(holding) == reach:
        return holding
    reason = f"{holding.reason}: the longer contrast of two decisions holds (decision {ruled.decision_id})"
    return replace(holding, horizon=None if reach == math.inf else int(reach), reason=reason)


def _reach(decision: Decision) -> float:
    """How many tokens are contrasted."""
    if decision.action != "steer":
        return 0.0
    return math.inf if decision.horizon is None else float(decision.horizon)


def _graver(one: Severity | None, other: Severity | None) -> Severity | None:
    """The graver of two severities."""
    return max((severity for severity in (one, other) if severity), key=SEVERITIES.index, default=None)


def _can_follow(decision: Decision, policy: Policy) -> bool:
    """Whether the policy has the prompts and the message that a decision names."""
    try:
        if decision.action == "steer":
            policy.safe_prompt(decision.safe_prompt or "")
            for prompt_id, _ in decision.branches:
                policy.reverse_prompt(prompt_id)
            return bool(decision.branches)
        if decision.action == "refuse":
            policy.message(decision.message or "refusal")
    except KeyError:
        return False
    return True
