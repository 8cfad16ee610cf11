"""Answer and its pieces: what a guard gives out, always with the decision behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rose_guard.engines.engine import Delta, TokenLogprob
    from rose_guard.message import ToolCall
    from rose_guard.policy.decision import Decision


@dataclass(frozen=True, slots=True)
class OutputVerdict:
    """What the check of an answer found.

    Args:
        action: ``release`` where all of it was shown, ``refuse`` where the rest was withheld.
        score: the highest probability of harm of what was decoded last, in [0, 1]; None where it could not be scored.
        restarts: how often the answer was begun anew from its last clean point.
    """

    action: Literal["release", "refuse"]
    score: float | None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer, and the decision under which it was given.

    Args:
        delta: the text to append, and on the last piece how the answer ended.
        decision: what the policy decided.
        verdict: on the last piece, what the output check said; None where there is none.
        cached: whether it was decoded for an earlier conversation like this one, and kept.
    """

    delta: Delta
    decision: Decision
    verdict: OutputVerdict | None = None
    cached: bool = False

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
        reasoning: what the model thought before it; no part of ``text``.
        tool_calls: the tools that the model wants called.
        broken_calls: calls that could not be read, as the model wrote them.
    """

    text: str
    last: Piece
    logprobs: tuple[TokenLogprob, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    broken_calls: tuple[str, ...] = ()

    @property
    def decision(self) -> Decision:
        """What the policy decided, and why."""
        return self.last.decision

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Answer:
        """Join the pieces of a finished answer."""
        deltas = [piece.delta for piece in pieces]
        return cls(
            "".join(delta.text for delta in deltas),
            pieces[-1],
            tuple(logprob for delta in deltas for logprob in delta.logprobs),
            "".join(delta.reasoning for delta in deltas),
            tuple(call for delta in deltas for call in delta.tool_calls),
            tuple(delta.broken_call for delta in deltas if delta.broken_call),
        )

    @classmethod
    def all_of(cls, pieces: Iterable[Piece]) -> list[Answer]:
        """The answers of a finished request, from their pieces in any order."""
        by_index: dict[int, list[Piece]] = {}
        for piece in pieces:
            by_index.setdefault(piece.delta.index, []).append(piece)
        return [cls.of(by_index[index]) for index in sorted(by_index)]
