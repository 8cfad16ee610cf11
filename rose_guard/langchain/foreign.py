"""GuardedChatModel: any LangChain chat model behind the guard, also one that cannot be steered."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableBinding
from pydantic import Field, InstanceOf, model_validator

from rose_guard import __version__
from rose_guard.engines.worker import worker
from rose_guard.errors import SettingsError
from rose_guard.guard import GenerationOptions, Guard
from rose_guard.langchain.chat_model import RULING, ChatRose
from rose_guard.langchain.foreign_blocks import judged
from rose_guard.langchain.foreign_call import ForeignCall, tools_for_local
from rose_guard.langchain.foreign_engine import ForeignEngine, name_of
from rose_guard.langchain.foreign_structure import with_structure
from rose_guard.langchain.guard_fields import CONFIG, GuardFields
from rose_guard.langchain.loading import answer_classifier_for, classifier_for, loaded_policy, policy_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LanguageModelInput, ModelProfile
    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable

    from rose_guard.policy.live import LivePolicy
    from rose_guard.policy.policy import Policy

_NO_CACHE = "cache: a cached answer is given without judging anything; leave it out"
_SINGLE = {"n": (None, 1), "logprobs": (None, False), "top_logprobs": (None, 0)}


class GuardedChatModel(GuardFields, BaseChatModel):
    """A chat model that answers only what the policy lets it answer, and of which only checked text is shown.

    .. code-block:: python

        from langchain_openai import ChatOpenAI
        from rose_guard import GuardedChatModel

        llm = GuardedChatModel(model=ChatOpenAI(model="gpt-5"), policy="policy.yaml")

    A hosted model gives no logits, so it cannot be steered by ROSE: the policy's ``unsteerable`` says what happens to a
    conversation that should be. Refusals, blocks, escalation, the audit log and the check of answers are those of
    :class:`~rose_guard.langchain.chat_model.ChatRose`. Where the policy checks answers (``output.enabled``), text,
    thoughts and tool calls are held back until they are scored; where it does not, they stream as they come.

    The model is sent the call's own messages and settings, and its callbacks are silent: handlers, streams and tracers
    see this model's run alone, which holds what was released. LangSmith does not trace the inner run either.
    Errors of the model are raised as they are.
    """

    model_config = CONFIG

    model: InstanceOf[BaseChatModel] = Field(exclude=True, repr=False)
    """What answers, with its own settings. Its tokens are counted as four characters each where windows are made."""
    local: InstanceOf[ChatRose] | None = Field(default=None, exclude=True, repr=False)
    """Answers what is to be steered, where the policy says ``unsteerable: route``; its own policy is not asked."""
    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    """False, always: LangChain would give a cached answer to a conversation that nobody judged."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse here what would otherwise fail at the first answer."""
        self.policy = self._policy
        if (now := policy_now(self.policy)) is not None and now.unsteerable == "route" and self.local is None:
            raise SettingsError("the policy says `unsteerable: route`, but to where? pass local=ChatRose(…)")
        if self.cache is not False:
            raise SettingsError(_NO_CACHE)
        _check_single({}, self.model)
        self.output_version = self.output_version or self.model.output_version
        return self

    @property
    def _policy(self) -> Policy | LivePolicy:
        if (policy := loaded_policy(self.policy)) is None:
            raise SettingsError("policy=None guards nothing; call the model itself, or give a policy")
        return policy

    @property
    def model_name(self) -> str:
        """The inner model's name, by which agents choose how to ask for structure."""
        return name_of(self.model)

    @property
    def _llm_type(self) -> str:
        return "guarded-chat-model"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What the inner model is and whatever else changes an answer."""
        policy = policy_now(self._policy)
        return {
            **self.model._identifying_params,  # noqa: SLF001 - a wrapper is identified by what it wraps
            "inner_type": self.model._llm_type,  # noqa: SLF001 - likewise
            "policy_digest": policy.digest if policy else None,
            "classifier": self.classifier.name if self.classifier else f"that of rose_guard {__version__}",
            "answer_classifier": self.answer_classifier.name if self.answer_classifier else None,
            "local": self.local._identifying_params if self.local else None,  # noqa: SLF001 - likewise
            **{name: getattr(self, name) for name in ("tenant", "language", "expose")},
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        kwargs.pop(RULING, None)
        return self.model._get_ls_params(stop=stop, **kwargs)  # noqa: SLF001 - costs are those of the inner model

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What tracing is told of a call; a ruling's policy holds reverse prompts, which no trace may."""
        kwargs.pop(RULING, None)
        return super()._get_invocation_params(stop=stop, **kwargs)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Refused: LangChain asks for it before it looks into a cache, such as one that was given later."""
        raise SettingsError(_NO_CACHE)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return self.model.profile

    def get_token_ids(self, text: str) -> list[int]:
        """A text in tokens, as the inner model counts them."""
        return self.model.get_token_ids(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """How many tokens a conversation has, as the inner model counts them."""
        return self.model.get_num_tokens_from_messages(messages, **({} if tools is None else {"tools": tools}))

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools, in the inner model's own format.

        Raises:
            NotImplementedError: if the inner model takes no tools.
            SettingsError: if it binds them in a way that cannot be carried over.
        """
        chosen = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self._bound_as(self.model.bind_tools(tools, **chosen, **kwargs))

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """The model, answering with values of a schema, by the inner model's own way of asking and reading.

        Raises:
            PolicyViolation: (the runnable) if the answer is a refusal; with ``include_raw`` it is the parsing_error.
            NotImplementedError: if the inner model has no structured output.
            SettingsError: if it asks in a way that cannot be carried over.
        """
        structured = self.model.with_structured_output(schema, **kwargs)
        return with_structure(structured, self._bound_as, include_raw=include_raw)

    def _bound_as(self, binding: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with the settings that the inner one was bound to."""
        if not isinstance(binding, RunnableBinding) or not isinstance(binding.bound, BaseChatModel):
            kind = type(self.model).__name__
            raise SettingsError(f"{kind} binds in a way that cannot be carried over; bind its settings by bind()")
        guarded = self if binding.bound is self.model else self.model_copy(update={"model": binding.bound})
        return guarded.bind(**binding.kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, kwargs, streamed=False)
        return call.result(self._chunks(call))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = await asyncio.to_thread(self._call, messages, stop, kwargs, streamed=False)
        return call.result([chunk async for chunk in self._achunks(call)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._chunks(self._call(messages, stop, kwargs, streamed=True))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = await asyncio.to_thread(self._call, messages, stop, kwargs, streamed=True)
        async with aclosing(self._achunks(call)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _chunks(self, call: ForeignCall) -> Iterator[ChatGenerationChunk]:
        with closing(call.guard.stream(call.messages, options=call.options)) as pieces:
            for piece in pieces:
                yield from call.chunks(piece)

    async def _achunks(self, call: ForeignCall) -> Any:
        async with aclosing(call.guard.astream(call.messages, options=call.options)) as pieces:
            async for piece in pieces:
                for chunk in call.chunks(piece):
                    yield chunk

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, given: dict[str, Any], *, streamed: bool
    ) -> ForeignCall:
        """One call's guard and engine; the first one loads the classifiers."""
        settings = {key: value for key, value in given.items() if key != RULING}
        _check_single(settings, self.model)
        conversation, options = judged(messages), self._options(stop, settings, given.get(RULING))
        engine = ForeignEngine(self.model, messages, {**settings, "stop": stop}, streamed=streamed)
        guard = worker.run(self._guard_of, engine)
        return ForeignCall(guard, engine, conversation, options, debug=self.expose == "debug")

    def _options(self, stop: list[str] | None, settings: dict[str, Any], ruling: Any) -> GenerationOptions:
        """On whose behalf, and how the local model decodes where it answers; the inner one has its own settings."""
        options = GenerationOptions()
        if self.local is not None:
            tools = tools_for_local(settings.get("tools"))
            options, _ = self.local._asked(stop, {"tools": tools, "n": 1, "logprobs": False})  # noqa: SLF001 - the same layer
        return replace(
            options,
            constraint=None,
            language=self.language,
            principal=self.principal,
            thread=self.thread,
            tenant=self.tenant,
            ruling=ruling,
        )

    def _guard_of(self, engine: ForeignEngine) -> Guard:
        """A guard for one call, of the fields as they are now. Runs on the worker, so that nothing loads twice."""
        now = policy_now(policy := self._policy)
        return Guard(
            engine,
            classifier=classifier_for(now, self.classifier),
            policy=policy,
            answer_classifier=answer_classifier_for(now, self.answer_classifier),
            memory=self.memory,
            audit=self.audit,
            on_notify=self.on_notify,
            local=self.local.guard.engine if self.local is not None else None,
        )


def _check_single(settings: dict[str, Any], model: BaseChatModel) -> None:
    for name, allowed in _SINGLE.items():
        if (value := settings.get(name, getattr(model, name, None))) not in allowed:
            raise SettingsError(
                f"{name} = {value!r}: a guarded model gives one answer, without log-probabilities; leave {name} out, "
                f"of the inner model too"
            )
