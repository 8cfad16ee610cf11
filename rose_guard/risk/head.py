"""Head: from a text's embedding to the probabilities of harm, of each hazard and of each attack."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import ModelLoadError
from rose_guard.risk.weights_file import read_weights, write_weights
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

FORMAT = "rose_guard risk head 3"
_ROWS = {"harmful": 1, "hazards": len(HAZARDS), "attacks": len(ATTACKS)}


@dataclass(frozen=True)
class Head:
    """Three linear maps over the same embedding.

    Args:
        encoder: version of the embedder that it was trained over.
        weights: ``harmful`` of shape ``(1, dimensions)``, ``hazards`` ``(18, dimensions)``, ``attacks``
            ``(5, dimensions)``.
        biases: one vector for each of them.
    """

    encoder: str
    weights: dict[str, Tensor]
    biases: dict[str, Tensor]

    @classmethod
    def load(cls, path: Path) -> Head:
        """Read a safetensors file.

        Raises:
            ModelLoadError: if it is missing, damaged, or was made for another taxonomy.
        """
        about, tensors = read_weights(path, "risk head")
        if about.get("format") != FORMAT or about.get("labels") != _labels():
            raise ModelLoadError(f"{path.name} is no risk head for this taxonomy; train it anew")
        expected: dict[str, tuple[int, ...]] = {
            f"{name}.weight": (rows, about["dimensions"]) for name, rows in _ROWS.items()
        }
        expected |= {f"{name}.bias": (rows,) for name, rows in _ROWS.items()}
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != expected:
            raise ModelLoadError(f"{path.name} holds tensors of other names or shapes than a risk head; train it anew")
        weights = {name: tensors[f"{name}.weight"] for name in _ROWS}
        biases = {name: tensors[f"{name}.bias"] for name in _ROWS}
        return cls(about["encoder"], weights, biases)

    @classmethod
    def of(cls, maps: Mapping[str, tuple[Tensor, Tensor]], encoder: str) -> Head:
        """A head from a weight and a bias for each map."""
        return cls(encoder, {n: weight for n, (weight, _) in maps.items()}, {n: bias for n, (_, bias) in maps.items()})

    @property
    def dimensions(self) -> int:
        """Length of the embeddings that it reads."""
        return self.weights["harmful"].shape[1]

    @property
    def version(self) -> str:
        """Twelve hex digits that change whenever scores do."""
        digest = hashlib.sha256(self.encoder.encode())
        for name in _ROWS:
            digest.update(self.weights[name].numpy().tobytes() + self.biases[name].numpy().tobytes())
        return digest.hexdigest()[:12]

    def check_encoder(self, encoder: str) -> None:
        """See that embeddings come from the embedder that the head knows.

        Raises:
            ModelLoadError: if they come from another one.
        """
        if encoder != self.encoder:
            raise ModelLoadError(
                "this risk head was trained over another encoder; give the encoder file that was written beside it, or "
                "train the head anew with `rose-guard train-classifier`"
            )

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same head always gives the same bytes."""
        tensors = {f"{name}.weight": tensor for name, tensor in self.weights.items()}
        tensors |= {f"{name}.bias": tensor for name, tensor in self.biases.items()}
        about = {"format": FORMAT, "encoder": self.encoder, "dimensions": self.dimensions, "labels": _labels()}
        write_weights(path, about, tensors)

    def scores(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Probabilities for each label, ``harmful`` among them, each of shape ``(windows,)``.

        The likeliest hazard carries the whole probability of harm and the others their proportion of it,
        ``P(harmful) · P(hazard) / max P(hazard)``, so that harm spread over several hazards cannot slip under each
        one's threshold.
        """
        logits = {name: embeddings @ self.weights[name].T + self.biases[name] for name in _ROWS}
        harmful = logits["harmful"].sigmoid()
        shares = logits["hazards"].softmax(dim=-1)
        hazards = harmful * shares / shares.amax(dim=-1, keepdim=True)
        attacks = logits["attacks"].sigmoid()
        return {
            "harmful": harmful[:, 0],
            **dict(zip(HAZARDS, hazards.T, strict=True)),
            **dict(zip(ATTACKS, attacks.T, strict=True)),
        }


def _labels() -> list[str]:
    return [*HAZARDS, *ATTACKS]
