"""How long a forward pass takes by the number of tokens in it, relative to one token."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import device, dtype

# Measured, see docs/performance.md. They decide how long a draft is worth reading, never what is answered.
_CPU_FLOAT32 = ((1, 1.0), (2, 1.0), (4, 1.3), (8, 1.8), (16, 2.7), (32, 4.2), (64, 6.5), (128, 11.0))
_CPU_OTHER = ((1, 1.0), (2, 1.05), (4, 1.15), (8, 1.25), (16, 1.65), (32, 2.4), (64, 4.0), (128, 7.0))
_GPU = ((1, 1.0), (64, 1.1), (256, 2.0), (1024, 6.0))


class StepCost:
    """Cost of a step by its tokens, linear between measured points.

    Args:
        device: where the model runs.
        dtype: its precision.
    """

    def __init__(self, device: device, dtype: dtype) -> None:
        self._points: tuple[tuple[int, float], ...] = _CPU_OTHER
        if device.type != "cpu":
            self._points = _GPU
        elif dtype == torch.float32:
            self._points = _CPU_FLOAT32
        self._tokens = [tokens for tokens, _ in self._points]

    def __call__(self, tokens: int) -> float:
        """Cost of a step that reads so many tokens; one token costs 1."""
        right = min(max(bisect_right(self._tokens, tokens), 1), len(self._points) - 1)
        (low, at_low), (high, at_high) = self._points[right - 1], self._points[right]
        return at_low + (at_high - at_low) * (tokens - low) / (high - low)
