"""AnswerFormat: how one model's answers are to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.engines.answer_parser import THINKING, AnswerParser, PlainParser, TaggedParser
from rose_guard.engines.templated_parser import TemplatedParser
from rose_guard.engines.tool_syntax import tool_schema

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
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, support: ToolSupport) -> None:
        self._tokenizer = tokenizer
        self._support = support
        self.thinks = THINKING[0] in str(tokenizer.chat_template) or THINKING[0] in tokenizer.get_vocab()
        self._templated = support.native and support.syntax is None
        syntax = support.syntax
        tags = "".join([*THINKING, *((syntax.opening, syntax.closing) if syntax else ())])
        special = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
        self._tags = frozenset(i for i, token in special if self._templated or token in tags)

    def parser(self, prompt: Sequence[int], tools: Sequence[Tool], *, begun: bool) -> AnswerParser:
        """For an answer to this prompt.

        Args:
            prompt: token ids that the model goes on from.
            tools: those that it may call.
            begun: whether the prompt holds text of the answer.
        """
        if self._templated and tools:
            text = str(self._tokenizer.decode(list(prompt)))
            return TemplatedParser(self._tokenizer, text, [tool_schema(tool) for tool in tools])
        if not tools and not self.thinks:
            return PlainParser()
        return TaggedParser(
            self._support.syntax if tools else None,
            thinks=self.thinks,
            thinking=self.thinks and not begun and self.within_thoughts(prompt),
            begun=begun,
        )

    def within_thoughts(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt ends where the model is to think."""
        return str(self._tokenizer.decode(list(prompt[-_ENDS_WITHIN:]))).rstrip().endswith(THINKING[0])

    def end_of_thoughts(self) -> list[int]:
        """Tokens that end the thoughts of a prompt that ends within them, so that a structure can follow at once."""
        ids: list[int] = self._tokenizer.encode(f"\n{THINKING[1]}\n\n", add_special_tokens=False)
        return ids

    def tags(self, tools: Sequence[Tool]) -> frozenset[int]:
        """Special tokens that the parser must see; all others are no part of an answer."""
        return self._tags if tools or self.thinks else frozenset()
