"""Structured output of another model, asked and read as it would by itself, but never read out of a refusal."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableLambda, RunnableMap, RunnablePassthrough, RunnableSequence

from rose_guard.errors import PolicyViolation, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable


def with_structure(
    structured: Any, bound_as: Callable[[Any], Runnable[Any, Any]], *, include_raw: bool
) -> Runnable[Any, Any]:
    """What another model made of a schema, with the guarded model in its place.

    Args:
        structured: the other model's own, without the raw message: its binding, and what reads its answers.
        bound_as: gives the guarded model bound as the other one is.
        include_raw: whether what goes wrong in reading is told rather than raised.

    Raises:
        SettingsError: if it is not of that form.
    """
    if not isinstance(structured, RunnableSequence):
        raise SettingsError("the model's structured output cannot be carried over; bind its settings by bind()")
    asking, *reading = structured.steps
    read: Runnable[Any, Any] = RunnableLambda(_answered)
    for step in reading:
        read |= step
    asked = bound_as(asking)
    if not include_raw:
        return asked | read
    told = RunnablePassthrough.assign(parsed=itemgetter("raw") | read, parsing_error=lambda _: None)
    untold = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=asked) | told.with_fallbacks([untold], exception_key="parsing_error")


def _answered(message: AIMessage) -> AIMessage:
    """The message, unless it is a refusal, which many parsers would read as nothing at all."""
    told = message.response_metadata
    if told.get("finish_reason") == "content_filter":
        decision = told.get("rose", {}).get("decision_id", "unknown")
        raise PolicyViolation("the model was not let answer, so there is no structured output", decision)
    return message
