"""Windows: a long text as overlapping pieces that a model can read, and a conversation as the pieces to score."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from rose_guard.assessment import Span
from rose_guard.errors import ClassifierError
from rose_guard.risk.deadline import check_deadline
from rose_guard.risk.reading import passages, views
from rose_guard.risk.reading.view import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rose_guard.message import Message
    from rose_guard.risk.reading import View

    Side = Literal["user", "assistant"]

READING = 1
"""Part of every name; it rises whenever other texts of the same conversation would be scored."""
OVERLAP_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says, as guard models know sides: whoever is not the assistant counts as the user."""

    role: Side
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to score at once: a part of one passage as if a user said it, or the turns of a conversation."""

    span: Span
    turns: tuple[Turn, ...]


def pieces(messages: Sequence[Message], fits: Callable[[tuple[Turn, ...]], bool], *, together: bool) -> Iterator[Piece]:
    """All that must be scored of a conversation.

    Every passage is read by itself in every view, whole or in windows, so that nothing goes unscored. Where several
    messages speak and ``together`` is set, the last turns that fit are also read as a conversation, without system
    messages: as written, and with tricks undone where there are any.

    Args:
        messages: the conversation.
        fits: whether turns can be read at once.
        together: whether the reader understands conversations.

    Raises:
        ClassifierError: if not even a character of a text fits, or the conversation is too long or too deeply encoded
            to be read.
    """
    found = passages(messages)
    for passage in found:
        for view in views(passage.text):
            for start, end in windows(view.text, lambda text: fits(_alone(text))):
                yield Piece(passage.span(view, start, end), _alone(view.text[start:end]))
    if not found:
        yield Piece(Span(0, 0, 0), _alone(""))
    if together:
        yield from _conversations(messages, fits)


def windows(text: str, fits: Callable[[str], bool]) -> list[tuple[int, int]]:
    """Start and end of overlapping pieces of a text, each of which fits; together they hold every character.

    All but the last are equally long. Each reaches 200 characters into the next one, or a third of the way where
    pieces are short, so that a sentence on the border is read whole.

    Raises:
        ClassifierError: if not even a character fits, or time is up.
    """
    step = max(1, len(text))
    while True:
        check_deadline()
        reach = step + min(OVERLAP_CHARACTERS, step // 3)
        found = [(start, min(start + reach, len(text))) for start in range(0, max(1, len(text)), step)]
        if all(fits(text[start:end]) for start, end in found):
            return found
        if step == 1:
            raise ClassifierError("the classifier's context has no room for text beside its instructions")
        step = (step + 1) // 2


def _alone(text: str) -> tuple[Turn, ...]:
    return (Turn("user", text),)


def _conversations(messages: Sequence[Message], fits: Callable[[tuple[Turn, ...]], bool]) -> Iterator[Piece]:
    """The last turns that fit, once for each view that any message has; a message with fewer stays at its last."""
    spoken = [i for i, message in enumerate(messages) if message.role != "system" and message.content.strip()]
    if len(spoken) < 2:  # noqa: PLR2004 - one message alone is a passage
        return
    read = [(_side(messages[i]), views(messages[i].content)) for i in spoken]
    for depth in range(max(len(found) for _, found in read)):
        runs = _runs([(side, found[min(depth, len(found) - 1)]) for side, found in read])
        while runs and not fits(_turns(runs)):
            runs = runs[2:]
        if runs:
            undone = _undone([view for _, run in runs for view in run])
            yield Piece(Span(spoken[-1], 0, 0, view="+".join(["turns", *undone])), _turns(runs))


def _side(message: Message) -> Side:
    return "assistant" if message.role == "assistant" else "user"


def _runs(said: Sequence[tuple[Side, View]]) -> list[tuple[Side, list[View]]]:
    """Sides that alternate, beginning with the user's: templates of guard models take no others."""
    runs = [(side, [view for _, view in run]) for side, run in groupby(said, key=lambda one: one[0])]
    return runs[1:] if runs[0][0] == "assistant" else runs


def _turns(runs: Sequence[tuple[Side, Sequence[View]]]) -> tuple[Turn, ...]:
    """Messages of one side joined as passages join them, so that what was judged as one is not judged twice."""
    return tuple(Turn(side, "\n".join(view.text for view in run)) for side, run in runs)


def _undone(read: Sequence[View]) -> list[str]:
    """What was undone in any of these views, each once."""
    return list(dict.fromkeys(part for view in read if view.kind != WRITTEN for part in view.kind.split("+")))
