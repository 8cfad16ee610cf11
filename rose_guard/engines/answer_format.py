"""AnswerFormat: how one model's answers are to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.engines.answer_parser import THINKING, AnswerParser, PlainParser, TaggedParser
from rose_guard.engines.templated_parser import TemplatedParser
from rose_guard.engines.text import special_ids
from rose_guard.engines.tool_support import common_start
from rose_guard.engines.tool_syntax import tool_schema
from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from rose_guard.engines.engine import Tool
    from rose_guard.engines.tool_support import ToolSupport

_ENDS_WITHIN = 16
"""How many of a prompt's last tokens may show that it ends within thoughts."""


class AnswerFormat:
    """Makes a parser for each answer.

    Args:
        tokenizer: what reads the answers.
        support: how its chat template shows tools.
        head: what the template writes between a user's message and the answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, support: ToolSupport, head: str) -> None:
        self._tokenizer, self._support, self._head = tokenizer, support, head
        self.thinks = THINKING[0] in str(tokenizer.chat_template) or THINKING[0] in tokenizer.get_vocab()
        self._templated = support.native and support.syntax is None
        syntax = support.syntax
        self._thought_tags = self._control(*THINKING)
        self._call_tags = self._control(syntax.opening, syntax.closing) if syntax else {}

    def parser(
        self, prompt: Sequence[int], tools: Sequence[Tool], *, begun: bool, constrained: bool = False
    ) -> AnswerParser:
        """For an answer to this prompt.

        Args:
            prompt: token ids that the model goes on from.
            tools: those that it may call.
            begun: whether the prompt holds text of the answer.
            constrained: whether a grammar says what the answer is.

        Raises:
            InputError: if an answer cannot be gone on with, since only this model knows what would be written before
                its text.
        """
        if self._is_templated(tools, constrained=constrained):
            if begun:
                raise InputError("answers of this model cannot be begun: its own format stands before their text")
            return TemplatedParser(self._tokenizer, self._head_of(prompt), [tool_schema(tool) for tool in tools])
        if not tools and not self.thinks:
            return PlainParser()
        return TaggedParser(
            self._support.syntax if tools else None,
            thinks=self.thinks,
            thinking=self.thinks and not begun and self.within_thoughts(prompt),
            begun=begun,
            control=self._shown_tags(tools).values(),
        )

    def tags(self, tools: Sequence[Tool], *, constrained: bool = False) -> frozenset[int]:
        """Control tokens that the parser must see; all other special ones are no part of an answer."""
        if self._is_templated(tools, constrained=constrained):
            return special_ids(self._tokenizer)
        return frozenset(self._shown_tags(tools))

    def within_thoughts(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt ends where the model is to think."""
        return str(self._tokenizer.decode(list(prompt[-_ENDS_WITHIN:]))).rstrip().endswith(THINKING[0])

    def end_of_thoughts(self) -> list[int]:
        """Tokens that end the thoughts of a prompt that ends within them, so that text can follow at once."""
        ids: list[int] = self._tokenizer.encode(f"\n{THINKING[1]}\n\n", add_special_tokens=False)
        return ids

    def _is_templated(self, tools: Sequence[Tool], *, constrained: bool) -> bool:
        """A grammar for text knows nothing of a model's own format."""
        return self._templated and (bool(tools) or not constrained)

    def _head_of(self, prompt: Sequence[int]) -> str:
        """What the template wrote at a prompt's end: as much as it writes behind whatever is said."""
        end = str(self._tokenizer.decode(list(prompt[-len(self._head) :])))
        return self._head[len(self._head) - common_start(self._head[::-1], end[::-1]) :]

    def _shown_tags(self, tools: Sequence[Tool]) -> dict[int, str]:
        return {**(self._thought_tags if self.thinks else {}), **(self._call_tags if tools else {})}

    def _control(self, *tags: str) -> dict[int, str]:
        """The control tokens that tags are made of."""
        added = ((token_id, token.content) for token_id, token in self._tokenizer.added_tokens_decoder.items())
        return {token_id: text for token_id, text in added if text.strip() and any(text in tag for tag in tags)}
