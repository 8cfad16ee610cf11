"""ForeignEngine: any LangChain chat model as an engine. It cannot steer, and the guard alone hears what it says."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables.config import var_child_runnable_config

from rose_guard.errors import DecodingError, InputError, SettingsError
from rose_guard.langchain.foreign_answer import ForeignAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
    from contextvars import ContextVar

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatResult

    from rose_guard.engines.engine import Delta, GenerationRequest


class ForeignEngine:
    """An engine for one call of a chat model.

    The model reads the call's own messages and settings, not the request's: the guard judges a conversation in words,
    and must change nothing in what the model is sent.

    It is run through the methods that LangChain has models implement (``_stream``, ``_generate`` and their async
    forms), below those that tell callbacks. So no handler, the model's own included, no stream and no tracer
    hears what was not released; what the model runs in its turn inherits no handler either (see :func:`unheard`). Only
    instrumentation of a provider's client, a handler that such a run is given by name, and another tracer than
    LangSmith's that the environment turns on, still do.

    Args:
        model: what answers.
        messages: what it is sent.
        settings: of its call, ``stop`` and bound tools among them.
        streamed: whether it is asked for its answer piece by piece.
    """

    steers = False

    def __init__(
        self,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        settings: Mapping[str, Any],
        *,
        streamed: bool = True,
    ) -> None:
        self.answer: ForeignAnswer | None = None
        self._model, self._messages, self._settings = model, list(messages), dict(settings)
        self._streamed = streamed

    @property
    def model_id(self) -> str:
        """The model's name as LangSmith knows it."""
        return name_of(self._model)

    def stream(self, request: GenerationRequest) -> ForeignStream:
        """As the protocol says; the model is called when the stream is first read.

        Raises:
            InputError: if the request is for a contrast, or for an answer that has begun.
            SettingsError: if it is for several answers, log-probabilities or a grammar.
        """
        _check(request)
        self.answer = ForeignAnswer()
        return ForeignStream(self._chunks(), self.answer)

    def streams(self, requests: Sequence[GenerationRequest]) -> list[ForeignStream]:
        """As the protocol says."""
        return [self.stream(request) for request in requests]

    def astream(self, request: GenerationRequest) -> AsyncForeignStream:
        """As the protocol says; raises as :meth:`stream`."""
        _check(request)
        self.answer = ForeignAnswer()
        return AsyncForeignStream(self._achunks(), self.answer)

    def token_ids(self, text: str) -> list[int]:
        """As LangChain counts them for this model."""
        return self._model.get_token_ids(text)

    def _chunks(self) -> Generator[ChatGenerationChunk]:
        model = self._model
        if model.rate_limiter:
            model.rate_limiter.acquire(blocking=True)
        if self._streams(async_api=False):
            yield from model._stream(self._messages, **self._settings)  # noqa: SLF001 - see the class
        else:
            yield self._whole(model._generate(self._messages, **self._settings))  # noqa: SLF001 - likewise

    async def _achunks(self) -> AsyncGenerator[ChatGenerationChunk]:
        model = self._model
        if model.rate_limiter:
            await model.rate_limiter.aacquire(blocking=True)
        if not self._streams(async_api=True):
            yield self._whole(await model._agenerate(self._messages, **self._settings))  # noqa: SLF001 - likewise
            return
        chunks: Any = model._astream(self._messages, **self._settings)  # noqa: SLF001 - likewise
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    def _whole(self, result: ChatResult) -> ChatGenerationChunk:
        """An answer that came at once, as one chunk; calls that cannot be read are noted beside it.

        Raises:
            DecodingError: if there is not exactly one.
        """
        if len(result.generations) != 1:
            raise DecodingError(f"the model gave {len(result.generations)} answers; set it to give one")
        assert self.answer is not None
        generation = result.generations[0]
        message: Any = generation.message
        self.answer.unread = tuple(message.invalid_tool_calls)
        chunk = AIMessageChunk(
            content=message.content,
            additional_kwargs={key: value for key, value in message.additional_kwargs.items() if key != "tool_calls"},
            response_metadata={**(result.llm_output or {}), **message.response_metadata},
            tool_calls=message.tool_calls,
            usage_metadata=message.usage_metadata,
            id=message.id,
        )
        return ChatGenerationChunk(message=chunk, generation_info=generation.generation_info)

    def _streams(self, *, async_api: bool) -> bool:
        """Whether LangChain itself would stream this call of the model."""
        asked = {**self._settings, "stream": True} if self._streamed else self._settings
        return self._model._should_stream(async_api=async_api, **asked)  # noqa: SLF001 - its rules are LangChain's own


class _Inbox:
    """Deltas between a model's chunks and the guard."""

    def __init__(self, answer: ForeignAnswer) -> None:
        self._answer = answer
        self._ready: deque[Delta] = deque()
        self._over = False

    def _take(self, chunk: ChatGenerationChunk | None) -> None:
        if chunk is None:
            self._over = True
            self._ready.append(self._answer.end())
        else:
            self._ready += self._answer.push(chunk)


class ForeignStream(_Inbox):
    """Deltas for a thread; each read calls the model on, unheard."""

    def __init__(self, chunks: Generator[ChatGenerationChunk], answer: ForeignAnswer) -> None:
        super().__init__(answer)
        self._chunks = chunks

    def __iter__(self) -> Iterator[Delta]:
        return self

    def __next__(self) -> Delta:
        while not self._ready:
            if self._over:
                raise StopIteration
            with unheard():
                chunk = next(self._chunks, None)
            self._take(chunk)
        return self._ready.popleft()

    def close(self) -> None:
        """Stop the model."""
        self._over = True
        self._ready.clear()
        with unheard():
            self._chunks.close()


class AsyncForeignStream(_Inbox):
    """Deltas for an event loop, likewise."""

    def __init__(self, chunks: AsyncGenerator[ChatGenerationChunk], answer: ForeignAnswer) -> None:
        super().__init__(answer)
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            with unheard():
                chunk = await anext(self._chunks, None)
            self._take(chunk)
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Stop the model."""
        self._over = True
        self._ready.clear()
        with unheard():
            await self._chunks.aclose()


@contextmanager
def unheard() -> Iterator[None]:
    """What runs in here inherits no callbacks, and no tracer of the context or of LangSmith's environment hears it."""
    from langchain_core.tracers.context import _configure_hooks, tracing_v2_callback_var
    from langsmith.run_helpers import tracing_context

    handlers: list[ContextVar[Any]] = [var_child_runnable_config, tracing_v2_callback_var]
    handlers += [hook[0] for hook in _configure_hooks]
    tokens = [(handler, handler.set(None)) for handler in handlers]
    try:
        with tracing_context(enabled=False, parent=False):
            yield
    finally:
        for handler, token in reversed(tokens):
            handler.reset(token)


def name_of(model: BaseChatModel) -> str:
    """The model's name, or its kind where it has none."""
    return str(model._get_ls_params().get("ls_model_name") or model._llm_type)  # noqa: SLF001 - LangChain has no other


def _check(request: GenerationRequest) -> None:
    if request.reverse_prompts or request.safe_prompt is not None:
        raise InputError("this model cannot be steered; say in the policy under `unsteerable` what happens then")
    if request.begun:
        raise InputError("this model cannot go on behind a given beginning")
    if request.n != 1 or request.logprobs is not None or request.constraint is not None:
        raise SettingsError("a guarded model gives one answer, without log-probabilities, and follows no grammar")
