"""ForeignAnswer: another model's chunks in, deltas out, each with the chunks that may be shown once it is released."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import add_usage

from rose_guard.engines.engine import Delta, Usage
from rose_guard.errors import DecodingError, InputError
from rose_guard.langchain.foreign_blocks import (
    THOUGHT,
    blocks,
    is_one_word,
    kept_beside,
    kept_content,
    kept_metadata,
    said,
    spells_calls,
    strings,
    unreadable,
    unspoken,
)
from rose_guard.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import InvalidToolCall
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.outputs import ChatGenerationChunk

CHARACTERS_PER_TOKEN = 4
"""Nobody here has the model's tokenizer; windows need counts that are about right."""
_LONGEST = 128
_SMALL = re.compile(rf"(?s).{{1,{_LONGEST - 1}}}(?:\s|$)|.{{1,{_LONGEST}}}")
_ENDINGS = ("finish_reason", "stop_reason", "done_reason")
_CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded")
_OF_EVERY_CHUNK = ("model_provider", "output_version")
"""Metadata by which LangChain reads a chunk's blocks; the rest comes once, at the end."""


@dataclass(frozen=True, slots=True)
class ForeignDelta(Delta):
    """A delta and the model's own chunks that it stands for.

    Args:
        chunks: what may be shown once the delta is released.
        scored: what the delta says, which is what the chunks say.
    """

    chunks: tuple[AIMessageChunk, ...] = field(default=(), repr=False)
    scored: str = field(default="", repr=False)

    @property
    def whole(self) -> bool:
        """Whether the guard released it as it was, so that its chunks may be shown."""
        return self.finish_reason != "content_filter" and self.shown == self.scored


class ForeignAnswer:
    """One answer under way.

    From the first part of a tool call on, everything waits for the end: only then is a call complete, and half of one
    can neither be scored nor shown. ``unread`` are the calls of an answer that came at once which its model could not
    read itself; they are scored, but are in no chunk, since LangChain would mend what it adds up.
    """

    def __init__(self) -> None:
        self.id: str | None = None
        self.metadata: dict[str, Any] = {}
        self.usage: UsageMetadata | None = None
        self.unread: tuple[InvalidToolCall, ...] = ()
        self._waiting: list[AIMessageChunk] = []
        self._tokens = 0
        self._begun = False

    @property
    def names(self) -> dict[str, Any]:
        """The metadata that every chunk carries."""
        return {key: self.metadata[key] for key in _OF_EVERY_CHUNK if key in self.metadata}

    def push(self, generation: ChatGenerationChunk) -> list[ForeignDelta]:
        """What can be scored now.

        Raises:
            DecodingError: if the chunk holds something other than text, thoughts and tool calls.
        """
        message = generation.message
        if not isinstance(message, AIMessageChunk):
            raise DecodingError(f"the model answered with a {type(message).__name__}; it must stream AIMessageChunks")
        if kind := unreadable(message):
            raise DecodingError(
                f"the model's answer holds {kind!r}, which cannot be scored, so it is not given out; ask for text"
            )
        self._note(generation, message)
        deltas: list[ForeignDelta] = []
        for chunk in small_chunks(self._kept(message)):
            if self._waiting or spells_calls(chunk):
                self._waiting.append(chunk)
            elif chunk.content or chunk.additional_kwargs:
                deltas.append(self._delta([chunk]))
        return deltas

    def end(self) -> ForeignDelta:
        """The last delta: what waited, how the answer ended, and what it used.

        Raises:
            DecodingError: if there was no answer.
        """
        if not self._begun:
            raise DecodingError("the model ended without an answer; ask again")
        reasons = {str(self.metadata.get(key)).lower() for key in _ENDINGS}
        used = self.usage or {"input_tokens": 0, "output_tokens": self._tokens}
        return self._delta(
            self._waiting,
            beside=tuple(strings(self.unread)),
            finish_reason="length" if reasons.intersection(_CUT_OFF) else "stop",
            usage=Usage(used["input_tokens"], used["output_tokens"]),
        )

    def _note(self, generation: ChatGenerationChunk, message: AIMessageChunk) -> None:
        told = {**(generation.generation_info or {}), **message.response_metadata}
        self._begun = True
        self.metadata |= kept_metadata({key: value for key, value in told.items() if value is not None})
        self.id = message.id or self.id
        if message.usage_metadata is not None:
            self.usage = add_usage(self.usage, message.usage_metadata)

    def _kept(self, message: AIMessageChunk) -> AIMessageChunk:
        """The chunk as it may be shown, without what comes once at the end."""
        return AIMessageChunk(
            content=kept_content(message.content),
            additional_kwargs=kept_beside(message.additional_kwargs),
            tool_call_chunks=message.tool_call_chunks,
            response_metadata=self.names,
            id=message.id,
        )

    def _delta(
        self,
        chunks: Sequence[AIMessageChunk],
        *,
        beside: tuple[str, ...] = (),
        finish_reason: Literal["stop", "length"] | None = None,
        usage: Usage | None = None,
    ) -> ForeignDelta:
        whole = chunks[0] + list(chunks[1:]) if chunks else AIMessageChunk(content="")
        told, (calls, broken) = said(whole), _calls(whole)
        beside = (*_beside_calls(whole, calls), *beside)
        spoken = "".join([told.text, told.thoughts, broken, *(call.text for call in calls)])
        delta = ForeignDelta(
            told.text,
            finish_reason,
            usage,
            reasoning=told.thoughts,
            tool_calls=calls,
            broken_call="\n".join(part for part in (broken, *unspoken((*told.calls, *beside), spoken)) if part),
            prompt_tokens=self.usage["input_tokens"] if self.usage else 0,
            chunks=tuple(chunks),
        )
        shown = delta.shown
        tokens = -(-len(shown) // CHARACTERS_PER_TOKEN)
        self._tokens += tokens
        return replace(delta, tokens=tokens, scored=shown)


def small_chunks(chunk: AIMessageChunk) -> Iterator[AIMessageChunk]:
    """A chunk in chunks so small that windows can be made of them; added up they are the chunk.

    A model that does not stream gives its whole answer at once.
    """
    thoughts = chunk.additional_kwargs.get(THOUGHT) or ""
    long = [thoughts, *(said(_only(chunk, content=[block])).text for block in blocks(chunk.content))]
    if all(len(text) <= _LONGEST for text in long):
        yield chunk
        return
    yield from (_only(chunk, additional_kwargs={THOUGHT: piece}) for piece in pieces(thoughts))
    for index, block in enumerate(chunk.content if isinstance(chunk.content, list) else [chunk.content]):
        yield from (_only(chunk, content=part) for part in _small_contents(block, index))
    beside = {key: value for key, value in chunk.additional_kwargs.items() if key != THOUGHT}
    yield chunk.model_copy(update={"content": "", "additional_kwargs": beside})


def pieces(text: str) -> list[str]:
    """A text in pieces that end at spaces where they can; joined they are the text."""
    return _SMALL.findall(text)


def _small_contents(block: str | dict[Any, Any], index: int) -> list[str] | list[list[Any]]:
    """A block in small ones that merge again, since they are of one index."""
    if isinstance(block, str):
        return pieces(block)
    if block.get("type") != "text":
        return [[block]]
    return [[{"index": index, **block, "text": piece}] for piece in pieces(block.get("text") or "")]


def _only(chunk: AIMessageChunk, **parts: Any) -> AIMessageChunk:
    return AIMessageChunk(**{"content": "", "id": chunk.id, "response_metadata": chunk.response_metadata, **parts})


def _calls(message: AIMessageChunk) -> tuple[tuple[ToolCall, ...], str]:
    """Calls that can be read, and the others as they were written."""
    calls: list[ToolCall] = []
    broken: list[str] = []
    for written in message.tool_call_chunks:
        name, arguments = written["name"] or "", written["args"] or ""
        try:
            calls.append(ToolCall(name, arguments or "{}", written["id"]))
        except InputError:
            broken.append(f"{name} {arguments}")
    return tuple(calls), "\n".join(broken)


def _beside_calls(message: AIMessageChunk, calls: Sequence[ToolCall]) -> Iterator[str]:
    """What chunks show of calls, but no call says: ids that are texts, and values of keys that come again."""
    yield from (call["id"] for call in message.tool_call_chunks if call["id"] and not is_one_word(call["id"]))
    for call in calls:
        yield from strings(json.loads(call.arguments, object_pairs_hook=list))
