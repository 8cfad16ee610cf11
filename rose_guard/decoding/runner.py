"""Runner: what reads tokens into rows and gives logits. One protocol, two ways.

:class:`PackedRunner` reads many rows in one forward pass. :class:`SerialRunner` reads them one after the other with
transformers' own cache; it is slower and holds for every model with a key-value cache. :func:`runner_for` takes the
first where it can be shown to give the same logits.
"""

from __future__ import annotations

import copy
import logging
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import DynamicCache

from rose_guard.decoding import attention
from rose_guard.decoding.kv_cache import KVCache, Plan, Row, SavedRow
from rose_guard.decoding.linear import speed_up_linears
from rose_guard.errors import DecodingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_PROBES = ([3, 7, 11, 5, 2, 9, 4, 8, 6], [10, 4, 6, 3, 12])
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}
_TOLERANCE_HALF = 0.08


class NotPackable(Exception):  # noqa: N818 - a reason, caught where the runner is chosen
    """Why a model cannot be decoded with its rows packed together."""


class Runner(Protocol):
    """Reads tokens into rows.

    A read is a row, the tokens to append to it, and of how many of the last of them logits are wanted.
    """

    bytes_per_token: int
    """Memory of one token's keys and values, over all layers."""
    packs: bool
    """Whether rows share forward passes, can be saved and loaded, and can take tokens back."""

    def open(self, tokens: int) -> Any:
        """An empty row for at most so many tokens."""
        ...

    def close(self, row: Any) -> None:
        """Free a row."""
        ...

    def copy(self, row: Any, tokens: int) -> Any:
        """A new row for at most so many tokens that has read what this one has."""
        ...

    def read(self, reads: Sequence[tuple[Any, Sequence[int], int]]) -> list[Tensor]:
        """Append tokens to rows.

        Returns:
            For each read its logits, ``(wanted, vocabulary)``, in the model's dtype, on its device.

        Raises:
            DecodingError: if the forward pass fails.
        """
        ...


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
        self._model = _twin(model)
        self._cache = KVCache()
        self._device = model.device
        self.bytes_per_token = _bytes_per_token(model)
        self._compare(model)

    def open(self, tokens: int) -> Row:
        """As the protocol says."""
        return self._cache.open(tokens)

    def close(self, row: Row) -> None:
        """As the protocol says."""
        self._cache.close(row)

    def copy(self, row: Row, tokens: int) -> Row:
        """As the protocol says."""
        other = self.open(tokens)
        self.load(other, self.save(row, row.length), row.length)
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
        ids, positions, wanted = [], [], []
        for index in plan.order:
            row, tokens, count = reads[index]
            ids.extend(tokens)
            positions.extend(range(row.length, row.length + len(tokens)))
            wanted.extend(range(len(ids) - count, len(ids)))
        logits = self._forward(plan, ids, positions, wanted)
        for row, tokens, _ in reads:
            row.advance(len(tokens))
        pieces = dict(zip(plan.order, logits.split([reads[index][2] for index in plan.order]), strict=True))
        return [pieces[index] for index in range(len(reads))]

    def _forward(self, plan: Plan, ids: list[int], positions: list[int], wanted: list[int]) -> Tensor:
        """Logits of the wanted tokens, ``(wanted, vocabulary)``."""
        self._cache.plan = plan
        try:
            output = self._model(
                input_ids=torch.tensor([ids], device=self._device),
                position_ids=torch.tensor([positions], device=self._device),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=torch.tensor(wanted, dtype=torch.long, device=self._device),
                plan=plan,
                windows=self._windows,
            )
        except Exception as error:
            raise DecodingError(f"the forward pass failed: {type(error).__name__}; {_remedy(error)}") from error
        finally:
            self._cache.plan = None
        logits: Tensor = output.logits[0]
        return logits

    @torch.inference_mode()
    def _compare(self, model: PreTrainedModel) -> None:
        """Read two texts in unequal pieces, packed, and compare with what the model itself says of each."""
        vocabulary = model.config.get_text_config().vocab_size
        texts = [[token % vocabulary for token in probe] for probe in _PROBES]
        rows = [self.open(len(text)) for text in texts]
        try:
            packed = [[], []]
            for pieces in ((4, 1), (0, 3), (4, 1), (1, 0)):
                reads = [
                    (row, text[row.length : row.length + n], n)
                    for row, text, n in zip(rows, texts, pieces, strict=True)
                    if n
                ]
                for (row, _, _), logits in zip(reads, self.read(reads), strict=True):
                    packed[rows.index(row)].append(logits)
        except (DecodingError, AssertionError) as error:
            raise NotPackable(str(error.__cause__ or error)) from error
        finally:
            for row in rows:
                self.close(row)
        for text, logits in zip(texts, packed, strict=True):
            expected = model(input_ids=torch.tensor([text], device=self._device), use_cache=False).logits[0]
            if not _agree(torch.cat(logits).float(), expected.float(), model.dtype):
                raise NotPackable("its logits differ when rows are packed")


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
        try:
            output = self._model(
                input_ids=torch.tensor([tokens], device=self._model.device),
                past_key_values=row.cache,
                use_cache=True,
                **({"logits_to_keep": max(wanted, 1)} if self._selects else {}),
            )
        except Exception as error:
            raise DecodingError(f"the forward pass failed: {type(error).__name__}; {_remedy(error)}") from error
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


def runner_for(model: PreTrainedModel) -> PackedRunner | SerialRunner:
    """The fastest runner that gives the model's own logits."""
    try:
        return PackedRunner(model)
    except NotPackable as reason:
        logger.warning(
            "%s is decoded one sequence at a time, which is slower: %s", type(model).__name__, reason
        )
        return SerialRunner(model)


def _windows(model: PreTrainedModel) -> dict[int, int]:
    """How far back each sliding layer sees, as transformers' own cache has it."""
    config = model.config.get_text_config()
    if "chunked_attention" in (getattr(config, "layer_types", None) or ()):
        raise NotPackable("its attention is chunked")
    if any(kind in str(getattr(config, "rope_parameters", None)) for kind in ("dynamic", "longrope")):
        raise NotPackable("its position encoding depends on the longest row")
    layers = DynamicCache(config=model.config).layers
    return {i: layer.sliding_window for i, layer in enumerate(layers) if getattr(layer, "sliding_window", None)}


def _twin(model: PreTrainedModel) -> Any:
    """The same parameters and buffers in modules of their own, with our attention and linear layers."""
    if not getattr(model, "_supports_attention_backend", False):
        raise NotPackable("it does not take its attention function from transformers' interface")
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    try:
        twin: Any = copy.deepcopy(model, shared)
    except Exception as error:
        raise NotPackable(f"its modules cannot be copied ({type(error).__name__})") from error
    for config in (twin.config, twin.config.get_text_config()):
        config._attn_implementation = attention.NAME  # noqa: SLF001 - transformers' own way to set it
    speed_up_linears(twin)
    return twin


@torch.inference_mode()
def _bytes_per_token(model: PreTrainedModel) -> int:
    """Measured on a cache of the model's own, whatever its layers keep."""
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([[token % model.config.get_text_config().vocab_size for token in _PROBES[1]]])
    model(input_ids=ids.to(model.device), past_key_values=cache, use_cache=True)
    tensors = [t for layer in cache.layers for t in (getattr(layer, "keys", None), getattr(layer, "values", None))]
    if not tensors or not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise NotPackable("some of its layers keep no keys and values")
    return sum(tensor.nbytes for tensor in tensors) // ids.shape[1]


def _agree(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    scale = theirs.abs().max().clamp(min=1.0)
    return bool((ours - theirs).abs().max() <= _TOLERANCE.get(dtype, _TOLERANCE_HALF) * scale)


def _remedy(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "lower BatchSettings.kv_cache_bytes or max_branches, or shorten the conversation"
    return "check the model's files and its device"
