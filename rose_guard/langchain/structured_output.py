"""Structured output: a chat model whose answers are values of a schema, or errors; never half a value."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from langchain_core.exceptions import OutputParserException
from langchain_core.runnables import RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from rose_guard.errors import PolicyViolation, SettingsError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

Method = Literal["json_schema", "function_calling", "json_mode"]


def structured_output(
    model: BaseChatModel, schema: Any, *, method: Method, include_raw: bool, strict: bool | None
) -> Runnable[Any, Any]:
    """The model and what reads its answers.

    Args:
        model: takes ``tools``, ``tool_choice``, ``response_format`` and ``on_length`` in a call.
        schema: a pydantic class, a TypedDict, or a JSON Schema; None for any JSON object, with ``json_mode``.
        method: how the model is asked.
        include_raw: whether what goes wrong in reading is told rather than raised.
        strict: told to tracing; every schema is followed strictly.

    Raises:
        SettingsError: if there is no such method, or no schema where one is needed.
    """
    if method not in get_args(Method):
        raise SettingsError(f"method = {method!r}: must be one of {', '.join(get_args(Method))}")
    if schema is None and method != "json_mode":
        raise SettingsError("a schema is needed; pass a pydantic class, a TypedDict or a JSON Schema")
    asked = model.bind(**_asked(schema, method), **_told(schema, method, strict), on_length=_on_length(include_raw))
    read = RunnableLambda(_Reader(schema, by_call=method == "function_calling"), name="read_structured_output")
    if not include_raw:
        return asked | read
    reading = RunnablePassthrough.assign(parsed=itemgetter("raw") | read, parsing_error=lambda _: None)
    unread = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=asked) | reading.with_fallbacks([unread], exception_key="parsing_error")


def _on_length(include_raw: bool) -> str:  # noqa: FBT001 - one flag, one word
    return "return" if include_raw else "raise"


def _asked(schema: Any, method: Method) -> dict[str, Any]:
    if method == "json_mode":
        known = {} if schema is None else {"schema": convert_to_json_schema(schema)}
        return {"response_format": {"type": "json_object", **known}}
    if method == "json_schema":
        json_schema = convert_to_json_schema(schema)
        name = json_schema.get("title", "answer")
        return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": json_schema}}}
    tool = convert_to_openai_tool(schema)
    return {"tools": [tool], "tool_choice": tool["function"]["name"], "parallel_tool_calls": False}


def _told(schema: Any, method: Method, strict: bool | None) -> dict[str, Any]:  # noqa: FBT001 - as LangChain has it
    """What tracing is told; a schema that has no name it takes for none."""
    if schema is None:
        return {}
    return {"ls_structured_output_format": {"kwargs": {"method": method, "strict": strict}, "schema": schema}}


class _Reader:
    """Turns a message into a value of the schema.

    Raises (when called):
        PolicyViolation: if the message is a refusal.
        OutputParserException: if it was cut off, or is no value of the schema.
    """

    def __init__(self, schema: Any, *, by_call: bool) -> None:
        self._schema, self._by_call = schema, by_call

    def __call__(self, message: AIMessage) -> Any:
        ended = message.response_metadata.get("finish_reason")
        if ended == "content_filter":
            decision = message.response_metadata.get("rose", {}).get("decision_id", "unknown")
            raise PolicyViolation("the model was not let answer, so there is no structured output", decision)
        if ended == "length":
            raise OutputParserException("the answer was cut off at max_tokens; raise max_tokens")
        return self._validated(self._arguments(message) if self._by_call else _json(message))

    def _arguments(self, message: AIMessage) -> Any:
        if not message.tool_calls:
            raise OutputParserException("the answer holds no tool call")
        return message.tool_calls[0]["args"]

    def _validated(self, value: Any) -> Any:
        """An instance where the schema is a class of pydantic, of either version."""
        if not isinstance(self._schema, type) or not (
            validate := getattr(self._schema, "model_validate", getattr(self._schema, "parse_obj", None))
        ):
            return value
        try:
            return validate(value)
        except ValueError as error:
            name = self._schema.__name__
            raise OutputParserException(f"the answer is no {name}: {type(error).__name__}") from error


def _json(message: AIMessage) -> Any:
    try:
        return json.loads(cast("str", message.text))
    except ValueError:
        raise OutputParserException("the answer is no JSON") from None
