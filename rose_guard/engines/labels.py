"""Labels as whole answers to a conversation, in tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.errors import ContextLengthError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.engines.prompt import ChatPrompt
    from rose_guard.message import Message


def labelled(
    prompt: ChatPrompt, messages: Sequence[Message], labels: Sequence[str], *, end: int | None, context: int | None
) -> tuple[list[int], list[list[int]]]:
    """A conversation's tokens, and each label's with the one that ends the turn. A model that thinks is not let.

    Args:
        prompt: encodes.
        messages: a conversation to answer.
        labels: answers, each complete.
        end: the token that ends a turn.
        context: how many tokens the model reads at most.

    Raises:
        ContextLengthError: if the conversation and the longest label do not fit.
    """
    ids, reading = prompt.encode(messages), prompt.answer_format
    if reading.thinks and reading.within_thoughts(ids):
        ids = [*ids, *reading.end_of_thoughts()]
    ends = [] if end is None else [end]
    continuations = [[*prompt.token_ids(label), *ends] for label in labels]
    longest = len(ids) + max(map(len, continuations))
    if context and longest > context:
        raise ContextLengthError(longest, context)
    return ids, continuations
