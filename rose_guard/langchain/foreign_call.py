"""ForeignCall: one call of a guarded model, and LangChain's chunks of what the guard gives out of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.function_calling import convert_to_openai_tool

from rose_guard.langchain.answers import ChunkMaker
from rose_guard.langchain.foreign_answer import ForeignDelta
from rose_guard.langchain.metadata import rose_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_core.outputs import ChatResult

    from rose_guard.guard import GenerationOptions, Guard, Piece
    from rose_guard.langchain.foreign_engine import ForeignEngine
    from rose_guard.message import Message


@dataclass(slots=True)
class ForeignCall:
    """What one call needs.

    Args:
        guard: made for this call.
        engine: the guard's, which knows what the model told of its answer.
        messages: what is judged.
        options: what was chosen of the answer.
        debug: whether metadata holds more than a summary.
    """

    guard: Guard
    engine: ForeignEngine
    messages: tuple[Message, ...] = field(repr=False)
    options: GenerationOptions
    debug: bool
    _own: ChunkMaker = field(default_factory=ChunkMaker)

    def chunks(self, piece: Piece) -> list[ChatGenerationChunk]:
        """A piece as chunks: the model's own where it gave the piece, ours where the guard or a local model did."""
        delta = piece.delta
        if isinstance(delta, ForeignDelta) and delta.whole:
            chunks = [*delta.chunks, *([self._last(piece)] if delta.finish_reason else [])]
        else:
            chunks = [self._ours(piece)]
        return [ChatGenerationChunk(message=chunk) for chunk in chunks]

    def result(self, chunks: Iterable[ChatGenerationChunk]) -> ChatResult:
        """A whole answer, with the calls that its model could not read, where it was released."""
        result, answer = generate_from_stream(iter(chunks)), self.engine.answer
        message: Any = result.generations[0].message
        if answer is not None and message.response_metadata.get("finish_reason") != "content_filter":
            message.invalid_tool_calls = [*message.invalid_tool_calls, *answer.unread]
        return result

    def _last(self, piece: Piece) -> AIMessageChunk:
        """What the model told of its answer, once, at the end."""
        answer = self.engine.answer
        assert answer is not None
        return AIMessageChunk(
            content="",
            id=answer.id,
            response_metadata={**answer.metadata, "rose": self._rose(piece)},
            usage_metadata=answer.usage,
            chunk_position="last",
        )

    def _ours(self, piece: Piece) -> AIMessageChunk:
        chunk = self._own.chunk(piece, self._metadata(piece) if piece.delta.finish_reason else None)
        if (answer := self.engine.answer) is not None:
            chunk.id = answer.id
            if piece.delta.finish_reason:
                chunk.usage_metadata = answer.usage  # the guard's own count is of characters
        return chunk

    def _metadata(self, piece: Piece) -> dict[str, Any]:
        """Of an answer that another than the model ended; nothing that the model wrote."""
        answer, local = self.engine.answer, self.guard.local
        names: dict[str, Any] = {"model_name": self.engine.model_id, "model_provider": "rose_guard"}
        if answer is not None:
            names = {"model_name": answer.metadata.get("model_name", self.engine.model_id), **answer.names}
        elif local is not None and piece.delta.finish_reason != "content_filter":
            names["model_name"] = local.model_id
        return {**names, "finish_reason": piece.delta.finish_reason, "rose": self._rose(piece)}

    def _rose(self, piece: Piece) -> dict[str, Any]:
        return rose_metadata(piece.decision, piece, debug=self.debug)


def tools_for_local(tools: Sequence[Any] | None) -> list[dict[str, Any]]:
    """The tools of a call that a local model can be told of; a provider's built-in ones are none."""
    told: list[dict[str, Any]] = []
    for tool in tools or ():
        with suppress(Exception):  # whatever a provider has, its own server runs it
            schema = convert_to_openai_tool(tool)
            told += [schema] if "function" in schema else []
    return told
