"""ToolSupport: what a chat template can show of tools, found by trying, and words for those that can show nothing.

A template that knows no tools leaves them out without a word. Tools are then told in the system message, calls and
results as text, in one syntax for every model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rose_guard.engines.tool_syntax import ToolSyntax, tool_schema
from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rose_guard.engines.engine import Tool
    from rose_guard.message import ToolCall

Turn = dict[str, Any]
"""A message as chat templates take it."""

_USER: Turn = {"role": "user", "content": "UserProbe"}
_NAME, _KEY, _VALUE = "name_probe", "key_probe", "ValueProbe"
_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": _NAME,
        "description": "DescriptionProbe",
        "parameters": {"type": "object", "properties": {_KEY: {"type": "string"}}, "required": [_KEY]},
    },
}
_CALL: Turn = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"type": "function", "id": "abcdefgh1", "function": {"name": _NAME, "arguments": {_KEY: _VALUE}}},
    ],
}
_END_OF_RESULT = "</tool_response>"
_RESULT: Turn = {"role": "tool", "name": _NAME, "tool_call_id": "abcdefgh1", "content": "ResultProbe"}


class Render(Protocol):
    """Shows a conversation as text; None where the template refuses it."""

    def __call__(
        self, turns: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None, *, prompt: bool
    ) -> str | None:
        """With ``prompt``, up to where the assistant's answer begins."""
        ...


@dataclass(frozen=True, slots=True)
class ToolSupport:
    """How a model is told of tools.

    Args:
        native: whether the template shows tools, calls and results.
        syntax: how the model spells calls; None where only a response template of its tokenizer reads them.
        tool_role: whether the template shows tool results as turns of their own.
    """

    native: bool
    syntax: ToolSyntax | None
    tool_role: bool

    @classmethod
    def of(cls, render: Render, *, has_response_template: bool) -> ToolSupport:
        """Try what a template shows.

        Args:
            render: shows conversations with it.
            has_response_template: whether transformers can read the model's calls.
        """
        asked = render([_USER], [_TOOL], prompt=True)
        called = render([_USER, _CALL], [_TOOL], prompt=False)
        answered = render([_USER, _CALL, _RESULT], [_TOOL], prompt=True)
        role = render([_USER, {"role": "assistant", "content": "AnswerProbe"}, _RESULT], None, prompt=True)
        shown = _NAME in (asked or "") and _VALUE in (called or "") and "ResultProbe" in (answered or "")
        syntax = _syntax(render, asked or "", called or "") if shown else None
        tool_role = "ResultProbe" in (role or "")
        if syntax is not None or (shown and has_response_template):
            return cls(native=True, syntax=syntax, tool_role=True)
        return cls(native=False, syntax=ToolSyntax(), tool_role=tool_role)

    def turns(self, turns: Sequence[Turn]) -> list[Turn]:
        """A conversation as this template can show it: calls and results in words where it has no place for them."""
        if self.native:
            return _numbered(turns)
        shown = [self._in_words(turn) for turn in turns]
        return shown if self.tool_role else _joined(shown, [turn["role"] == "tool" for turn in turns])

    def introduction(self, tools: Sequence[Tool]) -> str:
        """The tools in words, where the template has none for them; empty otherwise."""
        if self.native or not tools:
            return ""
        assert self.syntax is not None
        shown = "\n".join(json.dumps(tool_schema(tool)["function"], ensure_ascii=False) for tool in tools)
        example = self.syntax.write_call("set_timer", {"minutes": 12, "label": "tea"})
        return (
            f"You can call these tools, whose arguments are described by JSON Schema:\n{shown}\n"
            f"To call a tool, write its name and arguments. If set_timer were a tool, this would call it:\n{example}\n"
            f"Take the values of the arguments from the conversation."
        )

    def _in_words(self, turn: Turn) -> Turn:
        assert self.syntax is not None
        if turn["role"] == "tool" and not self.tool_role:
            said = turn["content"].replace(_END_OF_RESULT, "< /tool_response>")  # else a result could end itself
            return {"role": "user", "content": f"<tool_response>\n{said}\n{_END_OF_RESULT}"}
        if "tool_calls" not in turn:
            return {key: value for key, value in turn.items() if key != "tool_call_id"}
        calls = [self.syntax.write_call(**call["function"]) for call in turn["tool_calls"]]
        kept = {key: value for key, value in turn.items() if key != "tool_calls"}
        return {**kept, "content": "\n".join(part for part in (turn["content"], *calls) if part)}


def schema_introduction(schema: Mapping[str, Any]) -> str:
    """A schema in words, for an answer that is to follow it."""
    shown = json.dumps(schema, ensure_ascii=False)
    return f"Answer with one JSON value, and nothing else, that follows this JSON Schema:\n{shown}"


def _syntax(render: Render, asked: str, called: str) -> ToolSyntax | None:
    """How the template writes a call, where that is a JSON object of name and arguments between two fixed texts."""
    spoken = render([_USER, {"role": "assistant", "content": "AnswerProbe"}], [_TOOL], prompt=False) or ""
    head, found, end_of_turn = spoken.partition("AnswerProbe")
    start = max(common_start(called, asked), common_start(called, head))
    if not (found and called.endswith(end_of_turn)):
        return None
    written = called[start : len(called) - len(end_of_turn)]
    begin = written.find("{")
    try:
        body, end = json.JSONDecoder().raw_decode(written, begin) if begin >= 0 else (None, 0)
    except ValueError:
        return None
    keys = list(body) if isinstance(body, dict) else []
    if body is None or len(keys) != 2 or body[keys[0]] != _NAME or body[keys[1]] != {_KEY: _VALUE}:  # noqa: PLR2004 - name and arguments
        return None
    opening, closing = written[:begin], written[end:]
    if opening.strip() and not closing.strip():
        return ToolSyntax(opening, "", keys[0], keys[1])
    return ToolSyntax(opening if opening.strip() else "", closing if closing.strip() else "", keys[0], keys[1])


def _numbered(turns: Sequence[Turn]) -> list[Turn]:
    """Calls and results with ids of our own: those that came are somebody's text that nobody judged.

    Some templates show ids, and some refuse any that is not nine letters and digits.
    """
    ids: dict[str, str] = {}

    def own(given: str) -> str:
        return ids.setdefault(given, f"call{len(ids):05d}")

    numbered: list[Turn] = []
    for turn in turns:
        shown = dict(turn)
        if "tool_calls" in turn:
            calls = turn["tool_calls"]
            shown["tool_calls"] = [{**call, "id": own(call["id"])} if "id" in call else call for call in calls]
        if "tool_call_id" in turn:
            shown["tool_call_id"] = own(turn["tool_call_id"])
        numbered.append(shown)
    return numbered


def _joined(turns: Sequence[Turn], are_results: Sequence[bool]) -> list[Turn]:
    """Results that follow one another as one turn, since many templates want users and assistants to take turns."""
    joined: list[Turn] = []
    for place, turn in enumerate(turns):
        if place and are_results[place] and are_results[place - 1]:
            joined[-1] = {**joined[-1], "content": f"{joined[-1]['content']}\n{turn['content']}"}
        else:
            joined.append(turn)
    return joined


def common_start(text: str, head: str) -> int:
    """Where a text goes on behind what another begins with."""
    return next((i for i, (a, b) in enumerate(zip(text, head, strict=False)) if a != b), min(len(text), len(head)))


def calls_as_turns(calls: Sequence[ToolCall]) -> list[Turn]:
    """Calls as chat templates take them.

    Raises:
        InputError: if arguments are no JSON object.
    """
    shown: list[Turn] = []
    for call in calls:
        if not isinstance(call.parsed, dict):
            raise InputError("a tool call's arguments must be a JSON object")
        named = {} if call.id is None else {"id": call.id}
        shown.append({"type": "function", **named, "function": {"name": call.name, "arguments": call.parsed}})
    return shown
