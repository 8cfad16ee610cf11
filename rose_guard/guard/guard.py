"""Guard: classify, decide, decode, check. The only place where classifier, policy and engine meet; knows no LangChain.

What happens in which order is told by :class:`~rose_guard.guard.turn.Turn`, and done by a
:class:`~rose_guard.guard.runner.Runner`, for threads and for event loops.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from rose_guard.errors import ClassifierError, SettingsError
from rose_guard.guard.answer import Answer
from rose_guard.guard.answer_key import Makers
from rose_guard.guard.bookkeeping import Books
from rose_guard.guard.course import Course
from rose_guard.guard.means import Means
from rose_guard.guard.options import GenerationOptions
from rose_guard.guard.runner import Runner
from rose_guard.guard.turn import Turn
from rose_guard.memory.in_memory import InMemoryConversations
from rose_guard.policy.live import LivePolicy
from rose_guard.risk.classifier import known_labels

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence

    from rose_guard.audit.trail import AuditTrail
    from rose_guard.engines.engine import Engine
    from rose_guard.guard.answer import Piece
    from rose_guard.guard.answer_store import AnswerStore
    from rose_guard.memory.memory import ConversationMemory
    from rose_guard.message import Message
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

_TOGETHER = 64
_CONVERSATIONS = InMemoryConversations()
"""One memory for all guards of a process: a guard that is made anew must not forget."""


class Guard:
    """A guarded model without LangChain.

    Args:
        engine: what decodes. One that cannot be steered says so with an attribute ``steers`` that is False.
        classifier: what scores; not needed where the policy steers everything, or there is none.
        policy: what decides; None decodes plainly. A :class:`~rose_guard.policy.live.LivePolicy` follows its file.
        answer_classifier: what scores answers, where the policy checks them.
        memory: where risky turns are counted, for rules that escalate; the process's memory unless given.
        audit: where decisions and verdicts are recorded before anything is shown; None records nothing.
        tenant: whose guard it is; None lets each call's options say so.
        on_notify: called with a decision that a rule wants a human to see. It runs on the thread that decides; what it
            raises is logged.
        local: what decodes where the engine cannot be steered and the policy's ``unsteerable`` is ``route``.
        answers: where answers are kept, for conversations that come again; each is judged anew all the same. None keeps
            none.

    Raises:
        ClassifierError: if the policy needs scores and there is no classifier for them, or locks a label that the
            classifier does not know.
        PolicyError: if the policy has no such tenant.
        SettingsError: if on_notify is async, or the local engine cannot be steered, or is missing where the policy
            routes to it.
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
        local: Engine | None = None,
        answers: AnswerStore | None = None,
    ) -> None:
        self.engine = engine
        self.local = local
        self.classifier = classifier
        self.answer_classifier = answer_classifier
        self.memory = _CONVERSATIONS if memory is None else memory
        self.audit = audit
        self.tenant = tenant
        self.on_notify = on_notify
        self.answer_store = answers
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
        for _ in self._runner.run(course):
            pass
        return course.result  # type: ignore[no-any-return]

    async def adecide(self, messages: Sequence[Message], *, options: GenerationOptions | None = None) -> Decision:
        """As :meth:`decide`, without blocking the event loop."""
        course = Course((await self._aturn(messages, options)).decide())
        async for _ in self._runner.arun(course):
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
        yield from self._runner.run(Course(self._turn(messages, options).answer()))

    async def astream(
        self, messages: Sequence[Message], *, options: GenerationOptions | None = None
    ) -> AsyncGenerator[Piece]:
        """As :meth:`stream`, without blocking the event loop; cancelling it stops the decoding within a step."""
        turn = await self._aturn(messages, options)
        async with aclosing(self._runner.arun(Course(turn.answer()))) as pieces:
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
            answered += self._runner.answer_together(turns[start : start + _TOGETHER])
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
        self._check_locks(policy)
        return Turn(tuple(messages), options, policy, self.tenant or options.tenant, self._means())

    def _means(self) -> Means:
        return Means(
            records=self.audit is not None,
            steers=_steers(self.engine),
            local=self.local is not None and _steers(self.local),
            makers=None if self.answer_store is None else self._makers(),
        )

    def _makers(self) -> Makers:
        return Makers(
            self.engine.model_id,
            self.local.model_id if self.local else None,
            self.classifier.name if self.classifier else None,
            self.answer_classifier.name if self.answer_classifier else None,
        )

    async def _aturn(self, messages: Sequence[Message], options: GenerationOptions | None) -> Turn:
        """As :meth:`_turn`; a live policy reads its file, which must not block the event loop."""
        if isinstance(self._policy, LivePolicy):
            return await asyncio.to_thread(self._turn, tuple(messages), options)
        return self._turn(messages, options)

    @property
    def _runner(self) -> Runner:
        books = Books(self.memory, self.audit, self.answer_store, self.on_notify)
        return Runner(self.engine, self.local, self.classifier, self.answer_classifier, books)

    def _check(self, policy: Policy | None) -> None:
        self._written_for = policy.classifier if policy else None
        if self.local is not None and not _steers(self.local):
            raise SettingsError("the local engine cannot be steered either; give one that can")
        if policy is None:
            return
        if policy.unsteerable == "route" and self.local is None and not _steers(self.engine):
            raise SettingsError(
                "the policy routes what the model cannot steer; give local=, or set unsteerable: refuse"
            )
        if policy.ungated is None and self.classifier is None:
            raise ClassifierError("this policy is gated by risk and needs a classifier; pass one, or policy=None")
        if policy.output.enabled and self.answer_classifier is None:
            raise ClassifierError("this policy checks answers; pass answer_classifier=, or set output.enabled to false")
        self._check_locks(policy)
        if self.tenant is not None:
            policy.escalations((), tenant=self.tenant)  # refuses a tenant that the policy lacks

    def _check_locks(self, policy: Policy | None) -> None:
        """Refuse a lock that could never hold: what a classifier does not know scores 0."""
        if policy is None or policy.ungated is not None or self.classifier is None:
            return
        known = known_labels(self.classifier)
        if unknown := [label for label, rule in policy.rules.items() if rule.locked and label not in known]:
            raise ClassifierError(
                f"the policy locks {', '.join(unknown)}, which the classifier {self.classifier.name} does not know; "
                f"combine it with one that does, such as Combined([EmbeddedClassifier.shared(), ...], how='max')"
            )


def _steers(engine: Engine) -> bool:
    """Whether an engine can contrast; those that do not say otherwise can."""
    return bool(getattr(engine, "steers", True))
