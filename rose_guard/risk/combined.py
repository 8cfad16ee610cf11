"""Combined: several classifiers as one, by the highest score, by the mean, or one after another while unsure."""

from __future__ import annotations

import math
import time
from dataclasses import astuple
from typing import TYPE_CHECKING, Literal, get_args

from rose_guard.assessment import RiskAssessment
from rose_guard.errors import ClassifierError, RoseGuardError, SettingsError
from rose_guard.risk.classifier import Classifier, RiskClassifier
from rose_guard.risk.deadline import deadline
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rose_guard.assessment import Span
    from rose_guard.message import Message

How = Literal["max", "mean", "cascade"]
LABELS = ("harmful", *HAZARDS, *ATTACKS)

Scored = tuple[float, "Span | None"]
"""A label's score and where it came from."""


class Combined(Classifier):
    """Scores with several classifiers and makes one assessment of theirs; if one of them fails, so does the whole.

    - ``max``: each label's highest score, with the span of the classifier that gave it.
    - ``mean``: each label's weighted mean, with the span of the classifier that scored it highest.
    - ``cascade``: the classifiers in their order, cheap ones first. The next one is asked while any score of the latest
      lies between the bounds of ``unsure``, and the latest one's scores count. A score at or above the upper bound
      stays at least as high whatever comes later: a strong model may know fewer labels, such as no attacks at all, and
      must not clear what the cheap one saw. So a conversation comes out risky where any classifier that was asked was
      sure that it is, and raising any score of any of them never makes a risky one harmless. Between the bounds the
      later classifier decides, so the last one should know every label that matters.

    Args:
        classifiers: at least one; in a cascade in the order in which they are asked.
        how: ``max``, ``mean`` or ``cascade``.
        weights: for the mean, one for each classifier, positive and finite; equal ones unless given.
        unsure: for the cascade, the bounds between which a score is uncertain; a score at a bound is certain.
        budgets_s: how many seconds each classifier may take for a conversation, and for many together that much for
            each of them; None sets no limit. Deadlines from outside hold all the same.

    Raises:
        SettingsError: if any of these is out of range.
    """

    def __init__(
        self,
        classifiers: Sequence[RiskClassifier],
        how: How = "max",
        *,
        weights: Sequence[float] | None = None,
        unsure: tuple[float, float] = (0.2, 0.8),
        budgets_s: Sequence[float | None] | None = None,
    ) -> None:
        self._classifiers = tuple(classifiers)
        self._how = how
        self._weights = tuple(weights) if weights is not None else (1.0,) * len(self._classifiers)
        self._unsure = tuple(unsure)
        self._budgets = tuple(budgets_s) if budgets_s is not None else (None,) * len(self._classifiers)
        if complaints := self._complaints(weighted=weights is not None):
            raise SettingsError("; ".join(complaints))

    @property
    def name(self) -> str:
        """How they are combined, and the names of the parts."""
        names = [classifier.name for classifier in self._classifiers]
        if self._how == "mean":
            names = [f"{weight}*{name}" for weight, name in zip(self._weights, names, strict=True)]
        bounds = "[{},{}]".format(*self._unsure) if self._how == "cascade" else ""
        return f"{self._how}{bounds}({' + '.join(names)})"

    def assess(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        return self.assess_many([messages])[0]

    def assess_many(self, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
        """As the base class says; each classifier that can is asked once for all that it has to score."""
        if self._how == "cascade":
            return self._cascade(conversations)
        asked = [self._ask(stage, conversations) for stage in range(len(self._classifiers))]
        join = self._highest if self._how == "max" else self._mean
        return [self._joined(parts, join) for parts in zip(*asked, strict=True)]

    def _cascade(self, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
        latest = dict(enumerate(self._ask(0, conversations)))
        results = {index: self._joined([assessment], self._last) for index, assessment in latest.items()}
        for stage in range(1, len(self._classifiers)):
            unsure = [index for index, assessment in latest.items() if self._is_unsure(assessment)]
            asked = self._ask(stage, [conversations[index] for index in unsure])
            latest = dict(zip(unsure, asked, strict=True))
            results |= {index: self._joined([results[index], latest[index]], self._last) for index in unsure}
        return [results[index] for index in range(len(conversations))]

    def _is_unsure(self, assessment: RiskAssessment) -> bool:
        low, high = self._unsure
        return any(low < score < high for score in (assessment.harmful, *assessment.scores.values()))

    def _joined(self, parts: Sequence[RiskAssessment], join: Callable[[list[Scored]], Scored]) -> RiskAssessment:
        scores = [{"harmful": part.harmful, **part.scores} for part in parts]
        joined = {
            label: join([(given[label], part.spans.get(label)) for given, part in zip(scores, parts, strict=True)])
            for label in LABELS
        }
        return RiskAssessment(
            harmful=joined["harmful"][0],
            hazards={hazard: joined[hazard][0] for hazard in HAZARDS},
            attacks={attack: joined[attack][0] for attack in ATTACKS},
            spans={label: span for label, (_, span) in joined.items() if span is not None},
            classifier=self.name,
        )

    @staticmethod
    def _highest(parts: list[Scored]) -> Scored:
        """The same in whatever order they come: among equals one with a span, and the earliest."""
        return min(parts, key=lambda part: (-part[0], part[1] is None, astuple(part[1]) if part[1] else ()))

    def _mean(self, parts: list[Scored]) -> Scored:
        scores, heaviest = [score for score, _ in parts], max(self._weights)
        shares = [weight / heaviest for weight in self._weights]
        mean = math.fsum(share * score for share, score in zip(shares, scores, strict=True)) / math.fsum(shares)
        return min(max(mean, min(scores)), max(scores)), self._highest(parts)[1]

    def _last(self, parts: list[Scored]) -> Scored:
        """What a later stage says, but never less than what an earlier one was sure of."""
        return self._highest([*(part for part in parts[:-1] if part[0] >= self._unsure[1]), parts[-1]])

    def _ask(self, stage: int, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
        """One classifier's assessments of conversations, within its budget.

        Raises:
            ClassifierError: if it raises, is late, or gives something else; naming it and nothing it was given.
        """
        if not conversations:
            return []
        classifier, budget = self._classifiers[stage], self._budgets[stage]
        seconds = None if budget is None else budget * len(conversations)
        started = time.monotonic()
        try:
            with deadline(seconds):
                assessments = _assessments(classifier, conversations)
        except Exception as error:  # noqa: BLE001 - raised anew as a ClassifierError, whatever it is
            late = seconds is not None and time.monotonic() - started > seconds
            known = isinstance(error, RoseGuardError)
            cause = str(error) if known else type(error).__name__
            reason = f"took longer than its {seconds:g} s" if late else f"failed: {cause}"
            # Errors of other packages may quote what was scored, so they are not shown along with this one.
            raise ClassifierError(f"{self._called(stage)} {reason}") from (error if known else None)
        if len(assessments) != len(conversations) or not all(isinstance(a, RiskAssessment) for a in assessments):
            raise ClassifierError(f"{self._called(stage)} failed: it gave no assessment of every conversation")
        return assessments

    def _called(self, stage: int) -> str:
        return f"classifier {stage + 1} of {len(self._classifiers)} ({self._classifiers[stage].name})"

    def _complaints(self, *, weighted: bool) -> list[str]:
        count = len(self._classifiers)
        checks = {
            "there are no classifiers; give at least one": count > 0,
            "a classifier has a name and classifies": all(isinstance(c, RiskClassifier) for c in self._classifiers),
            f"how is one of {', '.join(get_args(How))}": self._how in get_args(How),
            "weights are for how='mean'": not weighted or self._how == "mean",
            "give as many weights as classifiers": len(self._weights) == count,
            "weights must be positive and finite": all(math.isfinite(w) and w > 0 for w in self._weights),
            "unsure is a lower and a higher bound in [0, 1]": _are_bounds(self._unsure),
            "give as many budgets_s as classifiers": len(self._budgets) == count,
            "budgets_s are positive and finite seconds, or None": all(
                b is None or (math.isfinite(b) and b > 0) for b in self._budgets
            ),
        }
        return [complaint for complaint, holds in checks.items() if not holds]


def _assessments(classifier: RiskClassifier, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
    together = getattr(classifier, "classify_many", None)
    if together is not None and len(conversations) > 1:
        return list(together(conversations))
    return [classifier.classify(messages) for messages in conversations]


def _are_bounds(unsure: Sequence[float]) -> bool:
    return len(unsure) == 2 and 0.0 <= unsure[0] < unsure[1] <= 1.0  # noqa: PLR2004 - two bounds
