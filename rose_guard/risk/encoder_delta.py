"""EncoderDelta: what tuning changed in the sentence embedder, small enough to ship.

A tuned matrix differs little from the packaged one. The difference is kept in eight bits per weight with one scale per
row: ``W_tuned ≈ W + scale · int8``; vectors are kept as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import ModelLoadError
from rose_guard.risk.weights_file import read_weights, write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

FORMAT = "rose_guard encoder delta 2"
_SCALE = ".scale"
_STEPS = 127.0


@dataclass(frozen=True)
class EncoderDelta:
    """Differences by parameter name.

    Args:
        tensors: for a matrix ``name`` int8 of its shape and ``name.scale`` of shape ``(rows, 1)``; for a vector
            float32 of its shape.
    """

    tensors: Mapping[str, Tensor]

    @classmethod
    def between(cls, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> EncoderDelta:
        """What changed between two state dicts of one model."""
        import torch

        tensors: dict[str, Tensor] = {}
        for name, old in before.items():
            difference = after[name] - old
            if not difference.any():
                continue
            if difference.dim() == 1:
                tensors[name] = difference
                continue
            scale = (difference.abs().amax(dim=1, keepdim=True) / _STEPS).clamp(min=1e-12)
            tensors[name] = (difference / scale).round().to(torch.int8)
            tensors[name + _SCALE] = scale
        return cls(tensors)

    @classmethod
    def load(cls, path: Path) -> EncoderDelta:
        """Read a safetensors file.

        Raises:
            ModelLoadError: if it is missing or damaged, or is something else.
        """
        about, tensors = read_weights(path, "encoder delta")
        if about.get("format") != FORMAT:
            raise ModelLoadError(f"{path.name} is no encoder delta; train it anew")
        return cls(tensors)

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same delta always gives the same bytes."""
        write_weights(path, {"format": FORMAT}, self.tensors)

    @property
    def version(self) -> str:
        """Twelve hex digits that change whenever the delta does."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:12]

    def apply(self, model: nn.Module) -> None:
        """Add the differences to a model's parameters.

        Raises:
            ModelLoadError: if the model has no such parameters.
        """
        import torch

        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                if name.endswith(_SCALE):
                    continue
                scale = self.tensors.get(name + _SCALE)
                difference = tensor if scale is None else tensor.float() * scale
                if name not in parameters or parameters[name].shape != difference.shape:
                    raise ModelLoadError("the encoder delta was made for another embedder; train it anew")
                parameters[name].add_(difference)
