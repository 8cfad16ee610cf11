"""What another model's message says: its content blocks, told apart into text, thoughts and tool calls.

Everything that a reader could read is either among these or left out; what is opaque (ids, signatures, encrypted
thoughts) goes back to its provider as it came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from rose_guard.errors import InputError
from rose_guard.langchain.messages import from_langchain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import BaseMessage

    from rose_guard.message import Message

THOUGHT = "reasoning_content"
"""Where models whose content is a string put their thoughts, in ``additional_kwargs``."""
_TEXTS = {"text": "text", "refusal": "refusal"}
_THOUGHTS = ("reasoning", "thinking", "redacted_thinking", "reasoning_content")
_CALLS = (
    *("tool_use", "input_json_delta", "tool_call", "tool_call_chunk", "invalid_tool_call"),
    *("function_call", "custom_tool_call"),
)
_KEPT_OF_TEXTS = ("type", "text", "refusal", "id", "index")
_SIGNATURES = "__gemini_function_call_thought_signatures__"
_OPAQUE = ("type", "id", "index", "call_id", "status", "signature", "encrypted_content", "data", _SIGNATURES)
_KEPT_BESIDE = (THOUGHT, "refusal", "parsed", _SIGNATURES)
"""Of ``additional_kwargs``: the first two are scored, ``parsed`` is what a client library made of the scored text."""
_UNREADABLE_BESIDE = ("function_call", "audio")


@dataclass(frozen=True, slots=True)
class Said:
    """What content says.

    Args:
        text: of the answer itself.
        thoughts: what was thought before it.
        calls: every string in blocks that spell tool calls.
    """

    text: str = ""
    thoughts: str = ""
    calls: tuple[str, ...] = ()


def said(message: AIMessage) -> Said:
    """What a message says beside its ``tool_calls``; it must hold no :func:`unreadable` kind."""
    beside = message.additional_kwargs
    texts, thoughts = [str(beside.get("refusal") or "")], [str(beside.get(THOUGHT) or "")]
    calls: list[str] = []
    for block in blocks(message.content):
        kind = block.get("type")
        if kind in _TEXTS:
            texts.append(block.get(_TEXTS[kind]) or "")
        elif kind in _THOUGHTS:
            thoughts += strings(block)
        else:
            calls += strings(block)
    return Said("".join(texts), "".join(thoughts), tuple(calls))


def unreadable(message: AIMessage) -> str | None:
    """The kind of a part that cannot be scored, such as an image; None where there is none."""
    for kind in _UNREADABLE_BESIDE:
        if message.additional_kwargs.get(kind):
            return kind
    for block in blocks(message.content):
        kind = str(block.get("type"))
        known = kind in _THOUGHTS or kind in _CALLS
        if not known and not (kind in _TEXTS and isinstance(block.get(_TEXTS[kind], ""), str | None)):
            return kind
    return None


def spells_calls(message: AIMessage) -> bool:
    """Whether any part of a tool call is in it."""
    return bool(
        message.tool_calls
        or message.invalid_tool_calls
        or getattr(message, "tool_call_chunks", None)
        or any(block.get("type") in _CALLS for block in blocks(message.content))
    )


def kept_content(content: str | list[Any]) -> str | list[Any]:
    """Content without what nobody scores, such as annotations."""
    if isinstance(content, str):
        return content
    return [
        {key: value for key, value in block.items() if key in _KEPT_OF_TEXTS}
        if isinstance(block, dict) and block.get("type") in _TEXTS
        else block
        for block in content
    ]


def kept_beside(additional_kwargs: dict[str, Any]) -> dict[str, Any]:
    """``additional_kwargs`` without what nobody scores."""
    return {key: value for key, value in additional_kwargs.items() if key in _KEPT_BESIDE and value is not None}


def judged(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """A conversation as it is judged: whatever the model will read of earlier answers stands there in words.

    Raises:
        InputError: for images, audio, files, results of a server's tools, and roles that have no counterpart.
    """
    return from_langchain([_in_words(each) if isinstance(each, AIMessage) else each for each in messages])


def blocks(content: str | list[Any]) -> Iterator[dict[str, Any]]:
    """Content as blocks, also where it is a string or holds strings."""
    for part in [content] if isinstance(content, str) else content:
        yield {"type": "text", "text": part} if isinstance(part, str) else part


def strings(value: Any) -> Iterator[str]:
    """Every string in a block that a reader could read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _OPAQUE:
                yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def unspoken(said_in_blocks: Sequence[str], spoken: str) -> list[str]:
    """Strings of blocks that are not part of what is scored already."""
    return [string for string in said_in_blocks if string not in spoken]


def _in_words(message: AIMessage) -> AIMessage:
    if kind := unreadable(message):
        raise InputError(
            f"an earlier answer holds {kind!r}, which cannot be judged; leave it out, or send its text in words"
        )
    told = said(message)
    calls = json.dumps([call["args"] for call in message.tool_calls], ensure_ascii=False, default=str)
    named = calls + "".join(call["name"] for call in message.tool_calls)
    more = [*told.calls, *strings(message.invalid_tool_calls), *strings(_more_beside(message))]
    words = [told.thoughts, told.text, *unspoken(more, named)]
    return message.model_copy(update={"content": "\n".join(word for word in words if word)})


def _more_beside(message: AIMessage) -> list[Any]:
    return [value for key, value in message.additional_kwargs.items() if key not in (THOUGHT, "refusal", *_OPAQUE)]
