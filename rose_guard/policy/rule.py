"""Band and Rule: what happens to one hazard or attack at which score, with every default settled."""

from __future__ import annotations

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
    def strength(self) -> tuple[int, float]:
        """Orders bands by what they do: the action, then the alpha where it steers."""
        return strictness(self.action), self.alpha if self.action == "steer" else 0.0


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
