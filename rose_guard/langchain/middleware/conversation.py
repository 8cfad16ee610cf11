"""An agent's conversation as it is judged, and without what was refused of it. Pure."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langgraph.types import Command

from rose_guard.errors import InputError
from rose_guard.langchain.messages import from_langchain
from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rose_guard.policy.decision import Decision

UNCHECKED = "(not checked)"
"""What a turn says to the judge that is not to be checked."""
REMOVED = "(This message was removed by the safety policy.)"
"""What a turn says from now on that was refused."""


def judged(messages: Iterable[BaseMessage], *, check_input: bool, check_tool_results: bool) -> tuple[Message, ...]:
    """Every turn, those that are not to be checked without what they say; none is left out, so that places stay.

    Raises:
        InputError: for images, audio and files, which cannot be judged.
    """
    checks = ((each, check_tool_results if isinstance(each, ToolMessage) else check_input) for each in messages)
    return from_langchain([message if checked else saying(message, UNCHECKED) for message, checked in checks])


def saying(message: BaseMessage, text: str) -> BaseMessage:
    """A message in another's place, with this text and nothing else that the other said.

    Its id stays, and so do a result's call and the names of the tools that an answer called.
    """
    if isinstance(message, ToolMessage):
        return ToolMessage(text, tool_call_id=message.tool_call_id, status=message.status, id=message.id)
    if isinstance(message, AIMessage):
        return AIMessage(text, tool_calls=[{**call, "args": {}} for call in message.tool_calls], id=message.id)
    if isinstance(message, ChatMessage):
        return ChatMessage(content=text, role=message.role, id=message.id)
    return (SystemMessage if isinstance(message, SystemMessage) else HumanMessage)(text, id=message.id)


def offenders(conversation: Sequence[Message], decision: Decision) -> list[int]:
    """Places of the messages that the rules fired at; of the newest user message where nothing tells."""
    spans = decision.assessment.spans if decision.assessment else {}
    fired = {spans[label].message for label in (*decision.hazards, *decision.attacks) if label in spans}
    places = sorted(place for place in fired if 0 <= place < len(conversation))
    return places or [max(place for place, message in enumerate(conversation) if message.role == "user")]


def last_answer(messages: Sequence[BaseMessage]) -> tuple[int, AIMessage] | None:
    """The newest assistant message and its place; None where there is none."""
    answers = ((place, each) for place, each in enumerate(messages) if isinstance(each, AIMessage))
    return max(answers, default=None, key=itemgetter(0))


def written(message: AIMessage) -> str:
    """Everything that a model wrote: its thoughts, its text and its calls, in words.

    Raises:
        InputError: for content that is none of these.
    """
    return "\n".join(part for part in map(_block_text, message.content_blocks) if part)


def call_text(call: Mapping[str, Any]) -> str:
    """A tool call in words."""
    arguments = call.get("args")
    as_text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
    return f"{call.get('name') or ''} {as_text}"


def told_by_tool(result: Any, known: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """What a tool gave the agent to read: its result, or the messages of its commands that are not known already.

    Raises:
        InputError: for what cannot be judged.
    """
    before = {message.id: message for message in known}
    told = (each for part in (result if isinstance(result, list) else [result]) for each in _messages_of(part))
    return tuple(
        _as_result(message)
        for message in told
        if not isinstance(message, RemoveMessage) and (message.id is None or before.get(message.id) != message)
    )


def _block_text(block: Mapping[str, Any]) -> str:
    kind = block["type"]
    if kind in ("text", "reasoning"):
        return str(block.get(kind, ""))
    if kind in ("tool_call", "tool_call_chunk", "invalid_tool_call"):
        return call_text(block)
    raise InputError(f"an answer holds content of type {kind!r}, which cannot be checked; ask for text")


def _messages_of(part: Any) -> Sequence[BaseMessage]:
    if not isinstance(part, Command):
        return [part]
    update = part.update or {}
    if not isinstance(update, dict):
        raise InputError("a tool's command cannot be judged whose update is no dict; give {'messages': [...]}")
    messages = update.get("messages") or []
    return convert_to_messages(messages if isinstance(messages, list) else [messages])


def _as_result(message: BaseMessage) -> Message:
    """As a tool's, whatever role it claims."""
    (said,) = from_langchain([message])
    return said if said.role == "tool" else Message("tool", said.text, said.name)
