"""What another model's message says: its content blocks, told apart into text, thoughts and tool calls.

Everything that a reader could read is either among these or left out; what is opaque (ids, signatures, encrypted
thoughts) goes back to its provider as it came.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from rose_guard.errors import InputError
from rose_guard.langchain.messages import from_langchain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import AIMessageChunk, BaseMessage

    from rose_guard.message import Message

THOUGHT = "reasoning_content"
"""Where models whose content is a string put their thoughts, in ``additional_kwargs``."""
_TEXTS = {"text": "text", "refusal": "refusal"}
_THOUGHTS = ("reasoning", "thinking", "redacted_thinking", "reasoning_content")
_CALLS = (
    *("tool_use", "input_json_delta", "tool_call", "tool_call_chunk", "invalid_tool_call"),
    *("function_call", "custom_tool_call"),
)
_KEPT_OF_TEXTS = ("type", "id", "index")
_WRITTEN = ("input", "args", "arguments")
"""Where a block holds what the model wrote as JSON: keys are words too there, and nothing is opaque."""
_SIGNATURES = "__gemini_function_call_thought_signatures__"
_OPAQUE = ("type", "id", "index", "call_id", "status", "signature", "encrypted_content", "data", _SIGNATURES)
_KEPT_BESIDE = (THOUGHT, "refusal", "parsed", _SIGNATURES)
"""Of ``additional_kwargs``: the first two are scored, ``parsed`` is what a client library made of the scored text."""
_UNREADABLE_BESIDE = ("function_call", "audio")
_UNTOLD = ("logprobs", "logprobs_result")
_NAMES = ("model_name", "model")
_NAME = re.compile(r"[!-~]{0,256}")


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


def spells_calls(chunk: AIMessageChunk) -> bool:
    """Whether any part of a tool call is in it."""
    return bool(chunk.tool_call_chunks) or any(block.get("type") in _CALLS for block in blocks(chunk.content))


def kept_content(content: str | list[Any]) -> str | list[Any]:
    """Content without what nobody scores, such as annotations."""
    if isinstance(content, str):
        return content
    return [
        {key: value for key, value in block.items() if key in (*_KEPT_OF_TEXTS, _TEXTS[block["type"]])}
        if isinstance(block, dict) and block.get("type") in _TEXTS
        else block
        for block in content
    ]


def kept_beside(additional_kwargs: dict[str, Any]) -> dict[str, Any]:
    """``additional_kwargs`` without what nobody scores."""
    return {key: value for key, value in additional_kwargs.items() if key in _KEPT_BESIDE and value is not None}


def kept_metadata(told: dict[str, Any]) -> dict[str, Any]:
    """What was told of an answer, without what nobody scores, such as passages of the web: names and numbers alone."""
    named = {key: told[key] for key in _NAMES if isinstance(told.get(key), str)}
    return {**_without_text({key: value for key, value in told.items() if key not in _UNTOLD}), **named}


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


def strings(value: Any, *, written: bool = False) -> Iterator[str]:
    """Every string in a block that a reader could read.

    Args:
        value: the block, or a part of it.
        written: whether the model wrote all of it, keys included.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if written:
                yield str(key)
            if written or not _is_opaque(key, inner):
                yield from strings(inner, written=written or key in _WRITTEN)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner, written=written)


def is_one_word(text: str) -> bool:
    """Whether nothing in it parts words, as in an id or a signature."""
    return not any(character.isspace() for character in text)


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


def _more_beside(message: AIMessage) -> dict[str, Any]:
    return {key: value for key, value in message.additional_kwargs.items() if key not in (THOUGHT, "refusal")}


def _is_opaque(key: str, value: Any) -> bool:
    return key in _OPAQUE and all(is_one_word(string) for string in strings(value))


def _without_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_text(inner) for key, inner in value.items() if _is_told(key) and _is_told(inner)}
    if isinstance(value, list | tuple):
        return [_without_text(inner) for inner in value if _is_told(inner)]
    return value


def _is_told(value: Any) -> bool:
    """Whether it is no text, as far as can be seen from outside."""
    if isinstance(value, str):
        return _NAME.fullmatch(value) is not None
    return isinstance(value, int | float | dict | list | tuple | None)
