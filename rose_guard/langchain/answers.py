"""From answers to LangChain's messages, whole or piece by piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk

from rose_guard.langchain.metadata import logprobs_metadata

if TYPE_CHECKING:
    from langchain_core.messages import InvalidToolCall, ToolCallChunk

    from rose_guard.engines.engine import Delta, Usage
    from rose_guard.guard import Answer, Piece
    from rose_guard.message import ToolCall

CALLED = "tool_calls"
"""How an answer ends that calls tools, in the words of OpenAI's API."""


def message_of(answer: Answer, metadata: dict[str, Any]) -> AIMessage:
    """A whole answer.

    Args:
        answer: what the guard gave out.
        metadata: of its last piece.
    """
    return AIMessage(
        content=answer.text,
        tool_calls=[tool_call(name=call.name, args=call.parsed, id=_id_of(call)) for call in answer.tool_calls],
        invalid_tool_calls=[_invalid(written) for written in answer.broken_calls],
        additional_kwargs=_thoughts(answer.reasoning),
        response_metadata={
            **_ended(metadata, called=bool(answer.tool_calls)),
            **logprobs_metadata(answer.logprobs),
        },
        usage_metadata=usage_of(answer.last.delta),
    )


class ChunkMaker:
    """Chunks of one answer; added up they are its message."""

    def __init__(self) -> None:
        self._calls = 0
        self.broken_calls: list[str] = []

    def chunk(self, piece: Piece, metadata: dict[str, Any] | None) -> AIMessageChunk:
        """Of a piece.

        Args:
            piece: what the guard gave out.
            metadata: on the last piece.
        """
        delta = piece.delta
        chunk = AIMessageChunk(
            content=delta.text,
            tool_call_chunks=self._call_chunks(delta),
            additional_kwargs=_thoughts(delta.reasoning),
            response_metadata=logprobs_metadata(delta.logprobs),
        )
        if metadata is not None:
            ended = _ended(metadata, called=self._calls > len(self.broken_calls))
            chunk.response_metadata = {**ended, **chunk.response_metadata}
            chunk.usage_metadata = usage_of(delta)
            chunk.chunk_position = "last"
        return chunk

    def _call_chunks(self, delta: Delta) -> list[ToolCallChunk]:
        """Calls, each whole; one that cannot be read as LangChain will find that it cannot."""
        spelt: list[tuple[str | None, str, str]] = [
            # Once more from what was read, and so scored: the same key may have been written twice.
            (call.name, json.dumps(call.parsed, ensure_ascii=False), _id_of(call))
            for call in delta.tool_calls
        ]
        if delta.broken_call:
            self.broken_calls.append(delta.broken_call)
            spelt.append((None, _unreadable(delta.broken_call), _new_id()))
        first, self._calls = self._calls, self._calls + len(spelt)
        return [
            tool_call_chunk(name=name, args=args, id=call_id, index=index)
            for index, (name, args, call_id) in enumerate(spelt, start=first)
        ]


def usage_of(last: Delta) -> UsageMetadata | None:
    """LangChain's counts of an answer's tokens."""
    usage: Usage | None = last.usage
    if usage is None:
        return None
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )


def _ended(metadata: dict[str, Any], *, called: bool) -> dict[str, Any]:
    stopped = metadata.get("finish_reason") == "stop"
    return {**metadata, "finish_reason": CALLED} if called and stopped else metadata


def _thoughts(reasoning: str) -> dict[str, Any]:
    """Where LangChain's ``content_blocks`` finds them."""
    return {"reasoning_content": reasoning} if reasoning else {}


def _invalid(written: str) -> InvalidToolCall:
    return invalid_tool_call(name=None, args=_unreadable(written), id=_new_id(), error=None)


def _unreadable(written: str) -> str:
    """A call that cannot be read, so that nobody reads half of it: LangChain guesses at JSON that was cut off."""
    return f"unreadable: {written}"


def _id_of(call: ToolCall) -> str:
    return call.id or _new_id()


def _new_id() -> str:
    return f"call_{uuid4().hex[:24]}"
