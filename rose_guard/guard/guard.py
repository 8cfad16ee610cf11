"""Guard: classify, decide, decode, check. The only place where classifier, policy and engine meet; knows no LangChain.

What happens in which order is told by :class:`~rose_guard.guard.turn.Turn`; here it is done, for threads and for event
loops.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, closing
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from rose_guard.engines.worker import worker
from rose_guard.errors import ClassifierError, SettingsError
from rose_guard.guard.answer import Answer, Piece
from rose_guard.guard.course import Course
from rose_guard.guard.effect import Assess, CountRiskyTurns, Decode, Notify, Read, Record, ScoreAnswer
from rose_guard.guard.options import GenerationOptions
from rose_guard.guard.scoring import assess, assess_many, score_answer
from rose_guard.guard.turn import Turn
from rose_guard.memory.in_memory import InMemoryConversations
from rose_guard.policy.live import LivePolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.audit.trail import AuditTrail
    from rose_guard.engines.engine import Engine
    from rose_guard.guard.effect import Effect
    from rose_guard.memory.memory import ConversationMemory
    from rose_guard.message import Message
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

_TOGETHER = 64
_CONVERSATIONS = InMemoryConversations()
"""One memory for all guards of a process: a guard that is made anew must not forget."""

logger = logging.getLogger(__name__)


class Guard:
    """A guarded model without LangChain.

    Args:
        engine: what decodes.
        classifier: what scores; not needed where the policy steers everything, or there is none.
        policy: what decides; None decodes plainly. A :class:`~rose_guard.policy.live.LivePolicy` follows its file.
        answer_classifier: what scores answers, where the policy checks them.
        memory: where risky turns are counted, for rules that escalate; the process's memory unless given.
        audit: where decisions and verdicts are recorded before anything is shown; None records nothing.
        tenant: whose guard it is; None lets each call's options say so.
        on_notify: called with a decision that a rule wants a human to see. It runs on the thread that decides; what it
            raises is logged.

    Raises:
        ClassifierError: if the policy needs scores and there is no classifier for them.
        PolicyError: if the policy has no such tenant.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        classifier: RiskClassifier | None = None,
        policy: Policy | LivePolicy | None = None,
        answer_classifier: AnswerClassifier | None = None,
        memory: ConversationMemory | None = None,
        audit: AuditTrail | None = None,
        tenant: str | None = None,
        on_notify: Callable[[Decision], object] | None = None,
    ) -> None:
        self.engine = engine
        self.classifier = classifier
        self.answer_classifier = answer_classifier
        self.memory = _CONVERSATIONS if memory is None else memory
        self.audit = audit
        self.tenant = tenant
        self.on_notify = on_notify
        self._policy = policy
        if iscoroutinefunction(on_notify):
            raise SettingsError("on_notify must be a plain function; nobody would await what an async one gives")
        self._check(self.policy)

    @property
    def policy(self) -> Policy | None:
        """The policy in force now."""
        return self._policy.current if isinstance(self._policy, LivePolicy) else self._policy

    def decide(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Decision:
        """Score a conversation and say what happens to it.

        It is a turn like any other: it is recorded, and counts where it is risky.

        Raises:
            InputError: if there is nothing to answer.
            PolicyError: if the policy has no such tenant.
            PolicyViolation: if it cannot be recorded and the policy's ``on_audit_error`` is ``block``.
        """
        course = Course(self._turn(messages, options).decide())
        for _ in self._run(course):
            pass
        return course.result  # type: ignore[no-any-return]

    async def adecide(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Decision:
        """As :meth:`decide`, without blocking the event loop."""
        course = Course((await self._aturn(messages, options)).decide())
        async for _ in self._arun(course):
            pass
        return course.result  # type: ignore[no-any-return]

    def stream(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Generator[Piece]:
        """Answer piece by piece; a refusal is one piece, and the model does not run.

        Where ``options.n`` is above 1, the pieces of all answers come as they are decoded, told apart by
        ``delta.index``. Where the policy checks answers, no piece comes before it was scored.

        Raises:
            PolicyViolation: if the action is ``block``.
            InputError, ContextLengthError, DecodingError, EngineOverloadedError: from the engine.
            AuditError: if something cannot be recorded and there is no policy to say what then.
        """
        yield from self._run(Course(self._turn(messages, options).answer()))

    async def astream(
        self, messages: Sequence[Message], *, options: GenerationOptions | None = None
    ) -> AsyncGenerator[Piece]:
        """As :meth:`stream`, without blocking the event loop; cancelling it stops the decoding within a step."""
        turn = await self._aturn(messages, options)
        async with aclosing(self._arun(Course(turn.answer()))) as pieces:
            async for piece in pieces:
                yield piece

    def answer(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Answer:
        """Answer at once; the first one where ``options.n`` is above 1. Errors as :meth:`stream`."""
        return Answer.all_of(self.stream(messages, options=options))[0]

    async def aanswer(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Answer:
        """As :meth:`answer`, without blocking the event loop."""
        return Answer.all_of([piece async for piece in self.astream(messages, options=options)])[0]

    def answers(
        self, conversations: Iterable[Sequence[Message]], *, options: GenerationOptions | None = None
    ) -> list[list[Answer]]:
        """Answer many conversations, judged and decoded together; for each its ``options.n`` answers.

        Raises:
            PolicyViolation: if one of them is blocked; what was under way is given up.
            InputError, ContextLengthError, DecodingError, EngineOverloadedError: from the engine.
        """
        turns = [self._turn(messages, options) for messages in conversations]
        answered: list[list[Answer]] = []
        for start in range(0, len(turns), _TOGETHER):
            answered += self._answer_together(turns[start : start + _TOGETHER])
        return answered

    async def aanswers(
        self, conversations: Iterable[Sequence[Message]], *, options: GenerationOptions | None = None
    ) -> list[list[Answer]]:
        """As :meth:`answers`, without blocking the event loop."""
        places = asyncio.Semaphore(_TOGETHER)

        async def answer(messages: Sequence[Message]) -> list[Answer]:
            async with places:
                return Answer.all_of([piece async for piece in self.astream(messages, options=options)])

        answering = [asyncio.ensure_future(answer(messages)) for messages in conversations]
        try:
            return list(await asyncio.gather(*answering))
        finally:  # one that failed, or a reader that went away, ends the others
            for task in answering:
                task.cancel()
            await asyncio.gather(*answering, return_exceptions=True)

    def _turn(self, messages: Sequence[Message], options: GenerationOptions | None) -> Turn:
        options = options or GenerationOptions()
        if self.tenant is not None and options.tenant not in (None, self.tenant):
            raise SettingsError("this guard is one tenant's own; leave `tenant` out of the options")
        policy = self.policy
        if policy is not None and policy.classifier != self._written_for:
            raise ClassifierError(
                "the policy in force now is written for another classifier than this guard has; make the guard anew"
            )
        return Turn(tuple(messages), options, policy, self.tenant or options.tenant, self.audit is not None)

    async def _aturn(self, messages: Sequence[Message], options: GenerationOptions | None) -> Turn:
        """As :meth:`_turn`; a live policy reads its file, which must not block the event loop."""
        if isinstance(self._policy, LivePolicy):
            return await asyncio.to_thread(self._turn, tuple(messages), options)
        return self._turn(messages, options)

    def _answer_together(self, turns: Sequence[Turn]) -> Iterator[list[Answer]]:
        courses: list[Course] = []
        try:
            courses += [Course(turn.answer()) for turn in turns]
            self._assess_together([course for course in courses if isinstance(course.pending, Assess)])
            for course in courses:
                self._run_until_decoding(course)
            self._decode_together([course for course in courses if isinstance(course.pending, Decode)])
            for course in courses:
                yield Answer.all_of(self._run(course))
        finally:
            for course in courses:
                course.close()

    def _assess_together(self, courses: Sequence[Course]) -> None:
        if courses:
            asked: Any = [course.pending for course in courses]
            for course, assessed in zip(courses, worker.run(assess_many, self.classifier, asked), strict=True):
                course.go_on(assessed)

    def _run_until_decoding(self, course: Course) -> None:
        while course.pending is not None and not isinstance(course.pending, Decode | Piece):
            self._do(course)

    def _decode_together(self, courses: Sequence[Course]) -> None:
        streams = self.engine.streams([course.pending.request for course in courses])  # type: ignore[union-attr]
        for course, deltas in zip(courses, streams, strict=True):
            course.deltas = deltas
            course.go_on(None)

    def _run(self, course: Course) -> Generator[Piece]:
        """Do what a turn asks for, and give out its pieces."""
        with closing(course):
            while course.pending is not None:
                if isinstance(course.pending, Piece):
                    yield course.pending
                    course.go_on(None)
                else:
                    self._do(course)

    async def _arun(self, course: Course) -> AsyncGenerator[Piece]:
        async with aclosing(course):
            while course.pending is not None:
                if isinstance(course.pending, Piece):
                    yield course.pending
                    course.go_on(None)
                else:
                    await self._ado(course)

    def _do(self, course: Course) -> None:
        """Do the effect that is pending; the turn is told if it fails."""
        effect: Any = course.pending
        outcome: Any = None
        try:
            if isinstance(effect, Decode):
                _close(course)
                course.deltas = self.engine.stream(effect.request)
            elif isinstance(effect, Read):
                outcome = next(course.deltas, None)
            elif isinstance(effect, Assess | ScoreAnswer):
                outcome = worker.run(self._score, effect)
            else:
                outcome = self._keep(effect)
        except Exception as error:  # noqa: BLE001 - it is raised again where the turn does not know better
            course.fail(error)
        else:
            course.go_on(outcome)

    async def _ado(self, course: Course) -> None:
        """As :meth:`_do`, without blocking the event loop."""
        effect: Any = course.pending
        outcome: Any = None
        try:
            if isinstance(effect, Decode):
                if course.deltas is not None:
                    await course.deltas.aclose()
                course.deltas = self.engine.astream(effect.request)
            elif isinstance(effect, Read):
                outcome = await anext(course.deltas, None)
            elif isinstance(effect, Assess | ScoreAnswer):
                outcome = await worker.arun(self._score, effect)
            else:
                outcome = await asyncio.to_thread(self._keep, effect)
        except Exception as error:  # noqa: BLE001 - likewise
            course.fail(error)
        else:
            course.go_on(outcome)

    def _keep(self, effect: Effect) -> Any:
        """What touches neither model nor classifier, but perhaps a disk."""
        if isinstance(effect, CountRiskyTurns):
            return self.memory.count_and_add(effect.key, effect.turn, effect.windows)
        if isinstance(effect, Record):
            assert self.audit is not None
            return self.audit.append(effect.kind, effect.payload)
        assert isinstance(effect, Notify)
        return self._notify(effect.decision)

    def _notify(self, decision: Decision) -> None:
        if self.on_notify is None:
            logger.warning("decision %s is for a human to see, but on_notify is not set", decision.decision_id)
            return
        try:
            self.on_notify(decision)
        except Exception:  # noqa: BLE001 - whoever is told must not change what is decided
            logger.error("on_notify failed for decision %s", decision.decision_id)  # noqa: TRY400 - it may quote the conversation

    def _score(self, effect: Assess | ScoreAnswer) -> RiskAssessment | float | str:
        if isinstance(effect, Assess):
            return assess(self.classifier, effect)
        return score_answer(self.answer_classifier, effect)

    def _check(self, policy: Policy | None) -> None:
        self._written_for = policy.classifier if policy else None
        if policy is None:
            return
        if policy.ungated is None and self.classifier is None:
            raise ClassifierError("this policy is gated by risk and needs a classifier; pass one, or policy=None")
        if policy.output.enabled and self.answer_classifier is None:
            raise ClassifierError("this policy checks answers; pass answer_classifier=, or set output.enabled to false")
        if self.tenant is not None:
            policy.escalations((), tenant=self.tenant)  # refuses a tenant that the policy lacks


def _close(course: Course) -> None:
    if course.deltas is not None:
        course.deltas.close()
