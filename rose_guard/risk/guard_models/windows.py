"""Windows: a long text as overlapping pieces that a model can read, and a conversation as views to score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rose_guard.assessment import Span
from rose_guard.errors import ClassifierError
from rose_guard.risk.deadline import check_deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rose_guard.message import Message

OVERLAP_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says, as guard models know sides: whoever is not the assistant counts as the user."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """Something to score at once: a piece of one message as if a user said it, or several turns together."""

    span: Span
    turns: tuple[Turn, ...]


def views(messages: Sequence[Message], fits: Callable[[tuple[Turn, ...]], bool], *, together: bool) -> Iterator[View]:
    """All that must be scored of a conversation.

    Every message and every name is read by itself, whole or in windows, so that none goes unscored. Where there are
    several turns and ``together`` is set, the last ones that fit are also read as a conversation, without system
    messages.

    Args:
        messages: the conversation.
        fits: whether turns can be read at once.
        together: whether the reader understands conversations.

    Raises:
        ClassifierError: if not even a character of a text fits.
    """
    texts = [(Span(index, 0, 0), message.name) for index, message in enumerate(messages) if message.name]
    texts += [
        (Span(index, 0, len(message.content)), message.content)
        for index, message in enumerate(messages)
        if message.content.strip()
    ]
    for span, text in texts or [(Span(0, 0, 0), messages[0].content)]:
        for start, end in windows(text, lambda piece: fits(_alone(piece))):
            place = Span(span.message, start, end) if span.end else span
            yield View(place, _alone(text[start:end]))
    spoken = [i for i, message in enumerate(messages) if message.role != "system" and message.content.strip()]
    if together and len(spoken) > 1:
        turns = _turns([messages[i] for i in spoken])
        while turns and not fits(turns):
            turns = turns[2:]
        if turns:
            yield View(Span(spoken[-1], 0, len(messages[spoken[-1]].content), view="turns"), turns)


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


def _turns(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """Turns that alternate, beginning with the user's: templates of guard models take no others."""
    turns: list[Turn] = []
    for message in messages:
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role, f"{turns[-1].text}\n\n{message.content}")
        elif turns or role == "user":
            turns.append(Turn(role, message.content))
    return tuple(turns)
