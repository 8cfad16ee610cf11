"""Firing: a rule that acts on a score. Rulebook: the rules that hold for one tenant, asked for those that fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.policy.label import LABELS
from rose_guard.taxonomy import HAZARDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.assessment import RiskAssessment
    from rose_guard.policy.rule import Band, Rule


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule whose band does something at the score given.

    Args:
        label: the hazard or attack.
        score: its score.
        rule: the rule.
        reached: the band that the score falls into.
        band: the band as it acts: with the escalation's action, where that is due and stricter.
        due: whether its escalation is due.
    """

    label: str
    score: float
    rule: Rule
    reached: Band
    band: Band
    due: bool

    @property
    def escalated(self) -> bool:
        """Whether repeated risky turns made its action stricter."""
        return self.band.action != self.reached.action

    @property
    def notifies(self) -> bool:
        """Whether repeated risky turns ask for a human."""
        return self.due and self.rule.escalate is not None and self.rule.escalate.notify

    def __str__(self) -> str:
        """What happened, in numbers only."""
        reached = f"{self.label} scored {self.score:.2f}, at or above {self.reached.at:.2f}: {self.reached.action}"
        if not self.escalated or self.rule.escalate is None:
            return reached
        return f"{reached}; after {self.rule.escalate.after} or more risky turns: {self.band.action}"


class Rulebook:
    """The rules of one tenant, or the policy's own.

    Args:
        rules: a rule for every hazard and attack.
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = {label: rules[label] for label in LABELS}
        # Most scores are below every band that acts: one comparison for each of them.
        acting = {
            label: min(band.at for band in rule.bands if band.action != "allow")
            for label, rule in self.rules.items()
            if any(band.action != "allow" for band in rule.bands)
        }
        self._hazards = [(label, at, self.rules[label]) for label, at in acting.items() if label in HAZARDS]
        self._attacks = [(label, at, self.rules[label]) for label, at in acting.items() if label not in HAZARDS]

    def firing(self, assessment: RiskAssessment, risky_turns: Mapping[str, float] | None = None) -> list[Firing]:
        """The rules that fire, in taxonomy order.

        Args:
            assessment: the scores.
            risky_turns: how many earlier risky turns each label has; a label that is not there, or None for all,
                is not counted.
        """
        turns = risky_turns or {}
        return [
            _firing(label, score, rule, turns.get(label))
            for scores, rules in ((assessment.hazards, self._hazards), (assessment.attacks, self._attacks))
            for label, at, rule in rules
            if (score := scores[label]) >= at
        ]


def _firing(label: str, score: float, rule: Rule, risky_turns: float | None) -> Firing:
    band = rule.band(score)
    assert band is not None
    due = rule.escalate is not None and rule.escalate.is_due(risky_turns)
    return Firing(label, score, rule, band, rule.escalated(band) if due else band, due)
