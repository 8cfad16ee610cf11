"""AnswerParser: parts what a model writes into thoughts, text and tool calls, while it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rose_guard.engines.text import MARK

if TYPE_CHECKING:
    from collections.abc import Collection

    from rose_guard.engines.tool_syntax import ToolSyntax
    from rose_guard.message import ToolCall

THINKING = ("<think>", "</think>")
"""What the thoughts of reasoning models stand between."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What some more of an answer holds.

    Args:
        text: to show.
        reasoning: what the model thought before its answer.
        tool_calls: those that are complete now.
        broken_call: a call that cannot be read, as it was written.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    broken_call: str = ""

    def __add__(self, other: Parts) -> Parts:
        return Parts(
            self.text + other.text,
            self.reasoning + other.reasoning,
            self.tool_calls + other.tool_calls,
            self.broken_call + other.broken_call,
        )


class AnswerParser(Protocol):
    """Reads an answer piece by piece; how it is cut into pieces makes no difference to what comes of it."""

    def push(self, text: str) -> Parts:
        """What is certain with this much more of the answer."""
        ...

    def flush(self, *, cut: bool = False) -> Parts:
        """What was uncertain, now that no more will come.

        Args:
            cut: whether the answer was cut off, by its limit or a stop string, where the model would have gone on.
        """
        ...


class PlainParser:
    """All is text."""

    def push(self, text: str) -> Parts:
        """As the protocol says."""
        return Parts(text)

    def flush(self, *, cut: bool = False) -> Parts:  # noqa: ARG002 - text is text
        """As the protocol says."""
        return Parts()


class TaggedParser:
    """Thoughts between tags at an answer's beginning, and calls between the opening and closing of a syntax.

    Args:
        syntax: how calls are spelt; None where there are none.
        thinks: whether thoughts may come first.
        thinking: whether the prompt ends within them.
        begun: whether there was text before.
        control: the tags, or parts of them, that are control tokens; what spells one in plain letters is text.
    """

    def __init__(
        self,
        syntax: ToolSyntax | None,
        *,
        thinks: bool = False,
        thinking: bool = False,
        begun: bool = False,
        control: Collection[str] = (),
    ) -> None:
        self._syntax, self._is_marked = syntax, bool(control)
        self._think, self._end_of_thoughts = (_marked(tag, control) for tag in THINKING)
        self._opening = _marked(syntax.opening.strip(), control) if syntax else ""
        self._closing = _marked(syntax.closing.strip(), control) if syntax else ""
        self._held = ""
        self._searched = 0
        bare_calls = syntax is not None and not self._opening
        self._read = self._read_thoughts if thinking else self._read_start
        if begun or not (thinks or thinking or bare_calls):
            self._read = self._read_text
        self._thinks, self._bare_calls = thinks, bare_calls

    def push(self, text: str) -> Parts:
        """As the protocol says."""
        self._held += text
        return self._parts(ended=False)

    def flush(self, *, cut: bool = False) -> Parts:  # noqa: ARG002 - half a call is none, whatever cut it off
        """As the protocol says."""
        return self._parts(ended=True)

    def _parts(self, *, ended: bool) -> Parts:
        """Read on until what is held could mean several things."""
        parts = Parts()
        while True:
            reader = self._read
            parts += reader(ended)
            if self._read == reader:
                return self._unmarked(parts)

    def _read_start(self, ended: bool) -> Parts:  # noqa: FBT001 - the readers' one argument
        """Thoughts, a call without an opening, or text: what does the answer begin with?"""
        begins = self._held.lstrip()
        if self._thinks and begins.startswith(self._think):
            self._held = begins.removeprefix(self._think)
            self._read = self._read_thoughts
        elif self._bare_calls and begins.startswith("{"):
            self._read = self._read_call
        elif ended or (begins and not (self._thinks and self._think.startswith(begins))):
            self._read = self._read_text
        return Parts()

    def _read_thoughts(self, ended: bool) -> Parts:  # noqa: FBT001
        thoughts, found, rest = self._held.partition(self._end_of_thoughts)
        if found:
            self._held = rest
            self._read = self._read_gap
            return Parts(reasoning=thoughts)
        return Parts(reasoning=self._release(0 if ended else _overlap(self._held, self._end_of_thoughts)))

    def _read_gap(self, ended: bool) -> Parts:  # noqa: FBT001
        """What parts thoughts and calls from what follows is no text."""
        self._held = self._held.lstrip()
        if self._bare_calls and self._held.startswith("{"):
            self._read = self._read_call
        elif self._held or ended:
            self._read = self._read_text
        return Parts()

    def _read_text(self, ended: bool) -> Parts:  # noqa: FBT001
        if not self._opening:
            return Parts(self._release(0))
        text, found, rest = self._held.partition(self._opening)
        if found:
            self._held = rest
            self._read = self._read_call
            return Parts(text)
        return Parts(self._release(0 if ended else _overlap(self._held, self._opening)))

    def _read_call(self, ended: bool) -> Parts:  # noqa: FBT001
        """A call ends at the first closing behind which it can be read, since a closing may stand in its arguments."""
        assert self._syntax is not None
        while self._closing and (end := self._held.find(self._closing, self._searched)) >= 0:
            call = self._syntax.read(self._plain(self._held[:end]))
            self._searched = end + 1
            if call is not None:
                self._take_call(end + len(self._closing))
                return Parts(tool_calls=(call,))
        if not ended:
            self._searched = max(self._searched, len(self._held) - len(self._closing) + 1)
            return Parts()
        body, self._held = self._held, ""
        call = None if self._closing else self._syntax.read(self._plain(body))
        if call is not None:
            return Parts(tool_calls=(call,))
        return Parts(broken_call=body) if self._opening or self._syntax.begins_call(body) else Parts(body)

    def _take_call(self, end: int) -> None:
        self._held, self._searched = self._held[end:], 0
        self._read = self._read_gap

    def _plain(self, text: str) -> str:
        return text.replace(MARK, "") if self._is_marked else text

    def _unmarked(self, parts: Parts) -> Parts:
        return Parts(
            self._plain(parts.text), self._plain(parts.reasoning), parts.tool_calls, self._plain(parts.broken_call)
        )

    def _release(self, keep: int) -> str:
        """All that is held but the last so many characters."""
        end = len(self._held) - keep
        text, self._held = self._held[:end], self._held[end:]
        return text


def _marked(tag: str, control: Collection[str]) -> str:
    """As a tag reads in an answer, its control tokens behind marks."""
    ordered = sorted(control, key=len, reverse=True)  # a token may begin another one
    return re.sub("|".join(map(re.escape, ordered)), rf"{MARK}\g<0>", tag) if ordered else tag


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of the text that the tag begins with."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-size:])), 0)
