"""EmbeddedAnswerClassifier: scores parts of answers with a head of its own over the embedded classifier's encoder."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import TYPE_CHECKING

from rose_guard.risk.answer_head import AnswerHead
from rose_guard.risk.embedded import EmbeddedClassifier
from rose_guard.risk.reading import views

if TYPE_CHECKING:
    from pathlib import Path

    from rose_guard.risk.embedder import SentenceEmbedder


class EmbeddedAnswerClassifier:
    """Scores a part of an answer in every view, window by window; the highest score counts.

    Args:
        head: a file that ``rose-guard train-answer-classifier`` wrote; the shipped head unless given.
        embedder: what the head was trained over; the embedded classifier's unless given.

    Raises:
        ModelLoadError: if the embedder's wheel or the head is missing, or they do not belong together.
    """

    def __init__(self, head: Path | None = None, embedder: SentenceEmbedder | None = None) -> None:
        self._embedder = embedder or EmbeddedClassifier.shared().embedder
        self._head = AnswerHead.load(head) if head else _shipped_head()
        self._head.check_encoder(self._embedder.version)

    @staticmethod
    def shared() -> EmbeddedAnswerClassifier:
        """The shipped classifier; a process holds one copy."""
        with _loading:
            return _shared()

    @property
    def name(self) -> str:
        """As the protocol says."""
        return f"embedded-answers-{self._head.version}"

    def harm(self, text: str) -> float:
        """As the protocol says."""
        windows = [window for view in views(text) for window in self._embedder.windows(view.text)]
        return float(self._head.scores(self._embedder.embed(windows)).max())


def _shipped_head() -> AnswerHead:
    with as_file(files("rose_guard.risk").joinpath("weights/answer_head.safetensors")) as path:
        return AnswerHead.load(path)


_loading = Lock()


@cache
def _shared() -> EmbeddedAnswerClassifier:
    return EmbeddedAnswerClassifier()
