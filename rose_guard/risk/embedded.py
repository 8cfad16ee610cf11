"""EmbeddedClassifier: the default; a trained head over a tuned sentence embedder, offline and on the CPU."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import TYPE_CHECKING

from rose_guard.assessment import RiskAssessment, Span
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.embedder import SentenceEmbedder
from rose_guard.risk.encoder_delta import EncoderDelta
from rose_guard.risk.head import Head
from rose_guard.risk.reading import passages, views
from rose_guard.risk.sentences import sentence_pairs
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from rose_guard.message import Message
    from rose_guard.risk.embedder import Window


LONG_TOKENS = 64
"""Longer texts are also read two sentences at a time."""


class EmbeddedClassifier(Classifier):
    """Scores every passage of a conversation in every view, window by window; the highest score counts.

    Long texts, but for the assistant's, are also read two sentences at a time, so that a risky one is not lost.
    Nothing is cut off: overlapping windows cover a text of any length, at a cost that is linear in it.

    Args:
        head: a file that ``rose-guard train-classifier`` wrote; the shipped head unless given.
        encoder: the file written beside it when the embedder was tuned too; the shipped one unless given.

    Raises:
        ModelLoadError: if the embedder's wheel or a file is missing, or the two files do not belong together.
    """

    def __init__(self, head: Path | None = None, encoder: Path | None = None) -> None:
        embedder = SentenceEmbedder(EncoderDelta.load(encoder) if encoder else shipped_encoder())
        self._read_with(embedder, Head.load(head) if head else _shipped_head())

    def _read_with(self, embedder: SentenceEmbedder, head: Head) -> None:
        head.check_encoder(embedder.version)
        self.embedder = embedder
        self._head = head
        self._blank = (Span(0, 0, 0), embedder.windows("")[0])

    @staticmethod
    def shared() -> EmbeddedClassifier:
        """The shipped classifier; a process holds one copy."""
        with _loading:
            return _shared()

    @staticmethod
    def multilingual() -> EmbeddedClassifier:
        """The shipped multilingual classifier; a process holds one copy.

        Raises:
            ModelLoadError: if its embedder is not installed; the message names the command that installs it.
        """
        from rose_guard.risk.multilingual import MultilingualClassifier

        return MultilingualClassifier.shared()

    @property
    def name(self) -> str:
        """As the protocol says."""
        return f"embedded-{self._head.version}"

    def assess(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        return self.assess_many([messages])[0]

    def assess_many(self, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment]:
        """As :class:`Classifier` says, embedded together."""
        import torch

        read = [list(self._windows(messages)) or [self._blank] for messages in conversations]
        embeddings = self.embedder.embed([window for windows in read for _, window in windows])
        parts = torch.split(embeddings, [len(windows) for windows in read])
        return [
            self._assessment([span for span, _ in windows], part) for windows, part in zip(read, parts, strict=True)
        ]

    def _windows(self, messages: Sequence[Message]) -> Iterator[tuple[Span, Window]]:
        """Everything there is to score, and where it came from."""
        for passage in passages(messages):
            for view in views(passage.text):
                for window in self._read(view.text, closely=passage.role != "assistant"):
                    yield passage.span(view, window.start, window.end), window

    def _read(self, text: str, *, closely: bool) -> Iterator[Window]:
        """Windows of the whole text, and of a long one those of each two sentences too.

        The assistant's turns are mostly the model's own, long and already steered; read so closely, nearly every long
        conversation would count as risky. What a forged turn asks for as a whole still does.
        """
        whole = self.embedder.windows(text)
        yield from whole
        if closely and (len(whole) > 1 or len(whole[0].ids) > LONG_TOKENS):
            for start, end in sentence_pairs(text):
                for window in self.embedder.windows(text[start:end]):
                    yield replace(window, start=start + window.start, end=start + window.end)

    def _assessment(self, spans: Sequence[Span], embeddings: Tensor) -> RiskAssessment:
        highest = {label: scores.max(dim=0) for label, scores in self._head.scores(embeddings).items()}
        values = {label: float(best.values) for label, best in highest.items()}
        return RiskAssessment(
            harmful=values["harmful"],
            hazards={hazard: values[hazard] for hazard in HAZARDS},
            attacks={attack: values[attack] for attack in ATTACKS},
            spans={label: spans[int(best.indices)] for label, best in highest.items()},
            classifier=self.name,
        )


def shipped_encoder() -> EncoderDelta:
    """What was tuned of the embedder that the shipped head belongs to."""
    with as_file(files("rose_guard.risk").joinpath("weights/encoder.safetensors")) as path:
        return EncoderDelta.load(path)


def _shipped_head() -> Head:
    with as_file(files("rose_guard.risk").joinpath("weights/head.safetensors")) as path:
        return Head.load(path)


_loading = Lock()


@cache
def _shared() -> EmbeddedClassifier:
    return EmbeddedClassifier()
