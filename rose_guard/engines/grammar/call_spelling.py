"""CallSpelling: the rules of a grammar that spell tool calls, and keep text from looking like one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.engines.tool_syntax import ToolSyntax

_ANY = "ANY: /(?s:.*)/"
_NO_OBJECT = r"TEXT: /[\s\x1c-\x1f]*|[\s\x1c-\x1f]*[^{\s\x1c-\x1f](?s:.*)/"


class CallSpelling:
    """Rules in llguidance's variant of Lark; they leave ``body`` to define, a call's JSON object.

    What comes before the opening is text, so white space at the opening's beginning is left to the model.

    Args:
        syntax: how calls are spelt.
        control: ids of the tokenizer's control tokens, by what they look like.
        parallel: whether there may be several calls, where the syntax can tell them apart.
    """

    def __init__(self, syntax: ToolSyntax, control: Mapping[str, int], *, parallel: bool) -> None:
        self._opening, self._trigger, self._closing = syntax.opening.lstrip(), syntax.opening.strip(), syntax.closing
        self._control = control
        ordered = sorted(control, key=len, reverse=True)  # a token may begin another one
        self._pattern = re.compile(f"({'|'.join(map(re.escape, ordered))})" if ordered else r"((?!))")
        self._several = parallel and bool(self._trigger and self._closing.strip())

    def calls(self) -> list[str]:
        """``calls``: at least one, and nothing else."""
        more = r' ("\n"? call)*' if self._several else ""
        return [f"calls: call{more}", f"call: {self._spelt(self._opening)} body {self._spelt(self._closing)}"]

    def text_with_calls(self) -> list[str]:
        """``start``: any text, in which whatever begins as a call goes on as one."""
        if not self._trigger:
            return ["start: TEXT | call", f"call: body {self._spelt(self._closing)}", _NO_OBJECT]
        lead, *token_and_more = self._pattern.split(self._trigger, maxsplit=1)
        token = token_and_more[0] if token_and_more else ""
        rest = self._opening[len(lead + token) :]
        return [
            "start: (head call)* tail" if self._several else "start: head call | tail",
            f"call: {self._spelt(rest)} body {self._spelt(self._closing)}",
            *(self._led_by_token(lead, token) if token else self._led_by_text()),
            _ANY,
        ]

    def _led_by_token(self, lead: str, token: str) -> list[str]:
        """Only the control token begins a call; text that spells the opening in plain letters does not pass."""
        return [
            f"head: {'LEAD' if lead else 'PLAIN?'} <[{self._control[token]}]>",
            "tail: PLAIN?",
            *([f"LEAD: (ANY {_quoted(lead)}) & ~TRIGGER"] if lead else []),
            f"TRIGGER: ANY {_quoted(self._trigger)} ANY",
            "PLAIN: ANY & ~TRIGGER",
        ]

    def _led_by_text(self) -> list[str]:
        """The first opening in a text begins a call: a lazy lexeme ends there, whatever else could go on."""
        return [f"head[lazy]: ANY {_quoted(self._trigger)}", "tail: ANY"]

    def _spelt(self, text: str) -> str:
        """A text as symbols: control tokens by number, all else by letters."""
        pieces = [piece for piece in self._pattern.split(text) if piece]
        return " ".join(f"<[{self._control[p]}]>" if p in self._control else _quoted(p) for p in pieces)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
