"""Explain: for one assessment, what each rule does, and what would change it. A pure function, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rose_guard.assessment import RiskAssessment
    from rose_guard.policy.decision import Action
    from rose_guard.policy.escalation import Escalation
    from rose_guard.policy.policy import Policy
    from rose_guard.policy.rule import Band, Rule


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """One rule's part in a decision.

    Args:
        label: the hazard or attack.
        score: its score.
        at: where the band begins that the score falls into; None below the first.
        action: that band's action; ``allow`` below the first.
        alpha: that band's alpha, where it steers.
        fires: whether it does more than ``allow``.
        next_at: where the next band begins; None in the last.
        distance: how much higher the score would have to be for that.
        locked: whether nobody may weaken it.
        why: all of this in words.
    """

    label: str
    score: float
    at: float | None
    action: Action
    alpha: float | None
    fires: bool
    next_at: float | None
    distance: float | None
    locked: bool
    why: str


def explain(policy: Policy, assessment: RiskAssessment, *, tenant: str | None = None) -> tuple[ExplainedRule, ...]:
    """What each rule does with its score, in taxonomy order.

    Args:
        policy: whose rules.
        assessment: the scores.
        tenant: whose rules hold; None for the policy's own.

    Raises:
        PolicyError: if the policy has no such tenant.
    """
    scores = assessment.scores
    watched = policy.mode == "shadow"
    return tuple(
        _explained(label, scores[label], rule, watched=watched and not rule.locked)
        for label, rule in policy.rulebook(tenant).rules.items()
    )


def _explained(label: str, score: float, rule: Rule, *, watched: bool) -> ExplainedRule:
    band = rule.band(score)
    following = next((each for each in rule.bands if each.at > score), None)
    fires = band is not None and band.action != "allow"
    return ExplainedRule(
        label,
        score,
        at=band.at if band else None,
        action=band.action if band else "allow",
        alpha=band.alpha if band and band.action == "steer" else None,
        fires=fires,
        next_at=following.at if following else None,
        distance=following.at - score if following else None,
        locked=rule.locked,
        why="; ".join(_reasons(score, band, following, rule.escalate, watched=watched and fires)),
    )


def _reasons(
    score: float, band: Band | None, following: Band | None, escalate: Escalation | None, *, watched: bool
) -> list[str]:
    reasons = ["below every band" if band is None else f"at or above {band.at:.2f}: {_does(band)}"]
    if following is not None:
        reasons.append(f"{following.at - score:.2f} more, from {following.at:.2f} on: {_does(following)}")
    if escalate is not None and band is not None and band.action != "allow":
        reasons.append(f"after {escalate.after} risky turns within {escalate.within_s:g} s: {_then(escalate)}")
    if watched:
        reasons.append("only watched, in shadow mode")
    return reasons


def _does(band: Band) -> str:
    return f"steer, alpha {band.alpha:g}" if band.action == "steer" else band.action


def _then(escalate: Escalation) -> str:
    return " and ".join(filter(None, (escalate.action, "a human is asked for" if escalate.notify else None)))
