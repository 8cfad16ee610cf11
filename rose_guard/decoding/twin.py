"""A model's twin: the same parameters in modules of its own, ready to decode packed rows."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from rose_guard.decoding import attention
from rose_guard.decoding.linear import speed_up_linears

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class NotPackable(Exception):  # noqa: N818 - a reason, caught where the runner is chosen
    """Why a model cannot be decoded with its rows packed together."""


def twin_of(model: PreTrainedModel) -> Any:
    """The same parameters and buffers in modules of their own, with our attention and linear layers.

    The model itself stays as it is.

    Raises:
        NotPackable: if its attention is its own affair, or its modules cannot be copied.
    """
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
