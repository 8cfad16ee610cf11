"""Judge: a guard without a model. It decides conversations, and checks answers that are there already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rose_guard.engines.engine import GenerationRequest
from rose_guard.guard import Guard
from rose_guard.guard.checked_answer import CheckedAnswer
from rose_guard.guard.course import Course
from rose_guard.guard.ruling import Ruling
from rose_guard.langchain.middleware.asks import CheckAnswer, Decide
from rose_guard.langchain.middleware.recital import Recital
from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from rose_guard.guard import OutputVerdict, Piece
    from rose_guard.langchain.middleware.asks import Steps
    from rose_guard.policy.policy import Policy

    Note = Callable[[Decide | CheckAnswer, Any], None]
    """Told of each ask and of what it gave."""

T = TypeVar("T")


class Judge(Guard):
    """Does what the middleware's steps ask for, for threads and for event loops alike.

    Its arguments are those of :class:`~rose_guard.guard.Guard`, but for the engine.

    Raises:
        ClassifierError: if the policy needs scores and there is no classifier for them.
        PolicyError: if the policy has no such tenant.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(Recital(), **parts)

    @property
    def policy_in_force(self) -> Policy:
        """The policy in force now; a judge has one."""
        policy = self.policy
        assert policy is not None
        return policy

    def run(self, steps: Steps[T], note: Note) -> T:
        """Do what the steps ask for, to their result."""
        course: Any = Course(cast("Any", steps))
        while (ask := course.pending) is not None:
            given = self._ruling(ask) if isinstance(ask, Decide) else self._verdict(ask)
            note(ask, given)
            course.go_on(given)
        return course.result  # type: ignore[no-any-return]

    async def arun(self, steps: Steps[T], note: Note) -> T:
        """As :meth:`run`, without blocking the event loop."""
        course: Any = Course(cast("Any", steps))
        while (ask := course.pending) is not None:
            given = await self._aruling(ask) if isinstance(ask, Decide) else await self._averdict(ask)
            note(ask, given)
            course.go_on(given)
        return course.result  # type: ignore[no-any-return]

    def _ruling(self, ask: Decide) -> Ruling:
        while True:
            policy = self.policy_in_force
            decision = self.decide(ask.messages, options=ask.options)
            if decision.policy_digest == policy.digest:  # a live policy may change in between
                return Ruling(decision, policy)

    async def _aruling(self, ask: Decide) -> Ruling:
        while True:
            policy = await asyncio.to_thread(lambda: self.policy_in_force)
            decision = await self.adecide(ask.messages, options=ask.options)
            if decision.policy_digest == policy.digest:
                return Ruling(decision, policy)

    def _verdict(self, ask: CheckAnswer) -> OutputVerdict:
        return _last([*self._runner.run(self._checking(ask))])

    async def _averdict(self, ask: CheckAnswer) -> OutputVerdict:
        return _last([piece async for piece in self._runner.arun(self._checking(ask))])

    def _checking(self, ask: CheckAnswer) -> Course:
        """The answer's way through the check, as if it were being decoded."""
        request = GenerationRequest(messages=(Message("assistant", ask.text),))
        decision, policy = ask.ruling.decision, ask.ruling.policy
        return Course(CheckedAnswer(request, decision, policy, 0, ask.language, self.audit is not None).steps())


def _last(pieces: list[Piece]) -> OutputVerdict:
    verdict = pieces[-1].verdict
    assert verdict is not None
    return verdict
