"""TemplatedParser: reads answers by the response template that a tokenizer of transformers comes with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rose_guard.engines.answer_parser import Parts
from rose_guard.errors import InputError
from rose_guard.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

_THOUGHTS = ("reasoning_content", "thinking", "reasoning")


class TemplatedParser:
    """An AnswerParser by transformers' own streaming one; what that cannot read is a broken call.

    Args:
        tokenizer: has a response template.
        prompt: the text that the model goes on from.
        tools: schemas of the tools that it knows.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: str, tools: Sequence[Mapping[str, Any]]) -> None:
        untyped: Any = tokenizer
        self._parser = untyped.get_response_parser(prefix=prompt, tools=[dict(tool) for tool in tools] or None)
        self._broken = False

    def push(self, text: str) -> Parts:
        """As the protocol says."""
        if self._broken:
            return Parts(broken_call=text)
        try:
            return self._parts(self._parser.feed(text))
        except Exception:  # noqa: BLE001 - it raises whatever the model's text makes of its template
            self._broken = True
            return Parts(broken_call=text)

    def flush(self) -> Parts:
        """As the protocol says."""
        if self._broken:
            return Parts()
        try:
            _, events = self._parser.finalize()
            return self._parts(events)
        except Exception:  # noqa: BLE001 - likewise
            self._broken = True
            return Parts(broken_call=" ")

    def _parts(self, events: Sequence[Mapping[str, Any]]) -> Parts:
        parts = Parts()
        for event in events:
            kind, name = event["type"], event["field"]
            if kind == "region_chunk" and name == "content":
                parts += Parts(event["text"])
            elif kind == "region_chunk" and name in _THOUGHTS:
                parts += Parts(reasoning=event["text"])
            elif kind == "region_close" and name == "tool_calls":
                parts += _calls(event["value"])
        return parts


def _calls(value: Any) -> Parts:
    """One call, or a list of them, as templates give them."""
    if isinstance(value, list):
        return sum((_calls(each) for each in value), Parts())
    function = value.get("function", value) if isinstance(value, dict) else {}
    arguments = function.get("arguments", {}) if isinstance(function, dict) else None
    if not isinstance(arguments, dict) or not isinstance(function.get("name"), str):
        return Parts(broken_call=json.dumps(value, ensure_ascii=False, default=str))
    try:
        written = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        return Parts(tool_calls=(ToolCall(function["name"], written),))
    except (InputError, ValueError):
        return Parts(broken_call=json.dumps(value, default=str))
