"""Attention over rows packed into one sequence, each seeing its own cache only.

Registered with transformers under a name of our own, so that any model which takes its attention function from there
can decode many rows without padding its linear layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rose_guard.decoding.plan import Block, Plan

NAME = "rose_guard"
_UNSUPPORTED = ("s_aux", "position_bias")


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,  # noqa: ARG001 - stored in the plan's pools already, as is value
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - the plan knows who sees what
    *,
    plan: Plan,
    windows: dict[int, int],
    scaling: float | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention in the form that transformers asks for.

    Args:
        module: the attention layer; its ``layer_idx`` says which keys and values to read.
        query: shape ``(1, heads, tokens, head size)``, the tokens packed as the plan says.
        key: new keys; read from the plan's pools instead.
        value: new values, likewise.
        attention_mask: not used.
        plan: which token belongs to which row.
        windows: by layer, how many tokens back it sees, itself included; all where it is not listed.
        scaling: factor of the scores; ``head size ** -0.5`` unless given.
        softcap: scores are squeezed to ± this (Gemma 2), unless None.
        kwargs: what else models pass on.

    Returns:
        Outputs of shape ``(1, tokens, heads, head size)``.

    Raises:
        NotImplementedError: if the model asks for what is not done here; it is then decoded without packing.
    """
    if asked := [name for name in _UNSUPPORTED if kwargs.get(name) is not None]:
        raise NotImplementedError(f"attention with {', '.join(asked)}")
    layer: Any = module.layer_idx
    window = windows.get(layer)
    outputs = [_attend_block(block, layer, query, window, scaling, softcap) for block in plan.blocks]
    output = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return output.reshape(1, plan.tokens, query.shape[1], value.shape[-1]), None


def _attend_block(
    block: Block, layer: int, query: Tensor, window: int | None, scaling: float | None, softcap: float | None
) -> Tensor:
    """Outputs of a block's tokens, ``(tokens, heads, head size)``."""
    keys = block.pool.keys[layer][block.slots, : block.keys].transpose(1, 2)
    values = block.pool.values[layer][block.slots, : block.keys].transpose(1, 2)
    heads, groups = query.shape[1], query.shape[1] // keys.shape[1]
    queries = query[0, :, block.tokens].transpose(0, 1)
    if not block.even:
        padded = queries.new_zeros(block.rows * block.queries, *queries.shape[1:])
        queries = padded.index_copy_(0, block.padded.to(query.device), queries)
    # Heads that share keys become further queries of one head, so that keys need not be repeated for them.
    queries = queries.view(block.rows, block.queries, heads, -1).transpose(1, 2)
    queries = queries.reshape(block.rows, heads // groups, groups * block.queries, -1)
    mask = block.mask(window, groups, queries)
    if softcap is None:
        output = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scaling)
    else:
        output = _softcapped(queries, keys, values, mask, scaling, softcap)
    output = output.reshape(block.rows, heads, block.queries, -1).transpose(1, 2).flatten(0, 1)
    return output if block.even else output[block.padded.to(query.device)]


def _softcapped(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None, softcap: float
) -> Tensor:
    scores = queries @ keys.transpose(2, 3) * (queries.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = torch.tanh(scores / softcap) * softcap
    if mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1, dtype=torch.float32).to(queries.dtype) @ values


AttentionInterface.register(NAME, attend)
