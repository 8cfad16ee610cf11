"""Checks: what the middleware has judged at each of an agent's steps, and what follows. Does nothing itself.

Threads and event loops run the same steps, so that neither can decide otherwise.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from langchain_core.messages import RemoveMessage, ToolMessage

from rose_guard.errors import InputError, PolicyViolation, SettingsError
from rose_guard.langchain.middleware.asks import CheckAnswer, Decide
from rose_guard.langchain.middleware.conversation import (
    REMOVED,
    call_text,
    judged,
    last_answer,
    offenders,
    saying,
    told_by_tool,
    written,
)
from rose_guard.langchain.middleware.events import found_clean, is_checked, is_refusal, refusal, told
from rose_guard.message import digest
from rose_guard.policy.decision import strictness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain.agents.middleware.types import ModelResponse
    from langchain_core.messages import AIMessage, BaseMessage

    from rose_guard.guard import GenerationOptions, OutputVerdict
    from rose_guard.guard.ruling import Ruling
    from rose_guard.langchain.middleware.asks import Stage, Steps
    from rose_guard.message import Message
    from rose_guard.policy.policy import Policy

ExitBehavior = Literal["end", "error", "replace"]
EXIT_BEHAVIORS: tuple[ExitBehavior, ...] = get_args(ExitBehavior)
_ROUNDS = 8
"""So often a conversation is judged anew without what was refused of it; whoever fills one with worse is refused."""
UNJUDGED_RESULT = "The tool's result was left out: it holds something other than text, which cannot be judged."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checks:
    """What is checked, and what follows where something is refused.

    Args:
        check_input: whether what users, the history and the system prompt say is judged.
        check_output: whether what the model writes is checked; None: as the policy says.
        check_tool_results: whether what tools give is judged.
        exit_behavior: how a refusal ends.
        language: of the policy's messages.
        violation_message: said in place of the policy's messages; may hold ``{decision_id}``.

    Raises:
        SettingsError: if ``exit_behavior`` is unknown.
    """

    check_input: bool = True
    check_output: bool | None = None
    check_tool_results: bool = True
    exit_behavior: ExitBehavior = "end"
    language: str = "en"
    violation_message: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.exit_behavior not in EXIT_BEHAVIORS:
            raise SettingsError(f"exit_behavior = {self.exit_behavior!r}: must be one of {', '.join(EXIT_BEHAVIORS)}")

    def before_model(self, messages: Sequence[BaseMessage], options: GenerationOptions) -> Steps[dict[str, Any]]:
        """Judge the conversation; gives the state's update.

        Raises:
            PolicyViolation: if it is blocked, or refused where refusals are errors.
        """
        standing: list[BaseMessage] = list(messages)
        removed: dict[int, BaseMessage] = {}
        for left in reversed(range(_ROUNDS)):
            conversation = self.judged(standing)
            ruling = yield Decide("input", conversation, options)
            update = {"rose_decision": ruling.decision.decision_id}
            if not self.refuses(ruling):
                return {**update, "messages": list(removed.values())} if removed else update
            found = [place for place in offenders(conversation, ruling.decision) if place not in removed]
            for place in found:
                removed[place] = standing[place] = saying(standing[place], self._removed(ruling))
            if self.exit_behavior == "end" or not found or not left:
                break
        answer = refusal(self.wording(ruling), told(ruling))
        return {**update, "messages": [*removed.values(), answer], "jump_to": "end"}

    def ruling(
        self, stage: Stage, messages: Sequence[BaseMessage], known: Ruling | None, options: GenerationOptions
    ) -> Steps[Ruling]:
        """The ruling that is known, if it was made for these messages; else they are judged anew."""
        conversation = self.judged(messages)
        if known is not None and known.decision.messages_digest == digest(conversation):
            return known
        return (yield Decide(stage, conversation, options))  # type: ignore[no-any-return]

    def answered(
        self, response: ModelResponse[Any], ruling: Ruling, *, as_ruled: bool
    ) -> Steps[ModelResponse[Any] | AIMessage]:
        """Check what a model gave before it comes into the state; gives it, or a refusal in its place.

        Args:
            response: the model's.
            ruling: by which it answered.
            as_ruled: whether the model itself checks what it writes by the ruling's policy.

        Raises:
            PolicyViolation: as :meth:`after_model` does.
        """
        found = last_answer(response.result)
        if found is None or not self.checks_output(ruling.policy):
            return response
        place, answer = found
        if is_refusal(answer) or (as_ruled and is_checked(answer)):
            return response
        verdict = yield CheckAnswer(ruling, written(answer), self.language)
        if verdict.action != "release":
            return self._withdrawn(answer, ruling, verdict)
        behind = response.result[place + 1 :]
        return replace(response, result=[*response.result[:place], found_clean(answer, ruling, verdict), *behind])

    def after_model(
        self, state: Mapping[str, Any], known: Ruling | None, options: GenerationOptions
    ) -> Steps[dict[str, Any] | None]:
        """Check an answer that never came by the model's wrapper, or unchecked; gives the state's update.

        Raises:
            PolicyViolation: if it is refused where refusals are errors, or cannot be checked where the policy blocks.
        """
        messages = state["messages"]
        answered = last_answer(messages)
        if answered is None or is_checked(answered[1]) or self._is_unchecked(known):
            return None
        place, answer = answered
        ruling = yield from self.ruling("output", messages[:place], known, options)
        if not self.checks_output(ruling.policy):
            return None
        verdict = yield CheckAnswer(ruling, written(answer), self.language)
        if verdict.action == "release":
            return None
        instead = self._withdrawn(answer, ruling, verdict)
        behind = [RemoveMessage(id=message.id) for message in messages[place + 1 :] if message.id is not None]
        return {"messages": [instead, *behind], "structured_response": None, "jump_to": "end"}

    def before_tool(
        self, call: Mapping[str, Any], messages: Sequence[BaseMessage], known: Ruling | None, options: GenerationOptions
    ) -> Steps[ToolMessage | None]:
        """Check a call's arguments; gives a refusal in place of the result, or None where the tool may run."""
        if self._is_unchecked(known):
            return None
        answered = last_answer(messages)
        before = messages if answered is None else messages[: answered[0]]
        ruling = yield from self.ruling("output", before, known, options)
        if not self.checks_output(ruling.policy):
            return None
        verdict = yield CheckAnswer(ruling, call_text(call), self.language)
        if verdict.action == "release":
            return None
        return self._refused_result(call, ruling, verdict)

    def after_tool(
        self, call: Mapping[str, Any], result: Any, messages: Sequence[BaseMessage], options: GenerationOptions
    ) -> Steps[Any]:
        """Judge what a tool gave, as a message of its own; gives it, or a refusal in its place.

        Raises:
            PolicyViolation: if it is blocked, or refused where refusals are errors.
            InputError: if it cannot be judged, where refusals are errors.
        """
        if not self.check_tool_results:
            return result
        try:
            said = told_by_tool(result, messages)
        except InputError as error:
            return self._unjudged_result(call, error)
        if not said:
            return result
        ruling = yield Decide("tool_result", (*self.judged(messages), *said), options)
        return self._refused_result(call, ruling) if self.refuses(ruling) else result

    def judged(self, messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
        """The conversation as it is judged."""
        return judged(messages, check_input=self.check_input, check_tool_results=self.check_tool_results)

    def refuses(self, ruling: Ruling) -> bool:
        """Whether the model must not see what was judged.

        Raises:
            PolicyViolation: if that is an error.
        """
        decision = ruling.decision
        refused = strictness(decision.action) >= strictness("refuse")
        if refused and (decision.action == "block" or self.exit_behavior == "error"):
            raise PolicyViolation(decision.reason, decision.decision_id)
        return refused

    def checks_output(self, policy: Policy) -> bool:
        """Whether answers are checked under a policy."""
        return policy.output.enabled if self.check_output is None else self.check_output

    def with_output(self, policy: Policy) -> Policy:
        """A policy that checks answers exactly where this middleware does."""
        enabled = self.checks_output(policy)
        return (
            policy
            if enabled == policy.output.enabled
            else replace(policy, output=replace(policy.output, enabled=enabled))
        )

    def wording(self, ruling: Ruling, message_id: str | None = None) -> str:
        """What is said where something is refused."""
        if self.violation_message is not None:
            return self.violation_message.replace("{decision_id}", ruling.decision.decision_id)
        return ruling.policy.message(message_id or ruling.decision.message or "refusal", self.language)

    def _removed(self, ruling: Ruling) -> str:
        return REMOVED if self.violation_message is None else self.wording(ruling)

    def _is_unchecked(self, known: Ruling | None) -> bool:
        """Whether it is certain, without judging anything, that answers are not checked."""
        return self.check_output is False or (known is not None and not self.checks_output(known.policy))

    def _withdrawn(self, answer: AIMessage, ruling: Ruling, verdict: OutputVerdict) -> AIMessage:
        """A refusal in place of an answer."""
        self._raise_if_error(ruling)
        text = self.wording(ruling, ruling.policy.output.message)
        return refusal(text, told(ruling, verdict), message_id=answer.id)

    def _refused_result(
        self, call: Mapping[str, Any], ruling: Ruling, verdict: OutputVerdict | None = None
    ) -> ToolMessage:
        """A refusal in a result's place: the general one, since it is judged in its turn and must not fire a rule."""
        if verdict is not None:
            self._raise_if_error(ruling)
        return error_result(call, self.wording(ruling, "refusal"), told(ruling, verdict))

    def _unjudged_result(self, call: Mapping[str, Any], error: InputError) -> ToolMessage:
        if self.exit_behavior == "error":
            raise error
        logger.warning("a tool's result was left out: %s", error)
        return error_result(call, UNJUDGED_RESULT, {})

    def _raise_if_error(self, ruling: Ruling) -> None:
        if self.exit_behavior == "error":
            raise PolicyViolation("what the model wrote was found harmful: refuse", ruling.decision.decision_id)


def error_result(call: Mapping[str, Any], text: str, rose: dict[str, Any]) -> ToolMessage:
    """A result that tells the model of an error."""
    told_of = {"rose": rose} if rose else {}
    return ToolMessage(text, name=call["name"], tool_call_id=call["id"], status="error", response_metadata=told_of)
