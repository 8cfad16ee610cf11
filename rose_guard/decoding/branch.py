"""Branch: one sequence, its KV cache, and the logits of what comes next."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from rose_guard.errors import DecodingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel


class Branch:
    """One of the sequences decoded in lock-step, with a cache of its own.

    Args:
        model: a causal language model.
        prompt_ids: the tokens it starts with.
        role: ``positive`` or ``reverse``, for error messages.
    """

    def __init__(self, model: PreTrainedModel, prompt_ids: Sequence[int], role: str) -> None:
        self._model = model
        self._role = role
        self._unread = list(prompt_ids)
        self._cache = DynamicCache(config=model.config)
        # Most models can leave out the logits of all tokens but the last, which a long prompt has no use for.
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}

    def append(self, token_id: int) -> None:
        """Put the token that was chosen at the end of the sequence."""
        self._unread.append(token_id)

    @torch.inference_mode()
    def next_logits(self) -> Tensor:
        """Read what was appended and give the next token's logits, float32 of shape ``(vocabulary,)``.

        Raises:
            DecodingError: if the forward pass fails or a logit is not finite.
        """
        try:
            output = self._model(
                input_ids=torch.tensor([self._unread], device=self._model.device),
                past_key_values=self._cache,
                use_cache=True,
                **self._last_only,
            )
        except Exception as error:
            raise DecodingError(f"the {self._role} branch's forward pass failed: {type(error).__name__}") from error
        if getattr(output, "past_key_values", None) is not self._cache:
            raise DecodingError(
                f"{type(self._model).__name__} keeps no key-value cache, so its branches would forget their prompts; "
                f"use a model with attention and a cache"
            )
        self._unread = []
        logits: Tensor = output.logits[0, -1].to(device=self._model.device, dtype=torch.float32, copy=True)
        if not torch.isfinite(logits).all():
            raise DecodingError(
                f"the {self._role} branch gave logits that are not finite, so no token was chosen; "
                f"try dtype='float32', and check the weights"
            )
        return logits
