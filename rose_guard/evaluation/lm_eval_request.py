"""Requests of lm-evaluation-harness, in our own words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import InputError
from rose_guard.guard import GenerationOptions
from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MESSAGES = "rose_guard_messages"
_RENDERED = f'{{"{_MESSAGES}": '
_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_DRAWING = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty"}


def generation_options(given: Mapping[str, Any], seed: int, limit: int) -> GenerationOptions:
    """A task's settings, in which the harness knows several names for some.

    Args:
        given: the task's ``generation_kwargs``.
        seed: of the draws.
        limit: in tokens, where the task sets none.

    Raises:
        NotImplementedError: if it asks for what the engine has not.
    """
    settings = dict(given)
    limits = [settings.pop(name, None) for name in _LIMITS]
    until = settings.pop("until", None) or ()
    draws = settings.pop("do_sample", None)
    if unknown := settings.keys() - _DRAWING:
        raise NotImplementedError(f"a task asks for {', '.join(sorted(unknown))}, which the engine has not")
    if not (settings.get("temperature") if draws is None else draws):
        settings["temperature"] = 0.0
    return GenerationOptions(
        RoseSettings(**settings, seed=seed),
        next((asked for asked in limits if asked is not None), limit),
        tuple(stop for stop in ([until] if isinstance(until, str) else until) if stop),
    )


def arguments_of(request: Any) -> tuple[Any, Any]:
    """A request's context, and what is wanted in it.

    Raises:
        NotImplementedError: if it shows more than text.
    """
    if len(request.args) != 2:  # noqa: PLR2004 - a context, and what is wanted in it
        raise NotImplementedError("a task shows images or audio; the engine reads text alone")
    context, wanted = request.args
    return context, wanted


def rendered(turns: Sequence[Mapping[str, Any]]) -> str:
    """A conversation as a context, for :func:`conversation_of`."""
    return json.dumps({_MESSAGES: turns}, ensure_ascii=False)


def conversation_of(context: str) -> tuple[Message, ...]:
    """The turns of a context that :func:`rendered` made; of any other, one user turn.

    Raises:
        InputError: if a task changed it since.
    """
    if not context.startswith(_RENDERED):
        return (Message("user", context),)
    try:
        turns = json.loads(context)[_MESSAGES]
    except ValueError as error:
        raise InputError("a task changed a conversation after it was rendered; do not apply a chat template") from error
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)


def up_to(stop: Sequence[str], text: str) -> str:
    """Of what an engine does not stop by itself: refusals, and what transformers' own guidance decodes."""
    return min((text.partition(each)[0] for each in stop), key=len, default=text)
