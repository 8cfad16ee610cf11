"""Scoring that never passes for harmless: what a classifier raises, or gives wrongly, becomes a reason."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from rose_guard.assessment import RiskAssessment
from rose_guard.errors import ClassifierError
from rose_guard.risk.apart import ask
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import check_deadline, deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.guard.effect import Assess, ScoreAnswer
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier


MAX_CHARACTERS = 1_000_000
"""What the messages of a conversation and their names may hold together, in characters, to be scored at all."""


def assess(classifier: RiskClassifier | None, asked: Assess) -> RiskAssessment | str:
    """The scores of a conversation, or why there are none."""
    if classifier is None:
        return "there is no classifier"
    try:
        with deadline(asked.seconds):
            check_deadline()
            _check_size(asked)
            assessment = ask(classifier, partial(classifier.classify, asked.messages))
    except Exception as error:  # noqa: BLE001 - becomes the policy's on_error action, with its reason
        return _in_words(error)
    return assessment if isinstance(assessment, RiskAssessment) else f"no assessment from {classifier.name}"


def assess_many(classifier: RiskClassifier | None, asked: Sequence[Assess]) -> list[RiskAssessment | str]:
    """As :func:`assess`, in one go where the classifier can; where that fails, each by itself in the time that is left.

    All of them together have no more time than they have one by one, so that what is late is not read anew for as long.
    """
    limits = [each.seconds for each in asked if each.seconds is not None]
    found: list[RiskAssessment | str] = []
    with suppress(ClassifierError), deadline(sum(limits) if len(limits) == len(asked) else None):
        found += _together(classifier, asked) or [assess(classifier, each) for each in asked]
    return found


def _together(classifier: RiskClassifier | None, asked: Sequence[Assess]) -> list[RiskAssessment]:
    """The scores of conversations that were scored in one go; empty where they could not be."""
    if not isinstance(classifier, Classifier) or len(asked) < 2:  # noqa: PLR2004 - one alone is no batch
        return []
    with suppress(Exception):
        for each in asked:
            _check_size(each)
        together = classifier.classify_many([each.messages for each in asked])
        check_deadline()
        if len(together) == len(asked) and all(isinstance(a, RiskAssessment) for a in together):
            return list(together)
    return []


def _check_size(asked: Assess) -> None:
    size = sum(len(message.content) + len(message.name or "") for message in asked.messages)
    if size > MAX_CHARACTERS:
        raise ClassifierError(
            f"the conversation has {size:,} characters, but at most {MAX_CHARACTERS:,} are scored; leave out older "
            f"turns, or split long documents into several conversations"
        )


def score_answer(classifier: AnswerClassifier | None, asked: ScoreAnswer) -> float | str:
    """The probability of harm of a part of an answer, or why there is none."""
    if classifier is None:  # a live policy may ask for one at any time
        return "there is no answer classifier"
    try:
        with deadline(asked.seconds):
            score = float(classifier.harm(asked.text))
    except Exception as error:  # noqa: BLE001 - likewise
        return _in_words(error)
    return score if 0.0 <= score <= 1.0 else f"no probability from {classifier.name}"


def _in_words(error: Exception) -> str:
    """A classifier's own reason; of other errors no more than their kind, since they may quote the conversation."""
    return str(error) if isinstance(error, ClassifierError) else type(error).__name__
