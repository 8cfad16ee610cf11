"""Guard: classify, decide, decode. The only place where classifier, policy and engine meet; knows no LangChain."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rose_guard.assessment import RiskAssessment
from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines.engine import Contrast, Delta, GenerationRequest, ReversePrompt, Timing, Usage
from rose_guard.engines.worker import worker
from rose_guard.errors import ClassifierError, PolicyViolation, SettingsError
from rose_guard.message import Message, check_conversation, digest
from rose_guard.policy.decision import Decision
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import deadline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence

    from rose_guard.engines.engine import Constraint, DeltaStream, Engine, TokenLogprob
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.classifier import RiskClassifier

PLAIN = "plain"
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """What a caller may choose of one answer.

    Args:
        settings: how tokens are chosen; its alpha and horizon are the policy's choice and are replaced.
        max_new_tokens: limit of the answer, in tokens.
        stop: the answer ends before the first of these strings.
        language: code of the language for prompts and messages, where the policy has it.
        n: how many answers; they differ where tokens are drawn.
        logprobs: None, or for how many of the likeliest tokens log-probabilities are told.
        constraint: a grammar that answers must follow.
        principal: whose conversation it is, as authenticated; what was read of it is kept for this principal's later
            turns alone. None keeps nothing.

    Raises:
        SettingsError: if max_new_tokens or n is below 1, or a stop string is empty or no text.
    """

    settings: RoseSettings = field(default_factory=RoseSettings)
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    language: str = "en"
    n: int = 1
    logprobs: int | None = None
    constraint: Constraint | None = None
    principal: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise SettingsError(f"n = {self.n!r}: must be a whole number of at least 1")
        if not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise SettingsError(f"max_new_tokens = {self.max_new_tokens!r}: must be a whole number of at least 1")
        if isinstance(self.stop, str) or not all(isinstance(stop, str) and stop for stop in self.stop):
            raise SettingsError("stop must be a list of non-empty texts")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer, and the decision under which it was given."""

    delta: Delta
    decision: Decision

    @property
    def text(self) -> str:
        """What to append to the answer; may be empty."""
        return self.delta.text


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer and how it came about.

    Args:
        text: what may be shown.
        last: the stream's last piece, which carries the decision, finish_reason, usage, contrast and timing.
        logprobs: of its tokens, where asked for.
    """

    text: str
    last: Piece
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def decision(self) -> Decision:
        """What the policy decided, and why."""
        return self.last.decision

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Answer:
        """Join the pieces of a finished answer."""
        logprobs = tuple(logprob for piece in pieces for logprob in piece.delta.logprobs)
        return cls("".join(piece.text for piece in pieces), pieces[-1], logprobs)


class Guard:
    """A guarded model without LangChain.

    Args:
        engine: what decodes.
        classifier: what scores; not needed where the policy steers everything, or there is none.
        policy: what decides; None decodes plainly.

    Raises:
        ClassifierError: if the policy needs scores and there is no classifier.
    """

    def __init__(
        self, engine: Engine, *, classifier: RiskClassifier | None = None, policy: Policy | None = None
    ) -> None:
        if policy is not None and policy.ungated is None and classifier is None:
            raise ClassifierError("this policy is gated by risk and needs a classifier; pass one, or policy=None")
        self.engine = engine
        self.classifier = classifier
        self.policy = policy

    def decide(self, messages: Sequence[Message]) -> Decision:
        """Score a conversation and say what happens to it.

        Raises:
            InputError: if there is nothing to answer.
        """
        messages = tuple(messages)
        check_conversation(messages)
        return self._decide(messages, worker.run(self._assess, messages) if self._needs_scores else None)

    async def adecide(self, messages: Sequence[Message]) -> Decision:
        """As :meth:`decide`, without blocking the event loop."""
        messages = tuple(messages)
        check_conversation(messages)
        return self._decide(messages, await worker.arun(self._assess, messages) if self._needs_scores else None)

    def stream(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Generator[Piece]:
        """Answer piece by piece; a refusal is one piece, and the model does not run.

        Where ``options.n`` is above 1, the pieces of all answers come as they are decoded, told apart by
        ``delta.index``.

        Raises:
            PolicyViolation: if the action is ``block``.
            InputError, ContextLengthError, DecodingError, EngineOverloadedError: from the engine.
        """
        messages = tuple(messages)  # what is judged is what is answered, whatever becomes of the caller's list
        decision = self.decide(messages)
        planned = self._plan(messages, decision, options or GenerationOptions())
        deltas = self.engine.stream(planned) if isinstance(planned, GenerationRequest) else planned
        try:
            for delta in deltas:
                yield Piece(delta, decision)
        finally:
            _close(deltas)

    async def astream(
        self, messages: Sequence[Message], *, options: GenerationOptions | None = None
    ) -> AsyncGenerator[Piece]:
        """As :meth:`stream`, without blocking the event loop; cancelling it stops the decoding within a step."""
        messages = tuple(messages)
        decision = await self.adecide(messages)
        planned = self._plan(messages, decision, options or GenerationOptions())
        if not isinstance(planned, GenerationRequest):
            for delta in planned:
                yield Piece(delta, decision)
            return
        async with aclosing(self.engine.astream(planned)) as deltas:
            async for delta in deltas:
                yield Piece(delta, decision)

    def answer(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Answer:
        """Answer at once; the first one where ``options.n`` is above 1. Errors as :meth:`stream`."""
        return _answers(list(self.stream(messages, options=options)))[0]

    async def aanswer(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Answer:
        """As :meth:`answer`, without blocking the event loop."""
        return _answers([piece async for piece in self.astream(messages, options=options)])[0]

    def answers(
        self, conversations: Iterable[Sequence[Message]], *, options: GenerationOptions | None = None
    ) -> list[list[Answer]]:
        """Answer many conversations, decoded together; for each its ``options.n`` answers.

        Raises:
            PolicyViolation: if one of them is blocked; what was under way is given up.
            InputError, ContextLengthError, DecodingError, EngineOverloadedError: from the engine.
        """
        options = options or GenerationOptions()
        left = [tuple(messages) for messages in conversations]
        answered: list[list[Answer]] = []
        while left:
            together, left = left[:_TOGETHER], left[_TOGETHER:]
            answered += self._answer_together(together, options)
        return answered

    async def aanswers(
        self, conversations: Iterable[Sequence[Message]], *, options: GenerationOptions | None = None
    ) -> list[list[Answer]]:
        """As :meth:`answers`, without blocking the event loop."""
        places = asyncio.Semaphore(_TOGETHER)

        async def answer(messages: Sequence[Message]) -> list[Answer]:
            async with places:
                return _answers([piece async for piece in self.astream(messages, options=options)])

        answering = [asyncio.ensure_future(answer(messages)) for messages in conversations]
        try:
            return list(await asyncio.gather(*answering))
        finally:  # one that failed, or a reader that went away, ends the others
            for task in answering:
                task.cancel()

    def _answer_together(
        self, conversations: Sequence[tuple[Message, ...]], options: GenerationOptions
    ) -> Iterator[list[Answer]]:
        decisions = self._decide_together(conversations)
        planned = [self._plan(*judged, options) for judged in zip(conversations, decisions, strict=True)]
        streams = iter(self.engine.streams([plan for plan in planned if isinstance(plan, GenerationRequest)]))
        opened = [next(streams) if isinstance(plan, GenerationRequest) else plan for plan in planned]
        try:
            for decision, deltas in zip(decisions, opened, strict=True):
                yield _answers([Piece(delta, decision) for delta in deltas])
        finally:
            for deltas in opened:
                _close(deltas)

    def _decide_together(self, conversations: Sequence[tuple[Message, ...]]) -> list[Decision]:
        for messages in conversations:
            check_conversation(messages)
        if not self._needs_scores:
            return [self._decide(messages, None) for messages in conversations]
        assessed = worker.run(self._assess_many, conversations)
        return [self._decide(*judged) for judged in zip(conversations, assessed, strict=True)]

    @property
    def _needs_scores(self) -> bool:
        return self.policy is not None and self.policy.ungated is None

    def _assess(self, messages: Sequence[Message]) -> RiskAssessment | str:
        """The scores, or why there are none; whatever a classifier raises must not pass for harmless."""
        assert self.classifier is not None
        assert self.policy is not None
        try:
            with deadline(self.policy.scoring_time(_characters(messages))):
                assessment = self.classifier.classify(messages)
        except Exception as error:  # noqa: BLE001 - becomes the policy's on_error action, with its reason
            return str(error) if isinstance(error, ClassifierError) else type(error).__name__
        return assessment if isinstance(assessment, RiskAssessment) else f"no assessment from {self.classifier.name}"

    def _assess_many(self, conversations: Sequence[Sequence[Message]]) -> list[RiskAssessment | str]:
        """As :meth:`_assess`, in one go where the classifier can; where that fails, each by itself."""
        assert self.policy is not None
        if isinstance(self.classifier, Classifier) and len(conversations) > 1:
            seconds = self.policy.scoring_time(sum(map(_characters, conversations)))
            with suppress(Exception), deadline(seconds):
                together = self.classifier.classify_many(conversations)
                if len(together) == len(conversations) and all(isinstance(a, RiskAssessment) for a in together):
                    return list(together)
        return [self._assess(messages) for messages in conversations]

    def _decide(self, messages: Sequence[Message], assessed: RiskAssessment | str | None) -> Decision:
        judged = digest(messages)
        if self.policy is None:
            return Decision("allow", "no policy: plain decoding", PLAIN, judged)
        if isinstance(assessed, str):
            return self.policy.decide_unscored(assessed, judged)
        return self.policy.decide(assessed, judged)

    def _plan(
        self, messages: Sequence[Message], decision: Decision, options: GenerationOptions
    ) -> GenerationRequest | list[Delta]:
        """The engine's request, or what to say without asking the engine."""
        if decision.action == "block":
            raise PolicyViolation(decision.reason, decision.decision_id)
        if decision.action == "refuse":
            refusal = self._refusal(decision, options.language)
            return [replace(refusal, index=index) for index in range(options.n)]
        return GenerationRequest(
            messages=tuple(messages),
            settings=_contrasted(options.settings, decision),
            max_new_tokens=options.max_new_tokens,
            stop=options.stop,
            n=options.n,
            logprobs=options.logprobs,
            constraint=options.constraint,
            principal=options.principal,
            **(self._contrast(decision, options.language) if decision.action == "steer" else {}),
        )

    def _refusal(self, decision: Decision, language: str) -> Delta:
        assert self.policy is not None
        assert decision.message is not None
        return Delta(
            self.policy.message(decision.message, language),
            finish_reason="content_filter",
            usage=Usage(0, 0),
            contrast=Contrast(0, 0),
            timing=Timing(),
        )

    def _contrast(self, decision: Decision, language: str) -> dict[str, Any]:
        """The decision's prompts in words: what only the steered branches read."""
        assert self.policy is not None
        assert decision.safe_prompt is not None
        return {
            "safe_prompt": self.policy.safe_prompt(decision.safe_prompt, language),
            "reverse_prompts": tuple(
                ReversePrompt(self.policy.reverse_prompt(prompt_id, language), alpha)
                for prompt_id, alpha in decision.branches
            ),
        }


def _contrasted(settings: RoseSettings, decision: Decision) -> RoseSettings:
    """A caller's settings with the contrast that was decided; without a horizon there is none for a schedule."""
    schedule = settings.schedule if decision.horizon is not None else "constant"
    return settings.updated(alpha=decision.alpha, horizon=decision.horizon, schedule=schedule)


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) + len(message.name or "") for message in messages)


def _close(deltas: DeltaStream | list[Delta]) -> None:
    """Stop decoding, where anything is being decoded."""
    if not isinstance(deltas, list):
        deltas.close()


def _answers(pieces: Sequence[Piece]) -> list[Answer]:
    """The answers of a finished request, from their pieces."""
    by_index: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_index.setdefault(piece.delta.index, []).append(piece)
    return [Answer.of(by_index[index]) for index in sorted(by_index)]
