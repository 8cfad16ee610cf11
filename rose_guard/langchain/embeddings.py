"""RoseEmbeddings: the embedded sentence encoder as LangChain embeddings; offline, and on the CPU."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from rose_guard.engines.worker import worker
from rose_guard.risk.embedder import FEATURES, SentenceEmbedder

if TYPE_CHECKING:
    from torch import Tensor

TEXTS_AT_ONCE = 16
"""So many texts are embedded before others, such as answers under way, have their turn."""


class RoseEmbeddings(Embeddings):
    """Embeds texts with all-MiniLM-L6-v2, as it was published; what was tuned of it for risk is not used.

    A text of any length is read whole: the mean over its tokens, in windows that overlap a little, at length 1. So the
    scalar product of two embeddings is their cosine. The encoder loads with the first text; a process holds one copy.

    Raises:
        ModelLoadError: (with the first text) if the encoder is not installed; the message names the command that
            installs it.
    """

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """An embedding of 384 numbers for each text."""
        starts = range(0, len(texts), TEXTS_AT_ONCE)
        return [row for start in starts for row in worker.run(_embedded, texts[start : start + TEXTS_AT_ONCE])]

    def embed_query(self, text: str) -> list[float]:
        """The embedding of one text; it is the same as for a document."""
        return self.embed_documents([text])[0]


def _embedded(texts: list[str]) -> list[list[float]]:
    """Runs on the worker alone, so that nothing is loaded twice."""
    import torch

    encoder = _encoder()
    windows = [encoder.windows(text) for text in texts]
    means = encoder.embed([window for each in windows for window in each])[:, :FEATURES]
    lengths = [torch.tensor([max(1, len(window.ids)) for window in each]) for each in windows]
    parts = torch.split(means, [len(each) for each in windows])
    return [_mean(part, length).tolist() for part, length in zip(parts, lengths, strict=True)]


def _mean(windows: Tensor, lengths: Tensor) -> Tensor:
    """One direction for a text's windows, each counted by its tokens."""
    import torch

    return torch.nn.functional.normalize((windows * lengths.unsqueeze(-1)).sum(dim=0), dim=0)


@cache
def _encoder() -> SentenceEmbedder:
    return SentenceEmbedder()
