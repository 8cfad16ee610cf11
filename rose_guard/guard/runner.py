"""Runner: does what turns ask for, for threads and for event loops. Decides nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rose_guard.engines.worker import worker
from rose_guard.guard.answer import Answer, Piece
from rose_guard.guard.course import Course
from rose_guard.guard.effect import Assess, Decode, Read, ScoreAnswer
from rose_guard.guard.scoring import assess, assess_many, score_answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.engines.engine import Engine
    from rose_guard.guard.bookkeeping import Books
    from rose_guard.guard.turn import Turn
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier


@dataclass(frozen=True, slots=True)
class Runner:
    """Whatever turns ask for is done with these.

    Args:
        engine: what decodes.
        local: what decodes in its place, where a turn says so.
        classifier: what scores conversations.
        answer_classifier: what scores answers.
        books: where things are written down.
    """

    engine: Engine
    local: Engine | None
    classifier: RiskClassifier | None
    answer_classifier: AnswerClassifier | None
    books: Books

    def run(self, course: Course) -> Generator[Piece]:
        """Do what a turn asks for, and give out its pieces."""
        with closing(course):
            while course.pending is not None:
                if isinstance(course.pending, Piece):
                    yield course.pending
                    course.go_on(None)
                else:
                    self._do(course)

    async def arun(self, course: Course) -> AsyncGenerator[Piece]:
        """As :meth:`run`, without blocking the event loop."""
        async with aclosing(course):
            while course.pending is not None:
                if isinstance(course.pending, Piece):
                    yield course.pending
                    course.go_on(None)
                else:
                    await self._ado(course)

    def answer_together(self, turns: Sequence[Turn]) -> Iterator[list[Answer]]:
        """The answers of many turns, which are scored together and begin to decode together."""
        courses: list[Course] = []
        try:
            courses += [Course(turn.answer()) for turn in turns]
            self._assess_together([course for course in courses if isinstance(course.pending, Assess)])
            for course in courses:
                self._run_until_decoding(course)
            self._decode_together([course for course in courses if isinstance(course.pending, Decode)])
            for course in courses:
                yield Answer.all_of(self.run(course))
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
        by_engine: dict[bool, list[Course]] = {}
        for course in courses:
            by_engine.setdefault(course.pending.local, []).append(course)  # type: ignore[union-attr]
        for local, together in by_engine.items():
            requests = [course.pending.request for course in together]  # type: ignore[union-attr]
            for course, deltas in zip(together, self._engine(local=local).streams(requests), strict=True):
                course.deltas = deltas
        for course in courses:
            course.go_on(None)

    def _do(self, course: Course) -> None:
        """Do the effect that is pending; the turn is told if it fails."""
        effect: Any = course.pending
        outcome: Any = None
        try:
            if isinstance(effect, Decode):
                if course.deltas is not None:
                    course.deltas.close()
                course.deltas = self._engine(local=effect.local).stream(effect.request)
            elif isinstance(effect, Read):
                outcome = next(course.deltas, None)
            elif isinstance(effect, Assess | ScoreAnswer):
                outcome = worker.run(self._score, effect)
            else:
                outcome = self.books.do(effect)
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
                course.deltas = self._engine(local=effect.local).astream(effect.request)
            elif isinstance(effect, Read):
                outcome = await anext(course.deltas, None)
            elif isinstance(effect, Assess | ScoreAnswer):
                outcome = await worker.arun(self._score, effect)
            else:
                outcome = await asyncio.to_thread(self.books.do, effect)
        except Exception as error:  # noqa: BLE001 - likewise
            course.fail(error)
        else:
            course.go_on(outcome)

    def _engine(self, *, local: bool) -> Engine:
        if not local:
            return self.engine
        assert self.local is not None  # a turn is routed to what it was told there is
        return self.local

    def _score(self, effect: Assess | ScoreAnswer) -> RiskAssessment | float | str:
        if isinstance(effect, Assess):
            return assess(self.classifier, effect)
        return score_answer(self.answer_classifier, effect)
