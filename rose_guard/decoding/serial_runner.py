"""SerialRunner: one row after the other, each with transformers' own cache."""

from __future__ import annotations

import copy
import time
from inspect import signature
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from rose_guard.decoding.packed_runner import forward_error
from rose_guard.errors import DecodingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel


class SerialRunner:
    """Reads one row after the other, each with transformers' own cache.

    Args:
        model: a causal language model.
    """

    packs = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        # Most models can leave out the logits of tokens that nobody asked for.
        self._selects = "logits_to_keep" in signature(model.forward).parameters
        self.bytes_per_token = 0
        self.model_s = 0.0

    def row_bytes(self, tokens: int) -> int:  # noqa: ARG002 - such caches are not counted
        """As the protocol says."""
        return 0

    def reserve(self, rows: Sequence[int]) -> None:
        """As the protocol says; the cache grows by itself."""

    def open(self, tokens: int) -> SerialRow:  # noqa: ARG002 - the cache grows by itself
        """As the protocol says."""
        return SerialRow(DynamicCache(config=self._model.config))

    def close(self, row: SerialRow) -> None:
        """As the protocol says."""
        del row.cache

    def copy(self, row: SerialRow, tokens: int) -> SerialRow:
        """As the protocol says."""
        other = self.open(tokens)
        other.cache, other.length = copy.deepcopy(row.cache), row.length
        return other

    def read(self, reads: Sequence[tuple[SerialRow, Sequence[int], int]]) -> list[Tensor]:
        """As the protocol says."""
        return [self._read(*read) for read in reads]

    def _read(self, row: SerialRow, tokens: Sequence[int], wanted: int) -> Tensor:
        started = time.perf_counter()
        try:
            output = self._model(
                input_ids=torch.tensor([tokens], device=self._model.device),
                past_key_values=row.cache,
                use_cache=True,
                **({"logits_to_keep": max(wanted, 1)} if self._selects else {}),
            )
        except Exception as error:
            raise forward_error(error) from error
        finally:
            self.model_s += time.perf_counter() - started
        if getattr(output, "past_key_values", None) is not row.cache:
            raise DecodingError(
                f"{type(self._model).__name__} keeps no key-value cache, so its branches would forget their prompts; "
                f"use a model with attention and a cache"
            )
        row.length += len(tokens)
        logits: Tensor = output.logits[0]
        return logits[len(logits) - wanted :]


class SerialRow:
    """A sequence with a cache of its own."""

    def __init__(self, cache: DynamicCache) -> None:
        self.cache = cache
        self.length = 0
