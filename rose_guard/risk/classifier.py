"""The RiskClassifier protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.message import Message


@runtime_checkable
class RiskClassifier(Protocol):
    """Scores how risky it is to answer a conversation.

    Implementations score every message they are given, whole: text left out must raise, never pass for harmless.
    Policies read the scores of hazards and attacks; ``harmful`` alone leads to nothing.
    The guard calls them on its worker thread, one call at a time.
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
