"""The decoding loop: prefill, contrast, choose, append, emit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from rose_guard.decoding.branch import Branch
from rose_guard.decoding.chooser import TokenChooser
from rose_guard.decoding.contrast import contrast
from rose_guard.decoding.settings import SAMPLING_BETA, RoseSettings
from rose_guard.errors import ContextLengthError, InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Step:
    """One chosen token.

    Args:
        token_id: the token; an end-of-sequence token only where ``finish`` is ``stop``.
        contrasted: whether every reverse branch took part in the choice.
        changed: whether the contrast moved the highest score to another token.
        finish: set on the last step: ``stop`` at an end-of-sequence token, ``length`` at the limit.
    """

    token_id: int
    contrasted: bool
    changed: bool
    finish: FinishReason | None = None


def rose_generate(
    model: PreTrainedModel,
    positive_ids: Sequence[int],
    reverse_ids: Sequence[Sequence[int]],
    *,
    settings: RoseSettings | None = None,
    weights: Sequence[float] | None = None,
    max_new_tokens: int = 64,
) -> list[int]:
    """Generate with reverse prompt contrastive decoding (arXiv 2402.11889).

    Args:
        model: a causal language model from transformers.
        positive_ids: the prompt with the safe system prompt, as token ids.
        reverse_ids: one prompt per reverse branch.
        settings: defaults to ``RoseSettings()``.
        weights: the reverse branches' shares of ``settings.alpha``; equal unless given.
        max_new_tokens: limit of the answer, in tokens.

    Returns:
        The new token ids, without the end-of-sequence token.

    Raises:
        InputError: if a prompt is empty, or ContextLengthError if one is too long.
        SettingsError: if the weights do not fit the branches.
        DecodingError: if a branch failed; no token is ever chosen without the contrast that was due.
    """
    steps = decode(
        model,
        positive_ids,
        reverse_ids,
        settings=settings or RoseSettings(),
        weights=weights,
        max_new_tokens=max_new_tokens,
    )
    return [step.token_id for step in steps if step.finish != "stop"]


def decode(
    model: PreTrainedModel,
    positive_ids: Sequence[int],
    reverse_ids: Sequence[Sequence[int]],
    *,
    settings: RoseSettings,
    weights: Sequence[float] | None = None,
    max_new_tokens: int,
) -> Iterator[Step]:
    """As :func:`rose_generate`, one :class:`Step` at a time; prompts and settings are checked at once."""
    alphas = _split(settings.alpha, weights, len(reverse_ids))
    if settings.alpha == 0.0:
        reverse_ids, alphas = [], []
    limit = _token_limit(model, [positive_ids, *reverse_ids], max_new_tokens)
    chooser = TokenChooser(model, len(positive_ids), settings, limit)
    return _steps(model, list(positive_ids), reverse_ids, alphas, settings, chooser, limit)


def _steps(
    model: PreTrainedModel,
    positive_ids: list[int],
    reverse_ids: Sequence[Sequence[int]],
    alphas: Sequence[float],
    settings: RoseSettings,
    chooser: TokenChooser,
    limit: int,
) -> Iterator[Step]:
    beta = settings.beta if settings.beta is not None else (SAMPLING_BETA if chooser.samples else 0.0)
    normalised = settings.normalised if settings.normalised is not None else chooser.samples
    positive = Branch(model, positive_ids, "positive")
    reverse = [Branch(model, ids, "reverse") for ids in reverse_ids]
    history = torch.tensor([positive_ids], device=model.device)

    for position in range(limit):
        if position == settings.horizon:
            reverse, alphas = [], []
        positive_logits = positive.next_logits()
        reverse_logits = [branch.next_logits() for branch in reverse]
        scores = positive_logits
        if reverse:
            scores = contrast(positive_logits, reverse_logits, alphas, beta=beta, normalised=normalised)
        token_id = chooser.choose(history, scores)

        stopped = token_id in chooser.eos_token_ids
        yield Step(
            token_id,
            contrasted=bool(reverse),
            changed=bool(reverse) and bool(scores.argmax() != positive_logits.argmax()),
            finish="stop" if stopped else ("length" if position == limit - 1 else None),
        )
        if stopped:
            return
        for branch in (positive, *reverse):
            branch.append(token_id)
        history = torch.cat([history, history.new_tensor([[token_id]])], dim=1)


def _split(alpha: float, weights: Sequence[float] | None, branches: int) -> list[float]:
    weights = [1.0] * branches if weights is None else weights
    if len(weights) != branches or any(not 0.0 < weight < math.inf for weight in weights):
        raise SettingsError(f"weights must hold one positive number for each of the {branches} reverse prompts")
    if alpha > 0.0 and not branches:
        raise SettingsError(f"alpha is {alpha} but there is no reverse prompt to contrast; pass one, or alpha=0")
    alphas = [alpha * (weight / sum(weights)) for weight in weights]
    if alpha > 0.0 and not all(share > 0.0 for share in alphas):
        raise SettingsError("the weights differ by so much that a reverse prompt would count for nothing")
    return alphas


def _token_limit(model: PreTrainedModel, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> int:
    if max_new_tokens < 1:
        raise SettingsError(f"max_new_tokens = {max_new_tokens}: must be at least 1")
    if not all(prompts):
        raise InputError("a prompt has no tokens; every branch needs at least one")
    longest = max(len(prompt) for prompt in prompts)
    context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is None or context < 1:
        return max_new_tokens
    if longest >= context:
        raise ContextLengthError(longest, context)
    return min(max_new_tokens, context - longest)
