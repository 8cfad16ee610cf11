"""Combined: several classifiers as one, by the highest score, by the mean, or one after another while unsure."""

from __future__ import annotations

import math
import time
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from rose_guard.assessment import RiskAssessment
from rose_guard.errors import ClassifierError, RoseGuardError, SettingsError
from rose_guard.risk.apart import ask
from rose_guard.risk.classifier import Classifier, RiskClassifier, known_labels
from rose_guard.risk.deadline import deadline
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rose_guard.assessment import Span
    from rose_guard.message import Message

How = Literal["max", "mean", "cascade"]
LABELS = ("harmful", *HAZARDS, *ATTACKS)


@dataclass(frozen=True, slots=True)
class Scored:
    """A label's score, where it came from, and how much it weighs in a mean."""

    score: float
    span: Span | None
    weight: float


@dataclass(frozen=True, slots=True)
class Part:
    """An assessment, the labels that whoever gave it can tell, and its weight."""

    assessment: RiskAssessment
    known: frozenset[str]
    weight: float = 1.0

    def of(self, label: str) -> Scored:
        """What it says of a label."""
        said = self.assessment
        scores = {"harmful": said.harmful} if label == "harmful" else said.hazards if label in HAZARDS else said.attacks
        return Scored(scores[label], said.spans.get(label), self.weight)


class Combined(Classifier):
    """Scores with several classifiers and makes one assessment of theirs; if one of them fails, so does the whole.

    - ``max``: each label's highest score, with the span of the classifier that gave it.
    - ``mean``: each label's weighted mean, with the span of the classifier that scored it highest.
    - ``cascade``: the classifiers in their order, cheap ones first. The next one is asked while any score lies between
      the bounds of ``unsure``, and the latest one's scores count. A score at or above the upper bound stays at least as
      high whatever comes later. So a conversation comes out risky where any classifier that was asked was sure that it
      is, and raising any score of any of them never makes a risky one harmless.

    A classifier that does not know a label (``known_labels``) never lowers what another one says of it: the mean and
    the latest score are of those that know it. In a cascade, a stage that knows a label which none before it does is
    always asked.

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
        self._known = [_with_harm(known_labels(classifier)) for classifier in self._classifiers]

    @property
    def known_labels(self) -> frozenset[str]:
        """What any of them knows."""
        return frozenset().union(*self._known) - {"harmful"}

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
        return [self._joined(map(Part, said, self._known, self._weights), join) for said in zip(*asked, strict=True)]

    def _cascade(self, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
        known, latest = self._known[0], self._ask(0, conversations)
        results = [self._joined([Part(said, known)], self._last) for said in latest]
        for stage in range(1, len(self._classifiers)):
            tells_more = not self._known[stage] <= known
            due = [i for i, so_far in enumerate(results) if tells_more or self._is_unsure(latest[i], so_far)]
            for i, said in zip(due, self._ask(stage, [conversations[i] for i in due]), strict=True):
                results[i] = self._joined([Part(results[i], known), Part(said, self._known[stage])], self._last)
                latest[i] = said
            known |= self._known[stage]
        return results

    def _is_unsure(self, *assessments: RiskAssessment) -> bool:
        low, high = self._unsure
        return any(low < score < high for said in assessments for score in (said.harmful, *said.scores.values()))

    def _joined(self, parts: Iterable[Part], join: Callable[[list[Scored]], Scored]) -> RiskAssessment:
        parts = list(parts)
        joined = {label: self._said(label, parts, join) for label in LABELS}
        return RiskAssessment(
            harmful=joined["harmful"].score,
            hazards={hazard: joined[hazard].score for hazard in HAZARDS},
            attacks={attack: joined[attack].score for attack in ATTACKS},
            spans={label: said.span for label, said in joined.items() if said.span is not None},
            classifier=self.name,
        )

    def _said(self, label: str, parts: list[Part], join: Callable[[list[Scored]], Scored]) -> Scored:
        """What those who know a label say of it together; what others say may raise that, and never lowers it."""
        knowing = [part.of(label) for part in parts if label in part.known]
        others = [part.of(label) for part in parts if label not in part.known]
        return self._highest([join(knowing), *others] if knowing else others)

    @staticmethod
    def _highest(parts: list[Scored]) -> Scored:
        """The same in whatever order they come: among equals one with a span, and the earliest."""
        return min(parts, key=lambda part: (-part.score, part.span is None, astuple(part.span) if part.span else ()))

    def _mean(self, parts: list[Scored]) -> Scored:
        scores, heaviest = [part.score for part in parts], max(part.weight for part in parts)
        shares = [part.weight / heaviest for part in parts]
        mean = math.fsum(share * score for share, score in zip(shares, scores, strict=True)) / math.fsum(shares)
        return replace(self._highest(parts), score=min(max(mean, min(scores)), max(scores)))

    def _last(self, parts: list[Scored]) -> Scored:
        """What a later stage says, but never less than what an earlier one was sure of."""
        return self._highest([*(part for part in parts[:-1] if part.score >= self._unsure[1]), parts[-1]])

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
        return ask(classifier, lambda: list(together(conversations)))
    return ask(classifier, lambda: [classifier.classify(messages) for messages in conversations])


def _with_harm(labels: frozenset[str]) -> frozenset[str]:
    """With ``harmful`` where any hazard is known: what knows attacks alone says nothing of harm."""
    return labels | {"harmful"} if labels & HAZARDS.keys() else labels


def _are_bounds(unsure: Sequence[float]) -> bool:
    return len(unsure) == 2 and 0.0 <= unsure[0] < unsure[1] <= 1.0  # noqa: PLR2004 - two bounds
