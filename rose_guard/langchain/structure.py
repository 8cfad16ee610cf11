"""Structure: what the tools and the response format of a call ask of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from rose_guard.engines.engine import Tool
from rose_guard.engines.tool_syntax import ToolSyntax
from rose_guard.errors import SettingsError, TruncatedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rose_guard.engines.engine import Constraint, Delta

AUTO, ANY, NONE = "auto", "any", "none"
_WORDS = {True: ANY, "any": ANY, "required": ANY, "auto": AUTO, None: AUTO, False: NONE, "none": NONE}


@dataclass(frozen=True, slots=True)
class Structure:
    """What an answer must look like.

    Args:
        tools: what the model may call.
        schema: JSON Schema of an answer that is JSON; None where it may be text.
        constraint: the grammar that sees to it.
        whole: whether half of an answer is none.
        on_length: ``raise`` where the limit cut a structure in two, or ``return`` what there is.
    """

    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    constraint: Constraint | None = None
    whole: bool = False
    on_length: str = "raise"

    @classmethod
    def taken_from(cls, call: dict[str, Any], engine: Callable[[], object]) -> Structure:
        """Take a call's settings that are about structure out of it.

        Args:
            call: settings of one call.
            engine: gives what will decode, where there are tools.

        Raises:
            SettingsError: if they contradict one another, or there is no grammar for them.
            ModelLoadError: if llguidance is needed and not installed.
        """
        given, choice = call.pop("tools", None) or (), call.pop("tool_choice", None)
        parallel = call.pop("parallel_tool_calls", None)
        wanted, on_length = call.pop("response_format", None), call.pop("on_length", "raise")
        call.pop("strict", None)  # what follows a grammar follows its schema strictly
        tools = tuple(tool_of(each) for each in given)
        chosen = choice_among(tools, choice)
        schema = _schema(wanted) if wanted is not None else None
        if chosen == NONE:
            tools = ()
        if tools:
            several = chosen == AUTO if parallel is None else bool(parallel)
            grammar = _tool_grammar(tools, engine(), chosen, schema, parallel=several)
            return cls(tools, schema, grammar, whole=chosen != AUTO or schema is not None, on_length=on_length)
        if schema is None:
            return cls(on_length=on_length)
        from rose_guard.engines.grammar import JsonGrammar

        return cls((), schema, JsonGrammar(schema), whole=True, on_length=on_length)

    def constraint_within(self, max_tokens: int) -> Constraint | None:
        """The grammar for an answer of so many tokens at most: one that has to be whole leaves loops in time."""
        if self.constraint is None or not self.whole:
            return self.constraint
        from rose_guard.engines.grammar import Unlooped

        return Unlooped(self.constraint, max_tokens)

    def check_end(self, last: Delta, broken_calls: Sequence[str], max_tokens: int) -> None:
        """See that an answer did not end within its structure.

        Raises:
            TruncatedAnswerError: if it did, and is not to be given out all the same.
        """
        if last.finish_reason == "length" and self.on_length == "raise" and (self.whole or any(broken_calls)):
            raise TruncatedAnswerError(max_tokens)


def choice_among(tools: Sequence[Any], choice: Any) -> str:
    """``auto``, ``any``, ``none`` or a tool's name, from the many ways to say so.

    Args:
        tools: as tools are given.
        choice: as OpenAI's API and LangChain take it.

    Raises:
        SettingsError: if it names no tool that there is.
    """
    names = {tool_of(tool).name for tool in tools}
    if isinstance(choice, dict):
        choice = choice.get("function", choice).get("name") or {"tool": None}.get(str(choice.get("type")), ANY)
    if isinstance(choice, bool | None) or (choice in _WORDS and choice not in names):
        chosen = _WORDS[choice]
    else:
        chosen = str(choice)
        if chosen not in names:
            raise SettingsError(f"tool_choice = {chosen!r} names none of the tools; name one, or say auto, any or none")
    if chosen == ANY and not tools:
        raise SettingsError("tool_choice asks for a call, but there are no tools; bind some")
    return chosen


def tool_of(given: Any) -> Tool:
    """A tool from what LangChain takes for one: a function, a tool, a pydantic class or OpenAI's schema."""
    if isinstance(given, Tool):
        return given
    function = convert_to_openai_tool(given)["function"]
    return Tool(function["name"], function.get("description", ""), function.get("parameters") or Tool("").parameters)


def _tool_grammar(
    tools: tuple[Tool, ...],
    engine: object,
    chosen: str,
    schema: Mapping[str, Any] | None,
    *,
    parallel: bool,
) -> Constraint | None:
    free = chosen == AUTO and schema is None
    syntax: ToolSyntax | None = getattr(engine, "tool_syntax", ToolSyntax())
    if free and (syntax is None or getattr(engine, "thinks", False) or find_spec("llguidance") is None):
        return None
    if syntax is None:
        raise SettingsError(
            "this model's own way to write tool calls has no grammar, so that none can be asked for; leave out "
            "tool_choice and response_format"
        )
    from rose_guard.engines.grammar import ToolGrammar

    name = None if chosen in (AUTO, ANY) else chosen
    choice: Literal["auto", "any"] = "auto" if chosen == AUTO else "any"
    try:
        return ToolGrammar(tools, syntax, choice=choice, name=name, parallel=parallel, answer=schema)
    except SettingsError:
        if not free:
            raise
        return None  # the model is free to call or not, and what it writes is read with or without a grammar


def _schema(wanted: Any) -> Mapping[str, Any]:
    """The schema of a response format; empty where any JSON object will do."""
    if not isinstance(wanted, dict):
        return dict(convert_to_json_schema(wanted))
    kind = wanted.get("type")
    if kind == "json_object":
        return wanted.get("schema") or {"type": "object"}
    if kind == "json_schema" and isinstance(named := wanted.get("json_schema"), dict):
        if isinstance(schema := named.get("schema"), dict):
            return schema
        raise SettingsError("response_format of type json_schema needs json_schema.schema, a JSON Schema")
    if kind == "text":
        raise SettingsError("response_format = text is what there is without one; leave it out")
    return wanted
