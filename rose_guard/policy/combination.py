"""Several rules that fire at once: which of them decide, and how they share the contrast. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rose_guard.policy.decision import Decision, strictness
from rose_guard.policy.severity import SEVERITIES
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.policy.decision import Action
    from rose_guard.policy.firing import Firing
    from rose_guard.policy.rule import Band
    from rose_guard.policy.severity import Severity

MAX_STEERING_RULES = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """What a decision is about: the scores, by whose rules they are judged, and the digests of both sides."""

    policy_digest: str
    messages_digest: str
    tenant: str | None
    assessment: RiskAssessment | None


def decision(firing: Sequence[Firing], judged: Judged, max_total_alpha: float, idle: str) -> Decision:
    """The decision that rules lead to together.

    Args:
        firing: the rules that fire, in taxonomy order.
        judged: what the decision is about.
        max_total_alpha: ceiling of the total alpha.
        idle: the reason to give where none fires.
    """
    if not firing:
        return _decision("allow", idle, judged)
    ranked = deciding(firing)
    bands = [each.band for each in ranked]
    first = bands[0]
    steers = first.action == "steer"
    return Decision(
        first.action,
        "; ".join(map(str, ranked)),
        judged.policy_digest,
        judged.messages_digest,
        hazards=tuple(each.label for each in ranked if each.label in HAZARDS),
        attacks=tuple(each.label for each in ranked if each.label in ATTACKS),
        branches=branches(bands, max_total_alpha) if steers else (),
        safe_prompt=first.safe_prompt if steers else None,
        horizon=horizon(bands) if steers else None,
        message=first.message if first.action == "refuse" else None,
        assessment=judged.assessment,
        tenant=judged.tenant,
        escalated=tuple(each.label for each in firing if each.escalated),
        notify=tuple(each.label for each in firing if each.notifies),
        severity=severity(firing),
    )


def ungated(band: Band, judged: Judged, max_total_alpha: float) -> Decision:
    """The decision of a band that steers whatever the risk."""
    return replace(
        _decision("steer", "steers every conversation, ungated", judged),
        branches=branches([band], max_total_alpha),
        safe_prompt=band.safe_prompt,
        horizon=band.horizon,
    )


def deciding(firing: Sequence[Firing]) -> list[Firing]:
    """Those with the strictest action, by falling alpha (when steering), severity and score, then taxonomy order.

    Args:
        firing: in taxonomy order, since sorting keeps the order of equals.
    """
    if len(firing) < MAX_STEERING_RULES:
        return list(firing)
    strictest = max(strictness(each.band.action) for each in firing)
    return sorted((each for each in firing if strictness(each.band.action) == strictest), key=_rank, reverse=True)


def branches(bands: Sequence[Band], max_total_alpha: float) -> tuple[tuple[str, float], ...]:
    """Reverse prompt ids and alphas of one band that steers or of several, strongest first; equal prompts are merged.

    ``A = min(alpha₁, max_total_alpha)`` and ``alphaᵢ = A · alphaᵢ / Σⱼ alphaⱼ`` over the first two.
    """
    first, *others = bands[:MAX_STEERING_RULES]
    total = min(first.alpha, max_total_alpha)
    if not others or others[0].reverse_prompt == first.reverse_prompt:
        return ((first.reverse_prompt, total),)
    (second,) = others
    share = total * (first.alpha / (first.alpha + second.alpha))
    rest = total - share  # exact, since the first has at least half: the two never add up to more than the total
    if not (share > 0.0 and rest > 0.0):  # too small a part for a floating-point number
        return ((first.reverse_prompt, total),)
    return (first.reverse_prompt, share), (second.reverse_prompt, rest)


def horizon(bands: Sequence[Band]) -> int | None:
    """The longest of all: one more rule that fires never shortens the contrast."""
    return max(bands, key=lambda band: band.reach).horizon


def severity(firing: Sequence[Firing]) -> Severity | None:
    """The highest of all; None where nothing fires."""
    return max((each.rule.severity for each in firing), key=SEVERITIES.index, default=None)


def _rank(firing: Firing) -> tuple[float, int, float]:
    return firing.band.alpha_if_steering, SEVERITIES.index(firing.rule.severity), firing.score


def _decision(action: Action, reason: str, judged: Judged) -> Decision:
    return Decision(
        action,
        reason,
        judged.policy_digest,
        judged.messages_digest,
        assessment=judged.assessment,
        tenant=judged.tenant,
    )
