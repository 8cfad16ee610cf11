"""RiskAssessment: what a classifier says of a conversation. Scores only; what follows from them is policy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.errors import ClassifierError
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Span:
    """Where a score came from.

    Args:
        message: index of the message in the conversation.
        start: first character of the span in that message's content.
        end: one past its last character; 0 where the message's name gave the score, not its content.
        view: how it was read: ``written``, or what was undone to read it, such as ``base64`` or ``unicode+letters``, or
            ``turns`` for turns read together, of which the span names the last.
    """

    message: int
    start: int
    end: int
    view: str = "written"


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """Scores in [0, 1] and the spans that gave them.

    Args:
        harmful: probability that answering plainly would do harm, whatever the hazard.
        hazards: a probability for each hazard of the taxonomy; every hazard is present.
        attacks: a probability for each attack; every attack is present.
        spans: the span with the highest score, per hazard and attack that has one.
        classifier: name and version of what scored.

    Raises:
        ClassifierError: if a label is missing or unknown, or a score is not a number in [0, 1]: text that was
            not scored must never pass for harmless.
    """

    harmful: float
    hazards: Mapping[str, float]
    attacks: Mapping[str, float]
    spans: Mapping[str, Span] = field(default_factory=dict)
    classifier: str = "unnamed"

    def __post_init__(self) -> None:
        _check_labels("hazard", self.hazards, HAZARDS)
        _check_labels("attack", self.attacks, ATTACKS)
        for label, score in {"harmful": self.harmful, **self.hazards, **self.attacks}.items():
            if not (math.isfinite(score) and 0.0 <= score <= 1.0):
                raise ClassifierError(f"classifier {self.classifier!r} gave {label} the score {score}, not in [0, 1]")
        for name in ("hazards", "attacks", "spans"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[type[RiskAssessment], tuple[object, ...]]:
        return type(self), (self.harmful, dict(self.hazards), dict(self.attacks), dict(self.spans), self.classifier)

    @property
    def scores(self) -> dict[str, float]:
        """Hazards and attacks in one mapping, in taxonomy order."""
        return {**{h: self.hazards[h] for h in HAZARDS}, **{a: self.attacks[a] for a in ATTACKS}}


def _check_labels(kind: str, given: Mapping[str, float], expected: Mapping[str, str]) -> None:
    if missing := [label for label in expected if label not in given]:
        raise ClassifierError(f"the classifier left {kind}s unscored: {', '.join(missing)}")
    if unknown := [label for label in given if label not in expected]:
        raise ClassifierError(f"the classifier scored {kind}s that the taxonomy lacks: {', '.join(unknown)}")
