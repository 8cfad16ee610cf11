"""RoseGuardMiddleware: the guard at every step of a LangChain agent. It translates; checks decide what is judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware.types import AgentMiddleware, TracePolicy, hook_config, omit_payload
from langchain.agents.structured_output import StructuredOutputError

from rose_guard.errors import PolicyViolation, SettingsError
from rose_guard.guard import GenerationOptions
from rose_guard.guard.ruling import Ruling
from rose_guard.langchain.chat_model import ChatRose
from rose_guard.langchain.middleware.answers import refusal_in, vouched
from rose_guard.langchain.middleware.bench import Bench
from rose_guard.langchain.middleware.checks import Checks, ExitBehavior, error_result
from rose_guard.langchain.middleware.conversation import last_answer
from rose_guard.langchain.middleware.events import decided, is_refusal, refusal, told
from rose_guard.langchain.middleware.handing_on import (
    ForeignModels,
    checking,
    checks_as_ruled,
    read_by,
    stricter,
    takes_rulings,
)
from rose_guard.langchain.middleware.state import RoseGuardState
from rose_guard.langchain.middleware.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
    from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

    from rose_guard.audit.trail import AuditTrail
    from rose_guard.langchain.middleware.asks import Steps
    from rose_guard.memory.memory import ConversationMemory
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.live import LivePolicy
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

    Principal = str | Callable[[Any], str | None] | None


class RoseGuardMiddleware(AgentMiddleware[RoseGuardState, Any, Any]):
    """Judges an agent's conversation before each call of the model, what its tools give, and what the model writes.

    .. code-block:: python

        agent = create_agent(ChatRose(policy=None), tools, middleware=[..., RoseGuardMiddleware(policy="policy.yaml")])

    List it last: then it stands next to the model, judges what the other middleware made of the conversation, and
    guards the models of a ModelFallbackMiddleware too. List only middleware behind it that asks a model of its own
    before the agent's is called, such as SummarizationMiddleware: else that model reads what nobody has judged yet.

    A ChatRose takes the ruling and steers by it. Any other model runs behind a
    :class:`~rose_guard.langchain.foreign.GuardedChatModel`, which does what the policy's ``unsteerable`` says.

    The whole conversation is judged each time, so that a tainted tool result stays tainted. What was refused is
    replaced in the agent's state, so that later turns go on without it. ``block`` always raises, and a thread whose
    message was blocked stays blocked. Streams of tokens are protected by checks while the model decodes; a model with
    a policy of its own goes by that, so what it wrote is checked when it is whole, before it comes into the state, but
    its tokens may have been streamed by then. Tracers and events of a tool itself see what it gave before it is judged.

    Args:
        policy: a policy, the path of a policy file, ``"default"`` or a LivePolicy.
        classifier: what scores risk; the one that the policy names unless given.
        answer_classifier: what scores answers; the embedded one unless given, where answers are checked.
        memory: where risky turns are counted; the process's memory unless given.
        audit: where decisions and verdicts are recorded; None records nothing.
        on_notify: called with a decision that a rule wants a human to see.
        tenant: whose rules hold; never fill it from what a client sends.
        principal: whose agent it is, as authenticated, or a function that tells it from LangGraph's runtime, such as
            from its ``context``. A client's ``configurable`` is never read for it; only ``thread_id`` is, as the
            thread.
        local: where risky conversations go if the policy routes them away from a model that cannot be steered.
        check_input: whether users' messages and the history are judged. A foreign model's guard judges them all the
            same.
        check_output: whether what the model writes is checked, arguments of tool calls included; None: as the policy's
            ``output.enabled`` says.
        check_tool_results: whether what tools give is judged.
        exit_behavior: what a refusal leads to. ``end`` ends the run with the policy's message, ``error`` raises
            PolicyViolation, ``replace`` takes the offending messages out and goes on with the rest. A refused tool
            result is replaced, and the agent goes on, unless it is ``error``.
        language: of prompts and messages, where the policy has it.
        violation_message: said in place of the policy's messages; may hold ``{decision_id}``.

    Raises:
        SettingsError: if an argument is wrong.
        PolicyError: if the policy is, or has no such tenant.
    """

    state_schema = RoseGuardState
    trace_policy = TracePolicy(process_inputs=omit_payload)

    def __init__(  # noqa: PLR0913 - an agent's guard has that many parts, each named by keyword
        self,
        policy: Policy | LivePolicy | str | Path = "default",
        *,
        classifier: RiskClassifier | None = None,
        answer_classifier: AnswerClassifier | None = None,
        memory: ConversationMemory | None = None,
        audit: AuditTrail | None = None,
        on_notify: Callable[[Decision], object] | None = None,
        tenant: str | None = None,
        principal: Principal = None,
        local: ChatRose | None = None,
        check_input: bool = True,
        check_output: bool | None = None,
        check_tool_results: bool = True,
        exit_behavior: ExitBehavior = "end",
        language: str = "en",
        violation_message: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(local, ChatRose | None):
            raise SettingsError("local= takes a ChatRose, which can be steered")
        self._checks = Checks(check_input, check_output, check_tool_results, exit_behavior, language, violation_message)
        self._bench = Bench(
            policy,
            self._checks,
            classifier=classifier,
            answer_classifier=answer_classifier,
            memory=memory,
            audit=audit,
            on_notify=on_notify,
            tenant=tenant,
        )
        self._principal = principal
        self._foreign = ForeignModels(local, language, counted=check_input)
        self._withheld = Withheld()

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: RoseGuardState, runtime: Any) -> dict[str, Any] | None:
        """Judge the conversation; a refusal ends the run, and the model is not called."""
        self._withheld.raise_for_results(state["messages"])
        return self._bench.run(self._checks.before_model(state["messages"], self._options(runtime)), runtime)

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: RoseGuardState, runtime: Any) -> dict[str, Any] | None:
        """As :meth:`before_model`."""
        self._withheld.raise_for_results(state["messages"])
        return await self._bench.arun(self._checks.before_model(state["messages"], self._options(runtime)), runtime)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | AIMessage:
        """Hand the ruling on to the model; what other middleware has changed since is judged anew.

        Nothing is raised that a fallback around it could answer with another model: that is left to
        :meth:`after_model`.
        """
        try:
            ruling = self._bench.run(self._ruling_of(request), request.runtime)
            if self._checks.refuses(ruling):
                return self._refused(ruling)
            response = handler(self._handed_on(request, ruling))
            return self._bench.run(self._answered(request, response, ruling), request.runtime)
        except StructuredOutputError as error:
            return refusal_in(error)
        except PolicyViolation as violation:
            return self._withheld_answer(violation)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | AIMessage:
        """As :meth:`wrap_model_call`."""
        try:
            ruling = await self._bench.arun(self._ruling_of(request), request.runtime)
            if self._checks.refuses(ruling):
                return self._refused(ruling)
            handed_on = await asyncio.to_thread(self._handed_on, request, ruling)
            response = await handler(handed_on)
            return await self._bench.arun(self._answered(request, response, ruling), request.runtime)
        except StructuredOutputError as error:
            return refusal_in(error)
        except PolicyViolation as violation:
            return await asyncio.to_thread(self._withheld_answer, violation)

    @hook_config(can_jump_to=["end"])
    def after_model(self, state: RoseGuardState, runtime: Any) -> dict[str, Any] | None:
        """Check an answer that another middleware gave in the model's stead, and raise what was left to be raised."""
        self._raise_what_was_withheld(state["messages"])
        return self._bench.run(
            self._checks.after_model(state, self._bench.known(state), self._options(runtime)), runtime
        )

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: RoseGuardState, runtime: Any) -> dict[str, Any] | None:
        """As :meth:`after_model`."""
        self._raise_what_was_withheld(state["messages"])
        return await self._bench.arun(
            self._checks.after_model(state, self._bench.known(state), self._options(runtime)), runtime
        )

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """Check a call's arguments, and judge what the tool gives before it comes into the state.

        What is raised is left to :meth:`before_model`, so that a retry around it does not run the tool again.
        """
        try:
            if (refused := self._bench.run(self._before_tool(request), request.runtime)) is not None:
                return refused
            return self._bench.run(self._after_tool(request, handler(request)), request.runtime)
        except PolicyViolation as violation:
            return self._withheld_result(request, violation)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """As :meth:`wrap_tool_call`."""
        try:
            if (refused := await self._bench.arun(self._before_tool(request), request.runtime)) is not None:
                return refused
            return await self._bench.arun(self._after_tool(request, await handler(request)), request.runtime)
        except PolicyViolation as violation:
            return await asyncio.to_thread(self._withheld_result, request, violation)

    def _options(self, runtime: Any) -> GenerationOptions:
        """On whose behalf the agent runs."""
        execution = runtime.execution_info
        thread = execution.thread_id if execution is not None else None
        return GenerationOptions(
            principal=self._principal(runtime) if callable(self._principal) else self._principal,
            thread=None if thread in (None, "") else str(thread),
            language=self._checks.language,
        )

    def _ruling_of(self, request: ModelRequest[Any]) -> Steps[Ruling]:
        return self._checks.ruling(
            "model", read_by(request), self._bench.known(request.state), self._options(request.runtime)
        )

    def _handed_on(self, request: ModelRequest[Any], ruling: Ruling) -> ModelRequest[Any]:
        """The request to a model that knows of the ruling; may load what the model needs."""
        policy, judge = self._checks.with_output(ruling.policy), self._bench.judge
        options = self._options(request.runtime)
        if takes_rulings(request.model):
            model = checking(request.model, policy, judge, options)
        else:
            model = self._foreign.guarded(request.model, policy, judge, options)
        handed_on = stricter(Ruling(ruling.decision, policy), request.model_settings)
        return request.override(model=model, model_settings={**request.model_settings, "ruling": handed_on})

    def _answered(
        self, request: ModelRequest[Any], response: ModelResponse[Any], ruling: Ruling
    ) -> Steps[ModelResponse[Any] | AIMessage]:
        as_ruled = checks_as_ruled(request.model) and stricter(ruling, request.model_settings) is ruling
        return self._checks.answered(vouched(response, ruling), ruling, as_ruled=as_ruled)

    def _before_tool(self, request: ToolCallRequest) -> Steps[Any]:
        options, known = self._options(request.runtime), self._bench.known(request.state)
        return self._checks.before_tool(request.tool_call, _messages(request.state), known, options)

    def _after_tool(self, request: ToolCallRequest, result: Any) -> Steps[Any]:
        options = self._options(request.runtime)
        return self._checks.after_tool(request.tool_call, result, _messages(request.state), options)

    def _refused(self, ruling: Ruling) -> AIMessage:
        return refusal(self._checks.wording(ruling), told(ruling))

    def _withheld_answer(self, violation: PolicyViolation) -> AIMessage:
        """What stands in the model's stead until :meth:`after_model` raises."""
        return refusal(self._bench.plain_refusal(self._checks.language), self._withheld.keep(violation))

    def _withheld_result(self, request: ToolCallRequest, violation: PolicyViolation) -> ToolMessage:
        """What stands in a result's place until :meth:`before_model` raises, which a tool may end the run without."""
        if getattr(request.tool, "return_direct", False):
            raise violation
        text = self._bench.plain_refusal(self._checks.language)
        return error_result(request.tool_call, text, self._withheld.keep(violation))

    def _raise_what_was_withheld(self, messages: Sequence[BaseMessage]) -> None:
        answered = last_answer(messages)
        if answered is None or not is_refusal(answered[1]):
            return
        self._withheld.raise_for(answered[1])
        if self._checks.exit_behavior == "error":
            raise PolicyViolation("the model's guard refused", decided(answered[1]).get("decision_id", ""))


def _messages(state: Any) -> Sequence[BaseMessage]:
    messages: Sequence[BaseMessage] = state.get("messages", ()) if isinstance(state, dict) else state
    return messages
