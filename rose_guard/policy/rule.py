"""Band and Rule: what happens to one hazard or attack at which score, with every default settled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rose_guard.policy.decision import strictness

if TYPE_CHECKING:
    from rose_guard.policy.decision import Action
    from rose_guard.policy.escalation import Escalation
    from rose_guard.policy.severity import Severity

MAX_HORIZON = 1_000_000


@dataclass(frozen=True, slots=True)
class Band:
    """From score ``at`` upwards, this happens; every value is settled."""

    at: float
    action: Action
    alpha: float
    horizon: int | None
    safe_prompt: str
    reverse_prompt: str
    message: str

    @property
    def reach(self) -> float:
        """How many tokens it contrasts, where it steers; infinity for all."""
        return math.inf if self.horizon is None else self.horizon

    @property
    def alpha_if_steering(self) -> float:
        """Its alpha, or 0 where it does not steer."""
        return self.alpha if self.action == "steer" else 0.0

    def is_weaker_than(self, other: Band) -> bool:
        """Whether it does less: a milder action, or when both steer a smaller alpha or a shorter reach."""
        if self.action != other.action or self.action != "steer":
            return strictness(self.action) < strictness(other.action)
        return self.alpha < other.alpha or self.reach < other.reach


@dataclass(frozen=True, slots=True)
class Rule:
    """The bands of one hazard or attack, by rising ``at``, and what repeated risky turns add to them."""

    bands: tuple[Band, ...]
    severity: Severity
    locked: bool
    escalate: Escalation | None = None

    def band(self, score: float) -> Band | None:
        """The band that a score falls into; None below the first."""
        for band in reversed(self.bands):
            if score >= band.at:
                return band
        return None

    def escalated(self, band: Band) -> Band:
        """One of its bands as it is once its escalation is due."""
        action = self.escalate.action if self.escalate else None
        if action is None or strictness(action) <= strictness(band.action):
            return band
        return replace(band, action=action)

    def shortfalls(self, floor: Rule) -> list[str]:
        """Where it does less than another rule, in words that say what it must do."""
        found = [
            f"from a score of {band.at} its action must be {_at_least(band)}"
            for band in floor.bands
            if (own := self.band(band.at)) is None or own.is_weaker_than(band)
        ]
        if floor.escalate and (self.escalate is None or self.escalate.is_looser_than(floor.escalate)):
            found.append(f"it must escalate {_as_soon_as(floor.escalate)}")
        return found


def _at_least(band: Band) -> str:
    if band.action != "steer":
        return f"{band.action!r} or stricter"
    tokens = "all tokens" if band.horizon is None else f"a horizon of at least {band.horizon} tokens"
    return f"'steer' with an alpha of at least {band.alpha} and {tokens}, or stricter"


def _as_soon_as(floor: Escalation) -> str:
    action = f", with the action {floor.action!r} or stricter" if floor.action else ""
    human = ", with `notify: true`" if floor.notify else ""
    return f"after at most {floor.after} turns within at least {floor.within_s:g} s{action}{human}"
