"""Between LangChain's messages and ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from rose_guard.errors import InputError
from rose_guard.langchain.untrusted import is_untrusted
from rose_guard.message import ROLES, Message, Role, ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROLES: dict[type[BaseMessage], Role] = {
    SystemMessage: "system",
    HumanMessage: "user",
    AIMessage: "assistant",
    ToolMessage: "tool",
}
_TOLD_ELSEWHERE = ("tool_call", "tool_use", "function_call", "reasoning", "thinking")
"""Blocks of an assistant's message that are no text: its calls stand in ``tool_calls``, its thoughts are past."""

_KNOWN = ("image", "image_url", "audio", "input_audio", "video", "file", "text-plain", "document", "tool_result")


def from_langchain(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """LangChain's messages as ours.

    Raises:
        InputError: for images, audio, files, and roles that have no counterpart.
    """
    return tuple(_message(message) for message in messages)


def _message(message: BaseMessage) -> Message:
    role = _role(message)
    if isinstance(message, AIMessage):
        return Message(role, _text(message), message.name, tool_calls=_calls(message))
    call_id = message.tool_call_id if isinstance(message, ToolMessage) else None
    return Message(role, _text(message), message.name, tool_call_id=call_id, untrusted=_untrusted(message))


def _role(message: BaseMessage) -> Role:
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    if isinstance(message, ChatMessage) and message.role in ROLES:
        return message.role  # type: ignore[return-value]
    raise InputError(f"messages of type {message.type!r} are not supported; use system, human, ai or tool messages")


def _calls(message: AIMessage) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(call["name"], json.dumps(call["args"], ensure_ascii=False, default=str), call["id"])
        for call in message.tool_calls
    )


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(_block_text(block, message) for block in message.content)


def _untrusted(message: BaseMessage) -> tuple[tuple[int, int], ...]:
    """Where the text of blocks stands that were marked so."""
    spans, end = [], 0
    for block in message.content if isinstance(message.content, list) else []:
        start, end = end, end + len(_block_text(block, message))
        if is_untrusted(block):
            spans.append((start, end))
    return tuple(spans)


def _block_text(block: str | dict[str, Any], message: BaseMessage) -> str:
    if isinstance(block, str):
        return block
    kind, text = block.get("type"), block.get("text")
    if isinstance(message, AIMessage) and kind in _TOLD_ELSEWHERE:
        return ""
    if kind != "text" or not isinstance(text, str):
        named = kind if kind in _KNOWN else "unknown"  # what a tool calls its blocks is its text
        raise InputError(
            f"content blocks of type {named!r} are not supported; leave out images, audio and files, and give results "
            f"of tools as tool messages"
        )
    return text
