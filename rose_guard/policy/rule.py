"""Band and Rule: what happens to one hazard or attack at which score, with every default settled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.policy.decision import strictness

if TYPE_CHECKING:
    from rose_guard.policy.decision import Action
    from rose_guard.policy.schema import Severity


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
    """The bands of one hazard or attack, by rising ``at``."""

    bands: tuple[Band, ...]
    severity: Severity
    locked: bool

    def band(self, score: float) -> Band | None:
        """The band that a score falls into; None below the first."""
        reached = [band for band in self.bands if score >= band.at]
        return reached[-1] if reached else None
