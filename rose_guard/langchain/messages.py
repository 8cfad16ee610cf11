"""Between LangChain's messages and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from rose_guard.errors import InputError
from rose_guard.message import ROLES, Message, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROLES: dict[type[BaseMessage], Role] = {
    SystemMessage: "system",
    HumanMessage: "user",
    AIMessage: "assistant",
    ToolMessage: "tool",
}


def from_langchain(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """LangChain's messages as ours.

    Raises:
        InputError: for images, audio, tool calls and roles that have no counterpart.
    """
    return tuple(Message(_role(message), _text(message), message.name) for message in messages)


def _role(message: BaseMessage) -> Role:
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            if getattr(message, "tool_calls", None):
                raise InputError("tool calls are not supported; send their results as text in a user message")
            return role
    if isinstance(message, ChatMessage) and message.role in ROLES:
        return message.role  # type: ignore[return-value]
    raise InputError(f"messages of type {message.type!r} are not supported; use system, human, ai or tool messages")


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(_block_text(block) for block in message.content)


def _block_text(block: str | dict[str, object]) -> str:
    if isinstance(block, str):
        return block
    text = block.get("text")
    if block.get("type") != "text" or not isinstance(text, str):
        raise InputError("content blocks other than text are not supported; leave out images, audio and files")
    return text
