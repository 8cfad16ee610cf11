"""TemplatedParser: reads answers by the response template that a tokenizer of transformers comes with."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from rose_guard.engines.answer_parser import Parts
from rose_guard.engines.text import MARK
from rose_guard.engines.tool_syntax import ToolSyntax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

_THOUGHTS = ("reasoning_content", "thinking", "reasoning")
_CALLS = "tool_calls"


class TemplatedParser:
    """An AnswerParser by transformers' own streaming one; what that cannot read is a broken call.

    Args:
        tokenizer: has a response template.
        head: what the chat template writes between the last message and the answer. No message is to be in it, since
            the template would read that as the answer's beginning.
        tools: schemas of the tools that may be called; without any, every call is broken.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, head: str, tools: Sequence[Mapping[str, Any]]) -> None:
        untyped: Any = tokenizer
        self._parser = untyped.get_response_parser(
            _lenient(untyped.response_template), prefix=head, tools=[dict(tool) for tool in tools] or None
        )
        self._may_call = bool(tools)
        self._call = ""
        self._broken = False
        self._space, self._has_text = "", False

    def push(self, text: str) -> Parts:
        """As the protocol says."""
        # Letter by letter: an error would take along what the same piece of text had told before.
        return sum((self._fed(letter) for letter in text.replace(MARK, "")), Parts())

    def flush(self, *, cut: bool = False) -> Parts:
        """As the protocol says; a call that nothing but the cut has ended is broken."""
        parts = Parts()
        if not self._broken:
            try:
                _, events = self._parser.finalize()
                parts = self._parts(events, may_call=self._may_call and not cut)
            except Exception:  # noqa: BLE001 - it raises whatever the model's text makes of its template
                self._broken = True
        return parts + Parts(broken_call=self._call or " ") if self._broken else parts

    def _fed(self, letter: str) -> Parts:
        if not self._broken:
            try:
                return self._parts(self._parser.feed(letter), may_call=self._may_call)
            except Exception:  # noqa: BLE001 - likewise
                self._broken = True
        self._call += letter
        return Parts()

    def _parts(self, events: Sequence[Mapping[str, Any]], *, may_call: bool) -> Parts:
        parts = Parts()
        for event in events:
            kind, name = event["type"], event["field"]
            if kind == "region_open":
                self._call = ""
            elif kind == "region_chunk" and name == "content":
                parts += Parts(self._content(event["text"]))
            elif kind == "region_chunk" and name in _THOUGHTS:
                parts += Parts(reasoning=event["text"])
            elif kind == "region_chunk" and name == _CALLS:
                self._call += event["text"]
            elif kind == "region_close" and name == _CALLS:
                parts += _calls(event["value"]) if may_call else Parts(broken_call=self._call or " ")
        return parts

    def _content(self, text: str) -> str:
        """White space around the whole text parts it from thoughts and calls, and is no part of it."""
        text = self._space + text if self._has_text else text.lstrip()
        shown = text.rstrip()
        self._space = text[len(shown) :]
        self._has_text = self._has_text or bool(shown)
        return shown


def has_response_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the installed transformers can read this tokenizer's answers by a template of its own."""
    if getattr(tokenizer, "response_template", None) is None:
        return False
    try:
        TemplatedParser(tokenizer, "", [])
    except Exception:  # noqa: BLE001 - a template of another version, or transformers without parsers
        return False
    return True


def _lenient(template: Mapping[str, Any]) -> dict[str, Any]:
    """A template under which an answer may lack any field: else one that does could not be read at all."""
    lenient = copy.deepcopy(dict(template))
    for field in lenient["fields"].values():
        field["optional"] = True
    return lenient


def _calls(value: Any) -> Parts:
    """One call, or a list of them, as templates give them."""
    if isinstance(value, list):
        return sum((_calls(each) for each in value), Parts())
    function = value.get("function", value) if isinstance(value, dict) else value
    written = json.dumps(function, default=str)
    call = ToolSyntax().read(written)
    return Parts(broken_call=written) if call is None else Parts(tool_calls=(call,))
