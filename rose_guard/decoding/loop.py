"""The method by itself: one generation decoded on the calling thread, with transformers' own cache.

The reference that the batched engine is held against: no packing, no drafts, no cache beyond the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.decoding.batch import Batch
from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.branch import Prompt
from rose_guard.decoding.generation import DecodingOptions, Generation
from rose_guard.decoding.serial_runner import SerialRunner
from rose_guard.decoding.settings import RoseSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

    from rose_guard.decoding.generation import Step, TokenMask


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
    mask: TokenMask | None = None,
    logprobs: int | None = None,
) -> Iterator[Step]:
    """As :func:`rose_generate`, one :class:`Step` at a time; prompts and settings are checked at once.

    Args:
        model: a causal language model from transformers.
        positive_ids: the prompt with the safe system prompt, as token ids.
        reverse_ids: one prompt per reverse branch.
        settings: how tokens are chosen.
        weights: the reverse branches' shares of ``settings.alpha``; equal unless given.
        max_new_tokens: limit of the answer, in tokens.
        mask: which tokens a grammar admits; applies to the contrasted scores.
        logprobs: of how many of the likeliest tokens log-probabilities are wanted; None for none at all.
    """
    generation = Generation(
        model,
        Prompt(tuple(positive_ids)),
        [Prompt(tuple(ids)) for ids in reverse_ids],
        weights=weights,
        options=DecodingOptions(settings=settings, max_new_tokens=max_new_tokens, mask=mask, logprobs=logprobs),
    )
    limits = BatchSettings(max_branches=len(generation.branches))
    batch = Batch(SerialRunner(model), model.device, model.dtype, limits)
    batch.add(generation)
    return _steps(batch)


def _steps(batch: Batch) -> Iterator[Step]:
    while batch.busy:
        for progress in batch.step():
            if progress.error is not None:
                raise progress.error
            yield from progress.steps
