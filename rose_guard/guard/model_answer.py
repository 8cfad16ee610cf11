"""ModelAnswer: what a model says under a decision, as steps that say what is to be done.

It is decoded now, checked or not, or it was kept when it was decoded for an earlier conversation like this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rose_guard.errors import DecodingError
from rose_guard.guard.answer import Answer, Piece
from rose_guard.guard.answer_key import answer_key
from rose_guard.guard.checked_answer import CheckedAnswer
from rose_guard.guard.effect import Decode, Read
from rose_guard.guard.kept_answers import found, kept
from rose_guard.guard.lines import end_line, recorded

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rose_guard.engines.engine import Delta, GenerationRequest
    from rose_guard.guard.answer_store import StoredAnswer
    from rose_guard.guard.effect import Steps
    from rose_guard.guard.means import Means
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The answers to one conversation.

    Args:
        request: what the engine is asked for.
        decision: allows or steers.
        policy: whose output check holds, and whose word where something cannot be recorded; None checks nothing.
        tenant: whose turn it is.
        language: of the policy's texts.
        means: what the guard has.
    """

    request: GenerationRequest = field(repr=False)
    decision: Decision
    policy: Policy | None
    tenant: str | None
    language: str
    means: Means

    def steps(self) -> Steps:
        """Give out what was kept; where nothing was, what is decoded, and keep that.

        Raises:
            PolicyViolation: if it cannot be checked or recorded and the policy blocks then.
            DecodingError: if an answer has no end.
        """
        key = self._key()
        stored = None if key is None else (yield from found(key, self.request.n, checked=self._is_checked))
        if stored is not None:
            yield from self._given_again(stored)
            return
        pieces = yield from (self._checked() if self._is_checked else self._unchecked())
        if key is not None:
            yield from kept(key, Answer.all_of(pieces))

    @property
    def _is_checked(self) -> bool:
        return self.policy is not None and self.policy.output.enabled

    @property
    def _is_local(self) -> bool:
        """Whether the local engine answers, since the model cannot do what was decided."""
        return self.decision.action == "steer" and not self.means.steers

    def _key(self) -> str | None:
        if self.means.makers is None:
            return None
        return answer_key(
            self.request,
            self.decision,
            self.means.makers,
            checking=self.policy,
            tenant=self.tenant,
            language=self.language,
        )

    def _given_again(self, stored: Sequence[StoredAnswer]) -> Steps:
        """Each answer as one piece, once its end is on record."""
        for index, answer in enumerate(stored):
            delta, verdict = answer.delta(index), answer.verdict
            if (yield from self._end_recorded(delta, delta.shown, cached=True)):
                yield Piece(delta, self.decision, verdict, cached=True)
            else:
                refused = None if verdict is None else replace(verdict, action="refuse", score=None)
                yield Piece(self._cut_short(delta, ""), self.decision, refused)

    def _checked(self) -> Generator[Any, Any, list[Piece]]:
        """Each answer by itself, since each may be stopped or begun anew."""
        assert self.policy is not None
        pieces: list[Piece] = []
        for index in range(self.request.n):
            settings = self.request.settings
            if settings.seed is not None:
                settings = settings.updated(seed=settings.seed + index)
            answer = CheckedAnswer(
                replace(self.request, n=1, settings=settings),
                self.decision,
                self.policy,
                index,
                self.language,
                self.means.records,
                local=self._is_local,
                steers=self._is_local or self.means.steers,
            )
            yield from answer.steps()
            pieces += answer.given
        return pieces

    def _unchecked(self) -> Generator[Any, Any, list[Piece]]:
        """What the engine decodes, as it comes."""
        yield Decode(self.request, self._is_local)
        pieces: list[Piece] = []
        while (delta := (yield Read())) is not None:
            if delta.finish_reason is not None:
                before = [piece.delta for piece in pieces if piece.delta.index == delta.index]
                shown = "".join(each.shown for each in (*before, delta))
                if not (yield from self._end_recorded(delta, shown)):
                    delta = self._cut_short(delta, "".join(each.text for each in before))
            pieces.append(Piece(delta, self.decision))
            yield pieces[-1]
        if sum(piece.delta.finish_reason is not None for piece in pieces) < self.request.n:
            raise DecodingError("the engine gave no end of an answer")
        return pieces

    def _end_recorded(self, last: Delta, shown: str, *, cached: bool = False) -> Generator[Any, Any, bool]:
        """Write down how an answer ends; whether that is durable, or nothing is written down."""
        if not self.means.records:
            return True
        line = end_line(self.decision, last, shown, cached=cached)
        return (yield from recorded(line, self.decision, self.policy))

    def _cut_short(self, last: Delta, text_before: str) -> Delta:
        """A refusal in place of an answer's end that could not be recorded."""
        assert self.policy is not None
        message = self.policy.message(self.policy.output.message, self.language)
        return replace(
            last,
            text=f"\n\n{message}" if text_before else message,
            finish_reason="content_filter",
            logprobs=(),
            reasoning="",
            tool_calls=(),
            broken_call="",
        )
