"""ToolGrammar: whatever in an answer begins as a tool call is one that can be read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rose_guard.engines.grammar.call_spelling import CallSpelling
from rose_guard.engines.grammar.json_grammar import json_symbol
from rose_guard.engines.grammar.keywords import named
from rose_guard.engines.grammar.library import HEADER, check
from rose_guard.engines.grammar.schema import SchemaDocument
from rose_guard.engines.tool_syntax import ToolSyntax
from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rose_guard.engines.engine import Tool
    from rose_guard.engines.grammar.mask import GrammarMask


@dataclass(frozen=True, slots=True)
class ToolGrammar:
    """Calls name a tool that there is, with arguments that follow its parameters, as :class:`JsonGrammar` reads them.

    Where the syntax has no opening, text may not begin with ``{``, which begins a call. Calls that lack an opening or
    a closing could not be told apart, so there is one at most, with nothing behind it.

    Args:
        tools: what may be called.
        syntax: how the model spells calls; what of it are control tokens of its tokenizer is spelt with those alone.
        choice: ``auto`` lets the model answer in text, with calls anywhere in it; ``any`` wants calls and nothing else.
        name: the one tool that is to be called, exactly once and with nothing else; None leaves it to ``choice``.
        parallel: whether there may be several calls.
        answer: JSON Schema of what an answer without calls is to be, in place of text; where calls are due it says
            nothing.

    Raises:
        SettingsError: if there are no tools, two have one name, none has the name asked for, or a schema asks for what
            a grammar cannot enforce.
        ModelLoadError: if llguidance is not installed.
    """

    tools: tuple[Tool, ...]
    syntax: ToolSyntax = field(default_factory=ToolSyntax)
    choice: Literal["auto", "any"] = "auto"
    name: str | None = None
    parallel: bool = True
    answer: Mapping[str, Any] | None = None
    _body: str = field(init=False, repr=False, compare=False)
    _answer: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [tool.name for tool in self.tools]
        if len(set(names)) < max(1, len(names)):
            raise SettingsError("a grammar for tool calls needs at least one tool, each with a name of its own")
        if self.choice not in ("auto", "any"):
            raise SettingsError(f"choice = {named(self.choice)}: must be 'auto' or 'any'; give a tool's name as name=")
        tools = [tool for tool in self.tools if self.name in (None, tool.name)]
        if not tools:
            raise SettingsError(f"no tool is named {named(self.name)}; name one of the tools")
        object.__setattr__(self, "_body", _calls(tools, self.syntax))
        object.__setattr__(self, "_answer", json_symbol(self.answer) if self.answer is not None else "")
        check(self._grammar({}))

    @property
    def identity(self) -> str:
        """By which kept answers tell this grammar from others."""
        return hashlib.sha256(self._grammar({}).encode()).hexdigest()

    def token_mask(self, tokenizer: Any, vocabulary: int, ends: Collection[int] = ()) -> GrammarMask:
        """As :class:`~rose_guard.engines.engine.Constraint` says.

        Args:
            tokenizer: of transformers, backed by the tokenizers library.
            vocabulary: how many token ids the model has.
            ends: ids that end an answer beside the tokenizer's own, as a generation_config lists them.

        Raises:
            ModelLoadError: if no grammar can be followed in this tokenizer's tokens.
        """
        from rose_guard.engines.grammar.mask import GrammarMask
        from rose_guard.engines.grammar.vocabulary import Vocabulary

        words = Vocabulary.of(tokenizer, vocabulary, ends)
        return GrammarMask(self._grammar(words.control), words)

    def _grammar(self, control: Mapping[str, int]) -> str:
        spelling = CallSpelling(self.syntax, control, parallel=self.parallel and self.name is None)
        if self.name is not None or self.choice == "any":
            rules = ["start: calls", *spelling.calls()]
        elif self._answer:
            rules = ["start: answer | calls", f"answer: {self._answer}", *spelling.calls()]
        else:
            rules = spelling.text_with_calls()
        return HEADER + "\n".join([*rules, f"body: {self._body}", ""])


def _calls(tools: list[Tool], syntax: ToolSyntax) -> str:
    """The JSON object of a call of any of these tools, as a symbol of a grammar."""
    document = SchemaDocument()
    calls = [
        {
            "type": "object",
            "properties": {syntax.name_key: {"const": tool.name}, syntax.arguments_key: _arguments(tool, document)},
            "required": [syntax.name_key, syntax.arguments_key],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return f"%json {document.text({'anyOf': calls})}"


def _arguments(tool: Tool, document: SchemaDocument) -> Any:
    if tool.parameters.get("type", "object") != "object":
        raise SettingsError(f"the parameters of tool {named(tool.name)} must be an object's schema")
    return document.read({"type": "object", **tool.parameters})
