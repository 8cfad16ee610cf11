"""How likely given continuations are under the contrast, by teacher forcing.

The scores are those that decoding chooses from: the same branches, weights, plausibility and schedule, token by token.
Penalties, warpers and the generation_config's bans have no part in them, as they have none in a step's log-probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rose_guard.decoding.branch import Prompt, finite_logits
from rose_guard.decoding.contrast import contrast
from rose_guard.decoding.generation import DecodingOptions, Generation
from rose_guard.decoding.serial_runner import SerialRunner
from rose_guard.errors import ContextLengthError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

    from rose_guard.decoding.branch import Branch
    from rose_guard.decoding.runner import Runner
    from rose_guard.decoding.settings import RoseSettings

_CONTINUATIONS_AT_ONCE = 8
_LOGITS_AT_ONCE = 256


@torch.inference_mode()
def contrasted_logprobs(
    model: PreTrainedModel,
    positive_ids: Sequence[int],
    reverse_ids: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    settings: RoseSettings,
    weights: Sequence[float] | None = None,
    runner: Runner | None = None,
) -> list[list[float]]:
    """``log p(cᵢ | prompts, c₁ … cᵢ₋₁)`` for every token of each continuation ``c``, under the contrasted scores.

    Each branch reads its prompt once. Continuations are read a few at a time and their logits in pieces, so that
    memory does not grow with the number of either.

    Args:
        model: a causal language model from transformers.
        positive_ids: the prompt with the safe system prompt, as token ids.
        reverse_ids: one prompt per reverse branch; not read where alpha is 0.
        continuations: at least one token each; an end-of-sequence token is a token like any other.
        settings: how scores come about: alpha, beta, horizon, schedule and normalised, with decoding's own defaults.
            Scores that are not normalised are as flat as those of a temperature of ``1 / (1 − alpha)``.
        weights: the reverse branches' shares of ``settings.alpha``; equal unless given.
        runner: what reads tokens for this model; one sequence at a time unless given.

    Returns:
        For each continuation one natural logarithm per token, −inf where beta rules the token out.

    Raises:
        InputError: if a prompt or continuation is empty, or ContextLengthError if they are too long together.
        SettingsError: if the weights do not fit the branches.
        DecodingError: if a forward pass fails or a logit is not finite.
    """
    if not all(continuations):
        raise InputError("a continuation has no tokens, so it has no likelihood; give each at least one")
    if not continuations:
        return []
    forced = _forced_generation(model, positive_ids, reverse_ids, max(map(len, continuations)), settings, weights)
    reader: Any = runner or SerialRunner(model)
    prompts: list[Any] = []
    logprobs: list[list[float]] = []
    try:
        for branch in forced.branches:
            prompts.append(reader.open(len(branch.prompt.ids)))
            _read_all_but_last(reader, prompts[-1], branch)
        for start in range(0, len(continuations), _CONTINUATIONS_AT_ONCE):
            logprobs += _follow(forced, reader, prompts, continuations[start : start + _CONTINUATIONS_AT_ONCE])
    finally:
        for row in prompts:
            reader.close(row)
    return logprobs


def _forced_generation(
    model: PreTrainedModel,
    positive_ids: Sequence[int],
    reverse_ids: Sequence[Sequence[int]],
    longest: int,
    settings: RoseSettings,
    weights: Sequence[float] | None,
) -> Generation:
    """A generation that is never decoded: it checks the prompts, and knows its branches' alphas and its defaults."""
    generation = Generation(
        model,
        Prompt(tuple(positive_ids)),
        [Prompt(tuple(ids)) for ids in reverse_ids],
        weights=weights,
        options=DecodingOptions(settings=settings, max_new_tokens=longest),
    )
    if generation.limit < longest:
        prompt = max(len(branch.prompt.ids) for branch in generation.branches)
        raise ContextLengthError(prompt + longest, prompt + generation.limit)
    return generation


def _read_all_but_last(reader: Any, row: Any, branch: Branch) -> None:
    """Read a prompt but for its last token, whose logits each continuation needs for its first."""
    if read := branch.prompt.ids[:-1]:
        reader.read([(row, read, 0)])


def _follow(
    forced: Generation, reader: Any, prompts: Sequence[Any], continuations: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Let every branch read every continuation behind its prompt, piece by piece."""
    logprobs: list[list[float]] = [[] for _ in continuations]
    rows: list[list[Any]] = []
    try:
        for branch, prompt in zip(forced.branches, prompts, strict=True):
            rows.append([])
            for tokens in continuations:
                rows[-1].append(reader.copy(prompt, len(branch.prompt.ids) + len(tokens)))
        for start, end in _pieces(forced, continuations):
            going = [i for i, tokens in enumerate(continuations) if len(tokens) > start]
            branches = forced.branches if _contrasts(forced, start) else [forced.positive]
            reads = [
                (rows[b][i], _inputs(branch, continuations[i], start, end))
                for b, branch in enumerate(branches)
                for i in going
            ]
            given = iter(reader.read([(row, tokens, len(tokens)) for row, tokens in reads]))
            logits = [[_finite(branch, next(given)) for _ in going] for branch in branches]
            for i, positive, *reverse in zip(going, *logits, strict=True):
                logprobs[i] += _logprobs(forced, start, continuations[i], positive, reverse)
    finally:
        for row in [row for branch_rows in rows for row in branch_rows]:
            reader.close(row)
    return logprobs


def _pieces(forced: Generation, continuations: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """First and last position of what is read at once; none reaches over the horizon."""
    longest, horizon = max(map(len, continuations)), forced.options.settings.horizon
    step = max(1, _LOGITS_AT_ONCE // (len(continuations) * len(forced.branches)))
    start = 0
    while start < longest:
        end = min(start + step, longest)
        if horizon is not None and start < horizon:
            end = min(end, horizon)
        yield start, end
        start = end


def _contrasts(forced: Generation, position: int) -> bool:
    """Whether the reverse branches have a say there."""
    return bool(forced.reverse) and forced.options.settings.strength(position) > 0.0


def _inputs(branch: Branch, tokens: Sequence[int], start: int, end: int) -> list[int]:
    """What a branch reads to speak of these positions: the tokens one place before them."""
    return [branch.prompt.ids[-1], *tokens[:-1]][start:end]


def _finite(branch: Branch, logits: Tensor) -> Tensor:
    branch.logits = logits
    return finite_logits(branch)


def _logprobs(
    forced: Generation, start: int, tokens: Sequence[int], positive: Tensor, reverse: Sequence[Tensor]
) -> list[float]:
    """Log-probabilities of the tokens at these positions, as a step of decoding has them."""
    found: list[float] = []
    for offset, scores in enumerate(positive):
        position = start + offset
        if reverse:
            strength = forced.options.settings.strength(position)
            scores = contrast(  # noqa: PLW2901 - as decoding has it: the plain scores unless there is a contrast
                scores,
                [logits[offset] for logits in reverse],
                [strength * branch.alpha for branch in forced.reverse],
                beta=forced._beta,  # noqa: SLF001 - decoding's own default, whatever it is
                normalised=forced._normalised,  # noqa: SLF001 - likewise
            )
        found.append(float(scores.log_softmax(dim=-1)[tokens[position]]))
    return found
