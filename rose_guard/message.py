"""Message: one turn of a conversation, as every layer below LangChain sees it. Plain values only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    Args:
        role: ``system``, ``user``, ``assistant`` or ``tool``; a closed set, so that a role can never carry text.
        content: the turn's text.
        name: who speaks, where a chat template has a place for it.

    Raises:
        InputError: if the role is none of the four, or the content or name is not text.
    """

    role: Role
    content: str
    name: str | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"a message's role must be one of {', '.join(ROLES)}")
        if not isinstance(self.content, str) or not isinstance(self.name, str | None):
            raise InputError("a message's content and name must be text; images and audio are not supported")
        try:
            (self.content + (self.name or "")).encode()
        except UnicodeEncodeError:
            raise InputError("a message holds half a character (a lone surrogate); decode its bytes anew") from None


def check_conversation(messages: Sequence[Message]) -> None:
    """Refuse a conversation that has nothing to answer.

    Raises:
        InputError: if there is no user turn, its last user turn is blank, or it ends with an assistant turn.
    """
    user_turns = [message for message in messages if message.role == "user"]
    if not user_turns:
        raise InputError("the conversation has no user message; add one to answer")
    if not user_turns[-1].content.strip():
        raise InputError("the last user message is empty; say something to answer")
    if messages[-1].role not in ("user", "tool"):
        raise InputError(
            f"the conversation ends with a {messages[-1].role} message; it must end with a user or tool message, "
            f"since an answer is never continued from given text"
        )


def digest(messages: Sequence[Message]) -> str:
    """SHA-256 over the canonical JSON of the messages, as 64 hex digits."""
    canonical = json.dumps([asdict(message) for message in messages], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
