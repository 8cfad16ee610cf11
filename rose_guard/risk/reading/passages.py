"""Passages: the pieces of a conversation that are scored: contents, names, and turns that are read together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Literal

from rose_guard.assessment import Span
from rose_guard.errors import ClassifierError
from rose_guard.risk.reading.english import ENGLISH
from rose_guard.risk.reading.view import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.message import Message, Role
    from rose_guard.risk.reading.view import View

MAX_CHARACTERS = 2_000_000
"""What a conversation's contents and names may hold together, in characters."""

RECENT_TURNS = 4
"""How many of the last user turns are read as one."""

_LONGEST_WORD = 32
_LAST_WORD = re.compile(r"[^\W\d_]+\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a conversation.

    Args:
        message: index of its message in the conversation; of the last one, where turns are read together.
        role: who wrote it.
        kind: ``content``, ``name``, or ``turns`` for several user messages joined by newlines, or by nothing where one
            cuts a word off.
        text: what is read; never empty.
        start: where it begins in the content.
    """

    message: int
    role: Role
    kind: Literal["content", "name", "turns"]
    text: str
    start: int = 0

    def span(self, view: View, start: int, end: int) -> Span:
        """The written characters that a part of a view comes from; of a name, or of turns together, only which.

        Args:
            view: of the passage's text.
            start: where the part begins in the view.
            end: where it ends there.
        """
        if self.kind == "content":
            first, last = view.source(start, end)
            return Span(self.message, self.start + first, self.start + last, view=view.kind)
        return Span(self.message, 0, 0, view=self.kind if view.kind == WRITTEN else f"{self.kind}+{view.kind}")


def passages(messages: Sequence[Message]) -> list[Passage]:
    """Everything there is to read in a conversation: no more than six times its characters, and the newlines.

    What is marked as untrusted is also read by itself. Requests are at times split over messages, so user messages that
    follow one another are also read together, and so are the last user turns; where words may be cut at their ends,
    once more with these joined. What reads no different from another passage is not read again.

    Args:
        messages: the conversation.

    Returns:
        Contents and names in the conversation's order, then turns.

    Raises:
        ClassifierError: if the conversation has more than ``MAX_CHARACTERS`` characters.
    """
    _check_size(messages)
    found = [passage for index, message in enumerate(messages) for passage in _alone(index, message)]
    seen = {passage.text for passage in found}
    for turns in _together(messages):
        contents = [messages[index].content for index in turns]
        for text in ("\n".join(contents), _with_words_joined(contents)):
            if text not in seen:
                seen.add(text)
                found.append(Passage(turns[-1], "user", "turns", text))
    return found


def _check_size(messages: Sequence[Message]) -> None:
    size = sum(len(message.content) + len(message.name or "") for message in messages)
    if size > MAX_CHARACTERS:
        raise ClassifierError(
            f"the conversation has {size:,} characters, but at most {MAX_CHARACTERS:,} are scored; leave out older "
            f"turns, or split long documents into several conversations"
        )


def _alone(index: int, message: Message) -> list[Passage]:
    content = [Passage(index, message.role, "content", message.content)] if message.content else []
    name = [Passage(index, message.role, "name", message.name)] if message.name else []
    untrusted = [
        Passage(index, "tool", "content", message.content[start:end], start)
        for start, end in message.untrusted
        if message.content[start:end] not in ("", message.content)
    ]
    return content + untrusted + name


def _together(messages: Sequence[Message]) -> list[list[int]]:
    """Indices of the user messages that are read as one: each run of them, and the last ones of all."""
    by_role = [list(run) for role, run in groupby(range(len(messages)), lambda i: messages[i].role) if role == "user"]
    runs = [[index for index in run if messages[index].content] for run in by_role]
    recent = [index for run in runs for index in run][-RECENT_TURNS:]
    return [turns for turns in (*runs, recent) if len(turns) > 1]


def _with_words_joined(contents: Sequence[str]) -> str:
    joined = [contents[0]]
    for before, after in pairwise(contents):
        joined += ["" if _cuts_a_word(before, after) else "\n", after]
    return "".join(joined)


def _cuts_a_word(before: str, after: str) -> bool:
    """Whether a word may begin in one message and end in the next: letters meet, and neither part is common."""
    begun = _LAST_WORD.search(before[-_LONGEST_WORD:])
    ended = _FIRST_WORD.match(after[:_LONGEST_WORD])
    if not begun or not ended or begun.group().lower() in ENGLISH or ended.group().lower() in ENGLISH:
        return False
    return after[0].islower() or before[-1].isupper()
