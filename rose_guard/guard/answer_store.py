"""AnswerStore: where answers are kept for conversations that come again. StoredAnswer: one of them, as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rose_guard.engines.engine import Contrast, Delta, Timing, TokenLogprob, Usage
from rose_guard.errors import InputError
from rose_guard.guard.answer import OutputVerdict  # noqa: TC001 - what is read is checked against it
from rose_guard.message import ToolCall  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.guard.answer import Answer

_NO_ANSWER = "this is no stored answer; give one as to_json() wrote it"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A whole answer, as it was given out.

    Args:
        text: what was shown.
        finish_reason: how it ended.
        usage: tokens read and decoded for it.
        contrast: what the contrast did.
        reasoning: what the model thought before it.
        tool_calls: the tools that the model wants called.
        logprobs: of its tokens, where asked for.
        verdict: what the output check said; None where it was not checked.

    Raises:
        InputError: if it is no whole answer, or one that the check did not release.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    text: str = field(repr=False)
    finish_reason: Literal["stop", "length"]
    usage: Usage | None = None
    contrast: Contrast | None = None
    reasoning: str = field(default="", repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = field(default=(), repr=False)
    verdict: OutputVerdict | None = None

    def __post_init__(self) -> None:
        released = self.verdict is None or self.verdict.action == "release"
        if not (isinstance(self.text, str) and self.finish_reason in ("stop", "length") and released):
            raise InputError(_NO_ANSWER)

    @classmethod
    def of(cls, answer: Answer) -> StoredAnswer | None:
        """An answer to be kept; None where it is not whole, was refused, or holds a call that cannot be read."""
        last = answer.last.delta
        withheld = answer.last.verdict is not None and answer.last.verdict.action != "release"
        if last.finish_reason not in ("stop", "length") or withheld or answer.broken_calls:
            return None
        return cls(
            answer.text,
            last.finish_reason,
            last.usage,
            last.contrast,
            answer.reasoning,
            answer.tool_calls,
            answer.logprobs,
            answer.last.verdict,
        )

    def delta(self, index: int) -> Delta:
        """All of it as one piece, which took no time.

        Args:
            index: which of several answers it is.
        """
        return Delta(
            self.text,
            self.finish_reason,
            self.usage,
            self.contrast,
            Timing(),
            index,
            self.logprobs,
            reasoning=self.reasoning,
            tool_calls=self.tool_calls,
        )

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> StoredAnswer:
        """Read what :meth:`to_json` wrote.

        Raises:
            InputError: if it is anything else.
        """
        try:
            return _SHAPE.validate_json(text)
        except ValidationError:
            raise InputError(_NO_ANSWER) from None


_SHAPE = TypeAdapter(StoredAnswer)


@runtime_checkable
class AnswerStore(Protocol):
    """Keeps answers by a key. It may forget any of them, and fail: then the model answers.

    What it gives is shown as if the model had said it, so it must be as safe from strangers as the model is, and it
    holds answers in clear. Implementations may be called from many threads.
    """

    def find(self, key: str) -> Sequence[StoredAnswer] | None:
        """What was kept under a key: as many answers as were asked for together; None where there is nothing.

        Args:
            key: 64 hex digits. Equal keys are the same conversation under the same decision and settings.
        """
        ...

    def keep(self, key: str, answers: Sequence[StoredAnswer]) -> None:
        """Keep answers that were given out together, in their order.

        Args:
            key: as above.
            answers: each writes itself with :meth:`StoredAnswer.to_json`.
        """
        ...
