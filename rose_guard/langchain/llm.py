"""RoseLLM: a guarded local model as a LangChain string LLM."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from rose_guard.langchain.guard_fields import CONFIG
from rose_guard.langchain.guarded_model import GuardedModel
from rose_guard.langchain.metadata import logprobs_metadata
from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun

    from rose_guard.guard import Answer, Piece


class RoseLLM(GuardedModel, BaseLLM):
    """ChatRose for applications that send one string and want one back; each prompt is one user message.

    .. code-block:: python

        from rose_guard import RoseLLM

        RoseLLM().invoke("How do I kill a Python process?")

    Takes the same arguments and raises the same errors as ChatRose.
    """

    model_config = CONFIG

    @property
    def _llm_type(self) -> str:
        return "rose-llm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return self._parameters()

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        return self._result(self.guard.answers(_conversations(prompts), options=self._options(stop, **kwargs)))

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        guard = await asyncio.to_thread(lambda: self.guard)
        return self._result(await guard.aanswers(_conversations(prompts), options=self._options(stop, **kwargs)))

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        pieces = self.guard.stream([Message("user", prompt)], options=self._options_of_one(stop, **kwargs))
        with closing(pieces):
            for piece in pieces:
                yield self._chunk(piece)

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        guard = await asyncio.to_thread(lambda: self.guard)
        pieces = guard.astream([Message("user", prompt)], options=self._options_of_one(stop, **kwargs))
        async with aclosing(pieces):
            async for piece in pieces:
                yield self._chunk(piece)

    def _result(self, answered: list[list[Answer]]) -> LLMResult:
        return LLMResult(generations=[[self._generation(answer) for answer in answers] for answers in answered])

    def _generation(self, answer: Answer) -> Generation:
        info = {**self._response_metadata(answer.last), **logprobs_metadata(answer.logprobs)}
        return Generation(text=answer.text, generation_info=info)

    def _chunk(self, piece: Piece) -> GenerationChunk:
        info = logprobs_metadata(piece.delta.logprobs)
        if piece.delta.finish_reason:
            info = {**self._response_metadata(piece), **info}
        return GenerationChunk(text=piece.text, generation_info=info or None)


def _conversations(prompts: list[str]) -> list[list[Message]]:
    return [[Message("user", prompt)] for prompt in prompts]
