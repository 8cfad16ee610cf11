"""ToolSyntax: how a model spells a tool call in its answer, and how what it wrote is read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rose_guard.errors import InputError
from rose_guard.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.engines.engine import Tool


@dataclass(frozen=True, slots=True)
class ToolSyntax:
    """A call is ``opening``, a JSON object with the tool's name and arguments, ``closing``.

    Args:
        opening: what every call begins with; empty where an answer that begins as a JSON object is a call.
        closing: what every call ends with; may be empty.
        name_key: key of the tool's name in the JSON object; it comes first.
        arguments_key: key of its arguments.
    """

    opening: str = "<tool_call>\n"
    closing: str = "\n</tool_call>"
    name_key: str = "name"
    arguments_key: str = "arguments"

    def write(self, call: ToolCall) -> str:
        """A call as the model would write it."""
        return self.write_call(call.name, call.parsed)

    def write_call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """As :meth:`write`, from its parts."""
        body = {self.name_key: name, self.arguments_key: arguments}
        return f"{self.opening}{json.dumps(body, ensure_ascii=False)}{self.closing}"

    def read(self, body: str) -> ToolCall | None:
        """The call that stands between opening and closing; None where it is none.

        Models write arguments under either of two keys, and at times as a JSON text within the JSON.
        """
        call = _json_object(body)
        if call is None or not isinstance(name := call.get(self.name_key), str) or not name:
            return None
        arguments: Any = next(
            (call[key] for key in (self.arguments_key, "arguments", "parameters") if call.get(key) is not None), {}
        )
        if isinstance(arguments, str):
            arguments = _json_object(arguments)
        if not isinstance(arguments, dict):
            return None
        try:
            return ToolCall(name, json.dumps(arguments, ensure_ascii=False, allow_nan=False))
        except (InputError, ValueError):  # half a character, as "\ud800" spells one, or a number beyond all bounds
            return None

    def begins_call(self, body: str) -> bool:
        """Whether JSON that no opening announced means to be a call."""
        return re.match(rf'\s*\{{\s*"{re.escape(self.name_key)}"\s*:', body) is not None


def tool_schema(tool: Tool) -> dict[str, Any]:
    """A tool as chat templates take it."""
    function: Mapping[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
