"""What every classifier is: the RiskClassifier protocol, and Classifier, a base class that fills most of it in."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rose_guard.errors import ClassifierError
from rose_guard.message import Message
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.assessment import RiskAssessment

EVERY_LABEL = frozenset((*HAZARDS, *ATTACKS))


@runtime_checkable
class RiskClassifier(Protocol):
    """Scores how risky it is to answer a conversation.

    Implementations score every message they are given, whole: text left out must raise, never pass for harmless.
    Policies read the scores of hazards and attacks; ``harmful`` alone leads to nothing.

    The guard calls them one call at a time, within a :mod:`rose_guard.risk.deadline`, for which long loops ask. Those
    that are no :class:`Classifier` are called apart from the guard's worker thread, so that one that hangs is left
    behind (:mod:`rose_guard.risk.apart`). There they cannot ask the served model, which needs the worker: derive from
    :class:`Classifier` then, and ask for the deadline, since nothing ends a hanging call on the worker.

    One that cannot tell every hazard and attack should have a property ``known_labels`` as :class:`Classifier` has:
    its score of 0 for the others then counts for nothing.
    """

    @property
    def name(self) -> str:
        """Name and version; it changes whenever scores may change."""
        ...

    def classify(self, messages: Sequence[Message]) -> RiskAssessment:
        """Score a conversation.

        Raises:
            ClassifierError: if any part of it could not be scored.
        """
        ...


class Classifier(ABC):
    """A RiskClassifier that also takes plain texts, many conversations at once, and event loops.

    Subclasses say how one conversation is scored (:meth:`assess`), and how many are where that is faster.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """As the protocol says."""

    @property
    def known_labels(self) -> frozenset[str]:
        """Hazards and attacks that it can tell, all of the taxonomy unless overridden; for others 0 says nothing."""
        return EVERY_LABEL

    @abstractmethod
    def assess(self, messages: Sequence[Message]) -> RiskAssessment:
        """Score a conversation, as the protocol's ``classify``."""

    def assess_many(self, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
        """Score conversations, each as if alone."""
        return [self.assess(messages) for messages in conversations]

    def classify(self, messages: Sequence[Message] | str) -> RiskAssessment:
        """Score a conversation, or a text as a user's message.

        Raises:
            ClassifierError: if any part of it could not be scored.
        """
        return self.assess(_conversation(messages))

    def classify_many(self, conversations: Sequence[Sequence[Message] | str]) -> list[RiskAssessment]:
        """Score many, each as if alone; errors as :meth:`classify`, for all of them."""
        return self.assess_many([_conversation(messages) for messages in conversations])

    async def aclassify(self, messages: Sequence[Message] | str) -> RiskAssessment:
        """As :meth:`classify`, on a thread, so that an event loop goes on."""
        return await asyncio.to_thread(self.classify, messages)


def known_labels(classifier: object) -> frozenset[str]:
    """Hazards and attacks that a classifier can tell: all of them where it does not say."""
    return frozenset(getattr(classifier, "known_labels", EVERY_LABEL))


def _conversation(messages: Sequence[Message] | str) -> Sequence[Message]:
    conversation = [Message("user", messages)] if isinstance(messages, str) else messages
    if not conversation:
        raise ClassifierError("there is nothing to score; give a text or at least one message")
    return conversation
