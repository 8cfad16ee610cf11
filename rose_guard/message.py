"""Message: one turn of a conversation, as every layer below LangChain sees it. Plain values only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the assistant wants called.

    Args:
        name: of the tool.
        arguments: a JSON object, as text.
        id: by which the tool's result names the call; None where it has none.

    Raises:
        InputError: if a part is no text, or the arguments are no JSON object.
    """

    name: str
    arguments: str = field(default="{}", repr=False)
    id: str | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(part, str) for part in (self.name, self.arguments, self.id or "")):
            raise InputError("a tool call's name, arguments and id must be text")
        if not isinstance(self.parsed, dict):
            raise InputError("a tool call's arguments must be a JSON object")
        _check_text(self.text + self.arguments + (self.id or ""))

    @property
    def parsed(self) -> Any:
        """The arguments as Python values; None where they are no JSON."""
        try:
            return json.loads(self.arguments)
        except (ValueError, RecursionError):
            return None

    @property
    def text(self) -> str:
        """The call in words, for whoever scores it, as a chat template shows it: escapes and repeated keys are read."""
        return f"{self.name} {json.dumps(self.parsed, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    Args:
        role: ``system``, ``user``, ``assistant`` or ``tool``; a closed set, so that a role can never carry text.
        content: the turn's text.
        name: who speaks, where a chat template has a place for it.
        tool_calls: the tools that an assistant turn calls.
        tool_call_id: which call a tool turn answers.
        untrusted: start and end of parts of the content that come from elsewhere, such as retrieved documents; each is
            also judged by itself.

    Raises:
        InputError: if the role is none of the four, the content, name or id is not text, or a role calls tools, or
            answers a call, that cannot.
    """

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    untrusted: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"a message's role must be one of {', '.join(ROLES)}")
        if not isinstance(self.content, str) or not isinstance(self.name, str | None):
            raise InputError("a message's content and name must be text; images and audio are not supported")
        if not isinstance(self.tool_call_id, str | None):
            raise InputError("a message's tool_call_id must be text")
        if (self.tool_calls and self.role != "assistant") or (self.tool_call_id is not None and self.role != "tool"):
            raise InputError("only assistant messages call tools, and only tool messages answer a call")
        if not all(0 <= start <= end <= len(self.content) for start, end in self.untrusted):
            raise InputError("an untrusted part lies outside its message's content")
        _check_text(self.content + (self.name or "") + (self.tool_call_id or ""))

    @property
    def text(self) -> str:
        """The content and, below it, the calls in words: all of the turn that is to be scored beside its name."""
        return "\n".join(part for part in (self.content, *(call.text for call in self.tool_calls)) if part)


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
    canonical = json.dumps([_told(message) for message in messages], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _told(message: Message) -> dict[str, Any]:
    """What a message says; of fields that most have not, those it has."""
    told = asdict(message)
    return {name: told[name] for name in told if name in ("role", "content", "name") or told[name]}


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("a message holds half a character (a lone surrogate); decode its bytes anew") from None
