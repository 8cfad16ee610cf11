"""Generation: one answer in the making, its branches in lock-step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from rose_guard.decoding.branch import Branch, Prompt, finite_logits
from rose_guard.decoding.chooser import TokenChooser, best_token
from rose_guard.decoding.contrast import contrast
from rose_guard.decoding.lookup import PromptLookup
from rose_guard.decoding.settings import SAMPLING_BETA, RoseSettings
from rose_guard.errors import ContextLengthError, InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

FinishReason = Literal["stop", "length"]


class TokenMask(Protocol):
    """Which tokens a grammar admits next. Asked once for each token of an answer, in order."""

    def __call__(self, generated: Sequence[int]) -> Tensor:
        """Bool of shape ``(vocabulary,)``, given the answer so far; at least one token must be allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One chosen token.

    Args:
        token_id: the token; an end-of-sequence token only where ``finish`` is ``stop``.
        contrasted: whether every reverse branch took part in the choice.
        changed: whether the contrast moved the highest score to another token.
        finish: set on the last step: ``stop`` at an end-of-sequence token, ``length`` at the limit.
        logprob: log-probability of the token under the (contrasted) scores, before penalties and temperature; None
            unless asked for.
        top_logprobs: the likeliest tokens under the same scores, best first; fewer where fewer are possible.
    """

    token_id: int
    contrasted: bool
    changed: bool
    finish: FinishReason | None = None
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class Counts:
    """What it took to answer.

    Args:
        prompt_tokens: tokens of all branches' prompts.
        cached_tokens: those whose keys and values were there already.
        drafted_tokens: tokens guessed by prompt lookup.
        accepted_tokens: those that were chosen.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How an answer is decoded, beyond its prompts.

    Args:
        settings: how tokens are chosen.
        max_new_tokens: limit of the answer, in tokens.
        mask: a grammar, or None.
        logprobs: None, or of how many of the likeliest tokens log-probabilities are wanted beside the chosen one's.
        owner: whose text it is; None keeps nothing of it for later.
    """

    settings: RoseSettings = field(default_factory=RoseSettings)
    max_new_tokens: int = 64
    mask: TokenMask | None = None
    logprobs: int | None = None
    owner: str | None = None


class Generation:
    """One answer in the making.

    Args:
        model: the model whose generation_config and context length hold.
        positive: the prompt with the safe system prompt.
        reverse: one prompt per reverse branch; not read where alpha is 0.
        weights: the reverse branches' shares of alpha; equal unless given.
        options: everything else.

    Raises:
        InputError: if a prompt is empty, or ContextLengthError if one is too long.
        SettingsError: if the weights do not fit the branches.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        positive: Prompt,
        reverse: Sequence[Prompt],
        *,
        weights: Sequence[float] | None = None,
        options: DecodingOptions,
    ) -> None:
        settings = options.settings
        alphas = _split(settings.alpha, weights, len(reverse))
        if settings.alpha == 0.0:
            reverse, alphas = [], []
        self.limit = _token_limit(model, [positive, *reverse], options.max_new_tokens)
        self.positive = Branch("positive", positive)
        self.reverse = [Branch("reverse", prompt, alpha) for prompt, alpha in zip(reverse, alphas, strict=True)]
        self.options = options
        self.generated: list[int] = []
        self.draft: list[int] = []
        self.followers: list[Generation] = []
        self.finished = False
        self.cancelled = False
        self.counts = Counts(sum(len(branch.prompt.ids) for branch in self.branches))
        self.lookup = PromptLookup(positive.ids)
        self._chooser = TokenChooser(model, positive.ids, settings, self.limit)
        self._beta = settings.beta if settings.beta is not None else (SAMPLING_BETA if self._chooser.samples else 0.0)
        self._normalised = settings.normalised if settings.normalised is not None else self._chooser.samples

    @property
    def branches(self) -> list[Branch]:
        """Those that the next step needs."""
        return [self.positive, *self.reverse]

    @property
    def tokens(self) -> list[int]:
        """Tokens of each branch to the last one of the answer."""
        return [len(branch.prompt.ids) + self.limit for branch in self.branches]

    @property
    def horizon_reached(self) -> bool:
        """Whether the reverse branches have done what they were scheduled for."""
        horizon = self.options.settings.horizon
        return bool(self.reverse) and horizon is not None and len(self.generated) >= horizon

    def unread(self, branch: Branch) -> list[int]:
        """The tokens that a branch has yet to read."""
        prompt, read = branch.prompt.ids, branch.row.length
        if read < len(prompt):
            return [*prompt[read:], *self.generated]
        return self.generated[read - len(prompt) :]

    @property
    def decodes(self) -> bool:
        """Whether all branches have read everything but the latest token."""
        return bool(self.generated) and all(len(self.unread(branch)) == 1 for branch in self.branches)

    @property
    def ready(self) -> bool:
        """Whether every branch that is due has said what it thinks of the next token."""
        return all(branch.logits is not None for branch in self.branches)

    def choose(self) -> list[Step]:
        """Choose tokens from the branches' logits: one, and one more for each token of the draft that was right.

        Raises:
            DecodingError: if a logit is not finite, or no token is left. The tokens chosen before it in the same
                step are not given out.
        """
        positive, *reverse = (finite_logits(branch) for branch in self.branches)
        steps: list[Step] = []
        for position, guess in enumerate([*self.draft, None]):
            steps.append(self._step(positive[position], [logits[position] for logits in reverse]))
            if steps[-1].finish is not None or steps[-1].token_id != guess:
                break
        self._take_back(len(steps))
        self.finished = steps[-1].finish is not None
        return steps

    def _step(self, positive: Tensor, reverse: Sequence[Tensor]) -> Step:
        strength = self.options.settings.strength(len(self.generated)) if reverse else 0.0
        plain = scores = self._masked(positive)
        if strength > 0.0:
            scores = contrast(
                positive,
                reverse,
                [strength * branch.alpha for branch in self.reverse],
                beta=self._beta,
                normalised=self._normalised,
                allowed=None if self.options.mask is None else plain > -math.inf,
            )
        token_id = self._chooser.choose(scores)
        self.generated.append(token_id)
        self.lookup.append(token_id)
        stopped = token_id in self._chooser.eos_token_ids
        logprob, top = self._logprobs(scores, token_id)
        return Step(
            token_id,
            contrasted=strength > 0.0,
            changed=strength > 0.0 and best_token(scores) != best_token(plain),
            finish="stop" if stopped else ("length" if len(self.generated) == self.limit else None),
            logprob=logprob,
            top_logprobs=top,
        )

    def _masked(self, logits: Tensor) -> Tensor:
        """Logits with −inf for what the grammar forbids next."""
        if self.options.mask is None:
            return logits
        allowed = self.options.mask(tuple(self.generated)).to(logits.device)
        return logits.masked_fill(~allowed, -math.inf)

    def _logprobs(self, scores: Tensor, token_id: int) -> tuple[float | None, tuple[tuple[int, float], ...]]:
        count = self.options.logprobs
        if count is None:
            return None, ()
        logprobs = scores.log_softmax(dim=-1)
        values, ids = logprobs.topk(min(count, len(logprobs)))
        top = [(i, value) for i, value in zip(ids.tolist(), values.tolist(), strict=True) if value > -math.inf]
        return float(logprobs[token_id]), tuple(top)

    def _take_back(self, chosen: int) -> None:
        """Forget what the branches read of the draft beyond what was chosen."""
        accepted, wrong = chosen - 1, len(self.draft) - (chosen - 1)
        if self.draft:
            self.lookup.learn(len(self.draft), accepted)
            self.counts.drafted_tokens += len(self.draft)
            self.counts.accepted_tokens += accepted
        for branch in self.branches:
            branch.row.length -= wrong
            branch.logits = None
        self.draft = []


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


def _token_limit(model: PreTrainedModel, prompts: Sequence[Prompt], max_new_tokens: int) -> int:
    if max_new_tokens < 1:
        raise SettingsError(f"max_new_tokens = {max_new_tokens}: must be at least 1")
    if not all(prompt.ids for prompt in prompts):
        raise InputError("a prompt has no tokens; every branch needs at least one")
    longest = max(len(prompt.ids) for prompt in prompts)
    context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is None or context < 1:
        return max_new_tokens
    if longest >= context:
        raise ContextLengthError(longest, context)
    return min(max_new_tokens, context - longest)
