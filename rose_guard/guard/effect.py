"""Effects: what a turn asks to be done for it. A turn says what, in which order; the guard does it, sync or async."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from rose_guard.engines.engine import GenerationRequest
    from rose_guard.guard.answer import Piece
    from rose_guard.guard.answer_store import StoredAnswer
    from rose_guard.memory.key import ConversationKey
    from rose_guard.memory.turn import RiskyTurn
    from rose_guard.message import Message
    from rose_guard.policy.decision import Decision


@dataclass(frozen=True, slots=True)
class Assess:
    """Score a conversation; gives a RiskAssessment, or in words why there is none."""

    messages: tuple[Message, ...] = field(repr=False)
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """Score a part of an answer; gives a probability of harm, or in words why there is none."""

    text: str = field(repr=False)
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CountRiskyTurns:
    """Count the earlier risky turns and remember this one; gives a count for each label."""

    key: ConversationKey
    turn: RiskyTurn
    windows: Mapping[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Record:
    """Write a line to the audit log, durable when this is done."""

    kind: str
    payload: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell a human of a decision."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Decode:
    """Begin to decode; what was being decoded before is given up.

    Args:
        request: for one engine.
        local: whether it is for the guard's local engine, in place of one that cannot be steered.
    """

    request: GenerationRequest
    local: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Give the next delta of what is being decoded, or None after the last."""


@dataclass(frozen=True, slots=True)
class FindAnswers:
    """Look for answers that were kept; gives them, or None."""

    key: str


@dataclass(frozen=True, slots=True)
class KeepAnswers:
    """Keep answers for conversations like this one."""

    key: str
    answers: tuple[StoredAnswer, ...] = field(repr=False)


Effect: TypeAlias = Assess | ScoreAnswer | CountRiskyTurns | Record | Notify | Decode | Read | FindAnswers | KeepAnswers
Steps: TypeAlias = "Generator[Effect | Piece, Any, Any]"
"""Effects to be done and pieces to be given out, in order; each effect is answered with its result or its error."""
