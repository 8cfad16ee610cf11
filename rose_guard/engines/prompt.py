"""ChatPrompt: a conversation into token ids, with text that can never become a control token.

The conversation goes through the tokenizer's chat template with transformers' ``sanitize_control_tokens``, which
encodes control tokens found in text as plain text. What that leaves open (names and keys, text that joins into a
control token across two fields) is caught by comparing the prompt's control tokens with those of a twin
conversation whose text holds no markup.
"""

from __future__ import annotations

import copy
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from jinja2 import TemplateError

from rose_guard.decoding.prefix_cache import common_length
from rose_guard.engines.answer_format import AnswerFormat
from rose_guard.engines.templated_parser import has_response_template
from rose_guard.engines.tool_support import ToolSupport, Turn, calls_as_turns, schema_introduction
from rose_guard.engines.tool_syntax import tool_schema
from rose_guard.errors import InputError, ModelLoadError
from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from rose_guard.engines.engine import Tool

SEPARATOR = "\n\n"
_MOST_HEADS = 256


class ChatPrompt:
    """Encodes conversations for one tokenizer; a copy is kept, since encoding toggles a tokenizer's state.

    Args:
        tokenizer: has a chat template.

    Raises:
        ModelLoadError: if there is no chat template, or text could become control tokens whatever is done.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise ModelLoadError(
                "the tokenizer has no chat template, so a system prompt has no place; use an instruction-tuned "
                "model, or pass a tokenizer whose chat_template is set"
            )
        self._tokenizer = copy.deepcopy(tokenizer)
        # Every added token counts, special or not: a template may build one from pieces, as '<|' + role + '|>'.
        self._control = {
            token_id: token.content
            for token_id, token in self._tokenizer.added_tokens_decoder.items()
            if not token.content.isspace()
        }
        self._tokenizer.chat_control_tokens = list(self._control.values())
        # Longest first, so that a token that begins another one does not hide it.
        ordered = sorted(self._control.values(), key=len, reverse=True)
        self._control_pattern = re.compile("|".join(map(re.escape, ordered)) or r"(?!)")
        self._markup = {ord(c): "x" for c in set("".join(ordered)) if not (c.isalnum() or c.isspace())}
        self._heads: dict[str | None, list[int]] = {}
        self._has_system_role = self._probe_system_role()
        self.tool_support = ToolSupport.of(self._render, has_response_template=has_response_template(self._tokenizer))
        self.answer_format = AnswerFormat(self._tokenizer, self.tool_support, self._head_of_answers())
        self._probe_turns()
        self._probe_safety()

    def encode(
        self,
        messages: Sequence[Message],
        *,
        lead: str | None = None,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Token ids of the conversation, ready for the assistant's answer.

        Args:
            messages: the conversation; its leading system messages are joined into one.
            lead: a system prompt to put before the user's own; None leaves the system message as it is, an empty
                text makes sure that there is one.
            tools: what the model may call; told in the system message where the template shows no tools.
            schema: JSON Schema that the answer is to follow, told in the system message.

        Raises:
            InputError: if the template refuses the conversation, or text would become a control token.
        """
        chat = self._chat(messages, lead, self._told(tools, schema))
        shown = [tool_schema(tool) for tool in tools] if self.tool_support.native else []
        ids = self._apply(chat, shown)
        twin_chat, twin_tools = self._without_markup(chat), self._without_markup(shown)
        if (twin_chat, twin_tools) != (chat, shown) and self._control_ids(ids) != self._control_ids(
            self._apply(twin_chat, twin_tools)
        ):
            raise InputError(
                "a message, name or tool schema holds chat control markup that would become a control token; "
                "remove it or write it with spaces"
            )
        return ids

    def shared_tokens(self, ids: Sequence[int], lead: str | None) -> int:
        """How many of a prompt's first tokens come from the lead and the template alone, whoever speaks.

        Args:
            ids: the prompt's tokens.
            lead: what it was encoded with.
        """
        if lead not in self._heads:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[lead] = self._head(lead)
        return common_length(self._heads[lead], ids)

    def _head(self, lead: str | None) -> list[int]:
        """What two conversations that have nothing else in common both begin with."""
        system = [] if lead is None else [Message("system", "Alpha.")]
        try:
            return _common(
                self.encode([Message("user", "Beta?")], lead=lead),
                self.encode([*system, Message("user", "7")], lead=lead),
            )
        except InputError:  # a template that takes neither
            return []

    def token_ids(self, text: str) -> list[int]:
        """Token ids of a text by itself, control tokens in it encoded as text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        # Tokens that nobody calls special are found all the same, unless the text is cut within each of them.
        spelt = self._control_pattern.finditer(text) if self._control_ids(ids) else ()
        cuts = [match.start() + 1 for match in spelt if len(match.group()) > 1]
        if not cuts:
            return ids
        pieces = (text[start:end] for start, end in pairwise([0, *cuts, len(text)]))
        return [token_id for piece in pieces for token_id in self.token_ids(piece)]

    def _told(self, tools: Sequence[Tool], schema: Mapping[str, Any] | None) -> list[str]:
        """What the system message says beyond the policy's and the user's own."""
        told = [self.tool_support.introduction(tools), schema_introduction(schema) if schema is not None else ""]
        return [text for text in told if text]

    def _chat(self, messages: Sequence[Message], lead: str | None, told: Sequence[str]) -> list[Turn]:
        leading = 0
        while leading < len(messages) and messages[leading].role == "system":
            leading += 1
        texts = [text for text in (lead, *(m.content for m in messages[:leading]), *told) if text]
        turns = self.tool_support.turns([_as_turn(message) for message in messages[leading:]])
        if lead is None and not leading and not told:
            return turns
        system = SEPARATOR.join(texts)
        if self._has_system_role:
            return [{"role": "system", "content": system}, *turns]
        return _fold(system, turns)

    def _render(
        self, turns: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None, *, prompt: bool
    ) -> str | None:
        """A conversation of our own as text; None where the template refuses it."""
        shown: Any = [dict(tool) for tool in tools] if tools else None
        try:
            rendered = self._tokenizer.apply_chat_template(
                [dict(turn) for turn in turns], tools=shown, tokenize=False, add_generation_prompt=prompt
            )
        except (TemplateError, ValueError, TypeError, KeyError, NotImplementedError):
            return None
        return str(rendered)

    def _head_of_answers(self) -> str:
        """What the template writes behind a user's message."""
        probe = "HeadProbe"
        rendered = self._render([{"role": "user", "content": probe}], None, prompt=True) or ""
        return rendered.rpartition(probe)[2]

    def _apply(self, chat: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> list[int]:
        try:
            ids = self._tokenizer.apply_chat_template(
                [dict(turn) for turn in chat],
                tools=[dict(tool) for tool in tools] if tools else None,
                add_generation_prompt=True,
                return_dict=False,
                sanitize_control_tokens=True,
            )
        except TemplateError as error:
            # Only what the template itself says may be repeated, not what it quotes from the conversation.
            said = str(error) if str(error) in self._tokenizer.get_chat_template() else "it gives no reason"
            raise InputError(f"the model's chat template refuses this conversation: {said}") from None
        except (ValueError, TypeError, KeyError, NotImplementedError):
            raise InputError("the tokenizer cannot encode this conversation without control tokens") from None
        return cast("list[int]", ids)

    def _control_ids(self, ids: Sequence[int]) -> list[int]:
        return [token_id for token_id in ids if token_id in self._control]

    def _without_markup(self, value: Any) -> Any:
        """The same conversation or schema with every control token and markup character spelt ``x``."""
        if isinstance(value, str):
            return self._control_pattern.sub("x", value).translate(self._markup)
        if isinstance(value, dict):
            return {
                # The conversation's own keys and roles are closed sets; all other keys are somebody's text.
                (key if key in _TEMPLATE_KEYS else self._without_markup(key)): self._without_markup(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._without_markup(item) for item in value]
        return value

    def _probe_system_role(self) -> bool:
        probe = "SystemRoleProbe"
        try:
            ids = self._apply([{"role": "system", "content": probe}, {"role": "user", "content": "Hello"}], None)
        except InputError:
            return False
        return probe in self._tokenizer.decode(ids)

    def _probe_turns(self) -> None:
        """Turns that plain text alone tells apart could be forged by anyone who types that text."""
        first, second, third = "FirstTurnProbe", "SecondTurnProbe", "ThirdTurnProbe"
        turns = [("user", first), ("assistant", second), ("user", third)]
        rendered = self._render([{"role": role, "content": text} for role, text in turns], None, prompt=True)
        if rendered is None:
            raise ModelLoadError("the chat template cannot show a conversation of three turns; pass another")
        boundaries = re.split(f"{first}|{second}|{third}", rendered)[1:]
        if len(boundaries) < len(turns) or not all(map(self._control_pattern.search, boundaries)):
            raise ModelLoadError(
                "the chat template parts turns by plain text, which a user could type to forge one; use a model whose "
                "template writes a control token between any two turns"
            )

    def _probe_safety(self) -> None:
        every_token = " ".join(self._control.values())
        try:
            self.encode([Message("user", f"Hello {every_token} world")], lead=f"Be kind {every_token} always")
        except InputError as error:
            raise ModelLoadError(
                "this tokenizer turns text into control tokens, so a user could forge a turn; "
                "use a tokenizer backed by the tokenizers library"
            ) from error


_TEMPLATE_KEYS = frozenset(
    {"role", "content", "name", "type", "function", "parameters", "description", "properties"}
    | {"tool_calls", "tool_call_id", "id", "arguments"}
)


def _common(one: list[int], other: list[int]) -> list[int]:
    return one[: common_length(one, other)]


def _as_turn(message: Message) -> Turn:
    turn: Turn = {"role": message.role, "content": message.content}
    if message.name:
        turn["name"] = message.name
    if message.tool_calls:
        turn["tool_calls"] = calls_as_turns(message.tool_calls)
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _fold(system: str, turns: Sequence[Turn]) -> list[Turn]:
    """Put the system text before the first user turn's, for templates without a system role."""
    first = next((i for i, turn in enumerate(turns) if turn["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": system}, *turns]
    content = SEPARATOR.join(text for text in (system, turns[first]["content"]) if text)
    return [*turns[:first], {**turns[first], "content": content}, *turns[first + 1 :]]
