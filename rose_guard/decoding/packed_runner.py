"""PackedRunner: the tokens of all rows in one forward pass, without padding."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from rose_guard.decoding.kv_cache import KVCache, Row, SavedRow, pool_capacity
from rose_guard.decoding.plan import Plan
from rose_guard.decoding.twin import NotPackable, twin_of
from rose_guard.errors import DecodingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

__all__ = ["NotPackable", "PackedRunner", "forward_error"]

_PROBES = ([3, 7, 11, 5, 2, 9, 4, 8, 6], [10, 4, 6, 3, 12])
_PIECES = (  # text, tokens to read of it, logits wanted
    ((0, 4, 2), (1, 1, 1)),
    ((1, 3, 0),),
    ((0, 4, 4), (1, 1, 1)),
    ((0, 1, 1),),
)
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}
_TOLERANCE_HALF = 0.08


class PackedRunner:
    """Packs the tokens of all rows into one sequence, so that no linear layer sees padding.

    Works on a twin of the model: the same parameters in modules of its own, whose attention is
    :func:`rose_guard.decoding.attention.attend`. The model itself stays as it is.

    Args:
        model: a causal language model.

    Raises:
        NotPackable: if the model does not take its attention from transformers' interface, or would see other rows'
            positions.
    """

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        self._windows = _windows(model)
        self._model = twin_of(model)
        self._cache = KVCache()
        self._device = model.device
        self.bytes_per_token = _bytes_per_token(model)
        self.model_s = 0.0
        self._compare(model)

    def row_bytes(self, tokens: int) -> int:
        """As the protocol says."""
        return pool_capacity(tokens) * self.bytes_per_token

    def reserve(self, rows: Sequence[int]) -> None:
        """As the protocol says."""
        self._cache.reserve(rows)

    def open(self, tokens: int) -> Row:
        """As the protocol says."""
        return self._cache.open(tokens)

    def close(self, row: Row) -> None:
        """As the protocol says."""
        self._cache.close(row)

    def copy(self, row: Row, tokens: int) -> Row:
        """As the protocol says."""
        saved = self.save(row, row.length)
        other = self.open(tokens)
        self.load(other, saved, row.length)
        return other

    def save(self, row: Row, tokens: int) -> SavedRow:
        """A copy of what the row's first tokens left in the cache."""
        return self._cache.save(row, tokens)

    def load(self, row: Row, saved: SavedRow, tokens: int) -> None:
        """Let an empty row begin with the first tokens of a saved one."""
        self._cache.load(row, saved, tokens)

    def read(self, reads: Sequence[tuple[Row, Sequence[int], int]]) -> list[Tensor]:
        """As the protocol says."""
        plan = Plan([(row, len(tokens)) for row, tokens, _ in reads])
        ids: list[int] = []
        positions: list[int] = []
        wanted: list[int] = []
        for index in plan.order:
            row, tokens, count = reads[index]
            ids.extend(tokens)
            positions.extend(range(row.length, row.length + len(tokens)))
            wanted.extend(range(len(ids) - count, len(ids)))
        logits = self._forward(plan, ids, positions, wanted)
        if len(logits) != len(wanted):
            raise DecodingError("the model gives logits for other tokens than were asked for")
        for row, tokens, _ in reads:
            row.advance(len(tokens))
        pieces = torch.split(logits, [reads[index][2] for index in plan.order])
        by_index = dict(zip(plan.order, pieces, strict=True))
        return [by_index[index] for index in range(len(reads))]

    def _forward(self, plan: Plan, ids: list[int], positions: list[int], wanted: list[int]) -> Tensor:
        """Logits of the wanted tokens, ``(wanted, vocabulary)``."""
        inputs = {
            "input_ids": torch.tensor([ids], device=self._device),
            "position_ids": torch.tensor([positions], device=self._device),
            "logits_to_keep": torch.tensor(wanted, dtype=torch.long, device=self._device),
        }
        self._cache.plan = plan
        started = time.perf_counter()
        try:
            output = self._model(
                **inputs, past_key_values=self._cache, use_cache=True, plan=plan, windows=self._windows
            )
            if self._device.type == "cuda":  # what is chosen next waits for it anyway
                torch.cuda.synchronize(self._device)
        except Exception as error:
            raise forward_error(error) from error
        finally:
            self._cache.plan = None
            self.model_s += time.perf_counter() - started
        logits: Tensor = output.logits[0]
        return logits

    @torch.inference_mode()
    def _compare(self, model: PreTrainedModel) -> None:
        """Read two texts in unequal pieces, packed, and compare with what the model itself says of each."""
        vocabulary = model.config.get_text_config().vocab_size
        texts = [[token % vocabulary for token in probe] for probe in _PROBES]
        rows = [self.open(len(text)) for text in texts]
        given: list[tuple[int, int, Tensor]] = []
        try:
            for pieces in _PIECES:
                reads = [(i, rows[i], texts[i][rows[i].length :][:count], wanted) for i, count, wanted in pieces]
                starts = [row.length + len(tokens) - wanted for _, row, tokens, wanted in reads]
                logits = self.read([read[1:] for read in reads])
                given += zip([read[0] for read in reads], starts, logits, strict=True)
        except (DecodingError, AssertionError) as error:
            raise NotPackable(str(error.__cause__ or error)) from error
        finally:
            for row in rows:
                self.close(row)
        whole = [model(input_ids=torch.tensor([t], device=self._device), use_cache=False).logits[0] for t in texts]
        for i, start, ours in given:
            if not _agree(ours.float(), whole[i][start : start + len(ours)].float(), model.dtype):
                raise NotPackable("its logits differ when rows are packed")


def forward_error(error: Exception) -> DecodingError:
    """What to say of a forward pass that failed."""
    if isinstance(error, torch.OutOfMemoryError):
        remedy = "lower BatchSettings.kv_cache_bytes or max_branches, or shorten the conversation"
    else:
        remedy = "check the model's files and its device"
    return DecodingError(f"the forward pass failed: {type(error).__name__}; {remedy}")


def _windows(model: PreTrainedModel) -> dict[int, int]:
    """How far back each sliding layer sees, as transformers' own cache has it."""
    config = model.config.get_text_config()
    if "chunked_attention" in (getattr(config, "layer_types", None) or ()):
        raise NotPackable("its attention is chunked")
    if any(kind in str(getattr(config, "rope_parameters", None)) for kind in ("dynamic", "longrope")):
        raise NotPackable("its position encoding depends on the longest row")
    layers = DynamicCache(config=model.config).layers
    windows = [getattr(layer, "sliding_window", None) for layer in layers]
    return {i: window for i, window in enumerate(windows) if window}


@torch.inference_mode()
def _bytes_per_token(model: PreTrainedModel) -> int:
    """Measured on a cache of the model's own, whatever its layers keep."""
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([[token % model.config.get_text_config().vocab_size for token in _PROBES[1]]])
    model(input_ids=ids.to(model.device), past_key_values=cache, use_cache=True)
    kept = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    tensors = [tensor for tensor in kept if isinstance(tensor, torch.Tensor)]
    if not tensors or len(tensors) < len(kept):
        raise NotPackable("some of its layers keep no keys and values")
    return sum(tensor.nbytes for tensor in tensors) // ids.shape[1]


def _agree(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    if not len(ours):
        return True
    scale = theirs.abs().max().clamp(min=1.0)
    return bool((ours - theirs).abs().max() <= _TOLERANCE.get(dtype, _TOLERANCE_HALF) * scale)
