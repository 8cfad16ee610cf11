"""Likelihoods: how likely an arm finds given answers. Nothing is decoded.

It translates: text into an engine's tokens, and log-probabilities into what figures are made of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Literal

from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines.worker import worker
from rose_guard.errors import InputError
from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.decoding.packed_runner import PackedRunner
    from rose_guard.decoding.serial_runner import SerialRunner
    from rose_guard.engines.engine import ReversePrompt
    from rose_guard.engines.transformers import TransformersEngine
    from rose_guard.evaluation.example import Example

FLOOR = -100.0
"""What a token's log-probability counts at least, so that sums and means stay finite where beta rules a token out.
A likelihood of e⁻¹⁰⁰ ≈ 10⁻⁴⁴ is less than float32 holds, so what is likelier than that keeps its order."""
PLAIN = RoseSettings(alpha=0.0)
"""Decoding without any contrast."""
OptionScoring = Literal["whole", "per_token", "letter"]
"""How an option of a multiple choice is scored.

``whole``, the default: the option's text as the assistant's whole answer, summed to the end of its turn. The likelihood
that the model answers just so, of events that exclude one another; asks for no format, so that models too small to
follow one can be measured; short options gain by it.
``per_token``: the same, over its number of tokens; long options, and those whose words follow of themselves, gain.
``letter``: the letter alone, as the beginning of an answer. Cheap, and the usual way for large models; needs messages
that list the options by letters, and tells of a small model mostly which letter it likes.
"""
_PROBE = (
    Message("user", "Hello"),
    Message("assistant", "Hello, and welcome. What would you like to hear of today?"),
    Message("user", "Hello"),
)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely one answer is.

    Args:
        total: natural logarithm of its likelihood, no token counted below :data:`FLOOR`.
        tokens: how many it has, the end of the turn included where that was asked for.
        ruled_out: how many of them lie at the floor.
    """

    total: float
    tokens: int
    ruled_out: int = 0

    @property
    def per_token(self) -> float:
        """The mean log-probability of its tokens."""
        return self.total / self.tokens

    @classmethod
    def of(cls, logprobs: Sequence[float]) -> Likelihood:
        """From the log-probabilities of its tokens."""
        floored = [max(logprob, FLOOR) for logprob in logprobs]
        return cls(math.fsum(floored), len(floored), sum(logprob <= FLOOR for logprob in logprobs))


class Likelihoods:
    """Scores given answers with the model of an engine, on the worker, beside what the engine decodes.

    Answers are scored where decoding would begin one. Of a model that thinks first, that is before its thoughts: such
    figures tell what it would say at once.

    Args:
        engine: whose model, tokens and chat template are used.
    """

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine

    def of(  # noqa: PLR0913 - what a request to decode has, and the answers
        self,
        messages: Sequence[Message],
        safe_prompt: str | None,
        reverse_prompts: Sequence[ReversePrompt],
        settings: RoseSettings,
        answers: Sequence[str],
        *,
        ended: bool = False,
    ) -> list[Likelihood]:
        """How likely each answer to a conversation is.

        Scores are normalised unless the settings say no: decoding greedily leaves them as they are, since its choices
        are the same either way, but likelihoods would be those of a temperature of ``1 / (1 − alpha)`` and no arm
        could be compared with plain decoding.

        Args:
            messages: the conversation.
            safe_prompt: as for an engine's request.
            reverse_prompts: likewise; none is plain decoding.
            settings: likewise.
            answers: texts.
            ended: whether each is a whole answer, so that the end of the turn is one of its tokens.

        Raises:
            InputError: if an answer has no tokens, the conversation cannot be encoded, or a reverse prompt reads like
                the safe one; ContextLengthError if it is too long.
            SettingsError: if alpha and the reverse prompts do not fit.
            DecodingError: if a forward pass fails.
        """
        from rose_guard.decoding.likelihood import contrasted_logprobs

        end = [self._end_of_turn] if ended else []
        continuations = [[*self._engine.token_ids(answer), *end] for answer in answers]
        positive = self._engine.encode(messages, safe_prompt)
        reverse = [self._engine.encode(messages, prompt.text) for prompt in reverse_prompts]
        if settings.alpha > 0.0 and positive in reverse:
            raise InputError(
                "the safe and the reverse prompt read the same here, so there is nothing to contrast; check that the "
                "chat template shows the system message of a conversation like this one, and the arm's prompts"
            )
        found = worker.run(
            contrasted_logprobs,
            self._engine.hf_model,
            positive,
            reverse,
            continuations,
            settings=settings if settings.normalised is not None else settings.updated(normalised=True),
            weights=[prompt.weight for prompt in reverse_prompts],
            runner=self._runner,
        )
        return [Likelihood.of(logprobs) for logprobs in found]

    def options(
        self,
        example: Example,
        safe_prompt: str | None = None,
        reverse_prompts: Sequence[ReversePrompt] = (),
        settings: RoseSettings = PLAIN,
        *,
        scoring: OptionScoring = "whole",
    ) -> tuple[float, ...]:
        """The log-likelihood of each option of a multiple choice, as ``Record.option_logprobs`` holds them.

        Args:
            example: one with options.
            safe_prompt: as for :meth:`of`.
            reverse_prompts: likewise.
            settings: likewise.
            scoring: see :data:`OptionScoring`.

        Raises:
            InputError: as :meth:`of`, or if there are no options, or more than letters.
        """
        if not example.options or len(example.options) > len(ascii_uppercase):
            raise InputError(f"an example of a multiple choice needs 1 to {len(ascii_uppercase)} options")
        lettered = scoring == "letter"
        answers = ascii_uppercase[: len(example.options)] if lettered else example.options
        found = self.of(example.messages, safe_prompt, reverse_prompts, settings, tuple(answers), ended=not lettered)
        return tuple(one.per_token if scoring == "per_token" else one.total for one in found)

    def references(
        self,
        example: Example,
        safe_prompt: str | None = None,
        reverse_prompts: Sequence[ReversePrompt] = (),
        settings: RoseSettings = PLAIN,
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Log-likelihoods per token of the safe and of the unsafe reference answers, as a ``Record`` holds them.

        Both count as beginnings of an answer: many data sets hold no more than its first words.

        Raises:
            InputError: as :meth:`of`.
        """
        answers = (*example.safe, *example.unsafe)
        found = self.of(example.messages, safe_prompt, reverse_prompts, settings, answers)
        per_token = tuple(one.per_token for one in found)
        return per_token[: len(example.safe)], per_token[len(example.safe) :]

    def plain(self, messages: Sequence[Message], answer: str) -> float | None:
        """Log-likelihood per token of an answer under the plain model, as ``Record.plain_logprob``; None of no text.

        The plain model reads the conversation alone, whatever prompts the answer was decoded with.

        Raises:
            InputError: as :meth:`of`.
        """
        return self.of(messages, None, (), PLAIN, [answer])[0].per_token if answer else None

    @cached_property
    def _runner(self) -> PackedRunner | SerialRunner:
        from rose_guard.decoding.runner import runner_for

        return worker.run(runner_for, self._engine.hf_model)

    @cached_property
    def _end_of_turn(self) -> int:
        """The token that the chat template ends an assistant's turn with; the tokenizer's own end where it shows none.

        A tokenizer's end-of-sequence token need not be it, and a model has often several at which decoding stops.
        """
        from rose_guard.decoding.chooser import token_ids

        generation_config: Any = self._engine.hf_model.generation_config
        own: int | None = self._engine.hf_tokenizer.eos_token_id
        ends = token_ids(generation_config.eos_token_id)
        before = len(self._engine.encode(_PROBE[:1]))
        end = next((token for token in self._engine.encode(_PROBE)[before:] if token in ends), own)
        if end is None:
            raise InputError("neither the chat template nor the tokenizer shows how a turn ends; set its eos_token")
        return end


def safety_margin(safe: Sequence[float], unsafe: Sequence[float]) -> float | None:
    """Mean log-likelihood per token of the safe references less that of the unsafe ones; None without both.

    Above 0 the arm finds harmless answers likelier; means of tokens, since references differ in length.
    """
    if not safe or not unsafe:
        return None
    return math.fsum(safe) / len(safe) - math.fsum(unsafe) / len(unsafe)
