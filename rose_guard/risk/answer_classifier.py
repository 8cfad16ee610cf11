"""AnswerClassifier: what scores a part of an answer, before it is shown."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class AnswerClassifier(Protocol):
    """Scores text that a model has decoded; classifiers of prompts have never seen answers."""

    @property
    def name(self) -> str:
        """Name and version, for audit lines."""
        ...

    def harm(self, text: str) -> float:
        """Probability in [0, 1] that showing this part of an answer would do harm.

        Args:
            text: a window of an answer, perhaps cut off in mid-sentence.

        Raises:
            ClassifierError: if it cannot be scored.
        """
        ...
