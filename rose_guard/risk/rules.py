"""Rules: a classifier by a deployment's own terms, from a YAML file or from Python."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rose_guard.assessment import RiskAssessment, Span
from rose_guard.errors import SettingsError
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import check_deadline
from rose_guard.risk.haystack import Haystack
from rose_guard.risk.reading import passages, views
from rose_guard.risk.rule_file import RuleFile
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rose_guard.message import Message
    from rose_guard.risk.rule import Rule
    from rose_guard.risk.term import Place

MATCHING = 2
"""Part of every name; it rises whenever the same rules would match otherwise."""


class Rules(Classifier):
    """Each hazard and attack has the highest score of its rules that match, and 0 where none does.

    Every message is read, whoever wrote it, and its name, and user turns together: in each of their views.
    ``harmful`` is the highest score of a hazard. Time is linear in the text.

    Args:
        rules: at least one, each with a name of its own.

    Raises:
        SettingsError: if there is none, or two have one name.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        if not self._rules:
            raise SettingsError("there are no rules; give at least one")
        names = Counter(rule.name for rule in self._rules)
        if twice := [name for name, count in names.items() if count > 1]:
            raise SettingsError(f"names are given twice: {', '.join(twice)}; every rule has its own")
        said = json.dumps([MATCHING, *(rule.entry for rule in self._rules)], sort_keys=True, separators=(",", ":"))
        self._digest = hashlib.sha256(said.encode()).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Rules:
        """Read a rule file.

        Raises:
            SettingsError: listing every mistake as ``FILE:LINE:COLUMN: what, and a suggestion``.
            ModelLoadError: if there are patterns and google-re2 is missing.
        """
        return cls(RuleFile.read(Path(path)).rules())

    @classmethod
    def from_yaml(cls, text: str, *, name: str = "rules") -> Rules:
        """As :meth:`load`, from a text."""
        return cls(RuleFile(text, name).rules())

    @property
    def name(self) -> str:
        """``rules-`` and the beginning of a SHA-256 over all that the rules say."""
        return f"rules-{self._digest[:16]}"

    @property
    def known_labels(self) -> frozenset[str]:
        """Those that a rule names."""
        return frozenset(rule.label for rule in self._rules)

    def assess(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        scores: dict[str, float] = {}
        spans: dict[str, Span] = {}
        for passage in passages(messages):
            for view in views(passage.text):
                for label, score, place in self._matches(Haystack(view.text), scores):
                    scores[label], spans[label] = score, passage.span(view, *place)
        if hazards := [label for label in scores if label in HAZARDS]:
            worst = max(hazards, key=lambda hazard: scores[hazard])
            scores["harmful"], spans["harmful"] = scores[worst], spans[worst]
        return RiskAssessment(
            harmful=scores.get("harmful", 0.0),
            hazards={hazard: scores.get(hazard, 0.0) for hazard in HAZARDS},
            attacks={attack: scores.get(attack, 0.0) for attack in ATTACKS},
            spans=spans,
            classifier=self.name,
        )

    def _matches(self, haystack: Haystack, scores: dict[str, float]) -> Iterator[tuple[str, float, Place]]:
        """Label, score and place of each rule that matches and would raise its label's score."""
        for rule in self._rules:
            check_deadline()
            if rule.score > scores.get(rule.label, 0.0) and (place := rule.find(haystack)) is not None:
                yield rule.label, rule.score, place
