"""AnswerHead: from the embedding of a part of an answer to the probability that showing it would do harm."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import ModelLoadError
from rose_guard.risk.weights_file import read_weights, write_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

FORMAT = "rose_guard answer head 1"


@dataclass(frozen=True)
class AnswerHead:
    """A linear map over an embedding.

    Args:
        encoder: version of the embedder that it was trained over.
        weight: of shape ``(dimensions,)``.
        bias: of shape ``()``.
    """

    encoder: str
    weight: Tensor
    bias: Tensor

    @classmethod
    def load(cls, path: Path) -> AnswerHead:
        """Read a safetensors file.

        Raises:
            ModelLoadError: if it is missing, damaged, or something else.
        """
        about, tensors = read_weights(path, "answer head")
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if about.get("format") != FORMAT or shapes != {"weight": (about["dimensions"],), "bias": ()}:
            raise ModelLoadError(
                f"{path.name} is no answer head; train it anew with `rose-guard train-answer-classifier`"
            )
        return cls(about["encoder"], tensors["weight"], tensors["bias"])

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same head always gives the same bytes."""
        about = {"format": FORMAT, "encoder": self.encoder, "dimensions": len(self.weight)}
        write_weights(path, about, {"weight": self.weight, "bias": self.bias})

    @property
    def version(self) -> str:
        """Twelve hex digits that change whenever scores do."""
        parts = self.encoder.encode() + self.weight.numpy().tobytes() + self.bias.numpy().tobytes()
        return hashlib.sha256(parts).hexdigest()[:12]

    def check_encoder(self, encoder: str) -> None:
        """See that embeddings come from the embedder that the head knows.

        Raises:
            ModelLoadError: if they come from another one.
        """
        if encoder != self.encoder:
            raise ModelLoadError(
                "this answer head was trained over another encoder; train it anew with "
                "`rose-guard train-answer-classifier`"
            )

    def scores(self, embeddings: Tensor) -> Tensor:
        """Probabilities of shape ``(windows,)`` for embeddings of shape ``(windows, dimensions)``."""
        return (embeddings @ self.weight + self.bias).sigmoid()
