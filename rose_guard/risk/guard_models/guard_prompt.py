"""GuardPrompt: turns into a guard model's prompt, with text that can never become a control token."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from jinja2 import TemplateError

from rose_guard.errors import ClassifierError, ModelLoadError
from rose_guard.risk.guard_models.windows import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

_PROBE = (Turn("user", "IsThisTextShown"),)


class GuardPrompt:
    """Encodes turns for one tokenizer; a copy is kept, since encoding toggles a tokenizer's state.

    Control tokens spelt in the turns are encoded as plain text by transformers' ``sanitize_control_tokens``. What that
    leaves open is caught by comparing the prompt's control tokens with those of the same turns without their text.

    Args:
        tokenizer: has a chat template, unless one is given.
        chat_template: what to use instead of it.
        generation_prompt: whether the template is asked to begin the assistant's turn.
        question: variables that the template needs.

    Raises:
        ModelLoadError: if there is no chat template, or it shows no text.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        chat_template: str | None = None,
        generation_prompt: bool = True,
        question: Mapping[str, Any] | None = None,
    ) -> None:
        if not (chat_template or tokenizer.chat_template):
            raise ModelLoadError("the tokenizer has no chat template; pass a tokenizer whose chat_template is set")
        self.tokenizer = copy.deepcopy(tokenizer)
        self.chat_template = chat_template or self.tokenizer.get_chat_template()
        self._generation_prompt = generation_prompt
        # Every added token counts, special or not: a template may build one from pieces.
        added = self.tokenizer.added_tokens_decoder.items()
        self._control = {token_id for token_id, token in added if not token.content.isspace()}
        self.tokenizer.chat_control_tokens = [token.content for _, token in added if not token.content.isspace()]
        self._in_parts = self._takes_parts(question or {})

    def encode(self, turns: Sequence[Turn], question: Mapping[str, Any]) -> list[int]:
        """Token ids of the prompt, ready for the model's answer.

        Args:
            turns: what to ask about.
            question: variables for the template.

        Raises:
            ClassifierError: if the template refuses the turns or leaves text out, or text would become a control
                token.
        """
        if not self._shows(turns, question):
            raise ClassifierError("the guard model's chat template leaves out a part of the conversation")
        ids = cast("list[int]", self._apply(turns, question, sanitize_control_tokens=True))
        blank = [Turn(turn.role, "x") for turn in turns]
        plain = cast("list[int]", self._apply(blank, question, sanitize_control_tokens=True))
        if self._control_ids(ids) != self._control_ids(plain):
            raise ClassifierError("a message holds markup that would become a control token of the guard model")
        return ids

    def _takes_parts(self, question: Mapping[str, Any]) -> bool:
        """Whether the template wants content as a list of parts rather than as a text."""
        for self._in_parts in (False, True):
            try:
                if self._shows(_PROBE, question):
                    return self._in_parts
            except ClassifierError:
                continue
        raise ModelLoadError("the chat template shows no user message; pass a tokenizer with the guard model's own")

    def _shows(self, turns: Sequence[Turn], question: Mapping[str, Any]) -> bool:
        rendered = str(self._apply(turns, question, tokenize=False))
        return all(turn.text.strip() in rendered for turn in turns)

    def _apply(self, turns: Sequence[Turn], question: Mapping[str, Any], **options: Any) -> Any:
        try:
            return self.tokenizer.apply_chat_template(
                [{"role": turn.role, "content": self._content(turn.text)} for turn in turns],
                chat_template=self.chat_template,
                add_generation_prompt=self._generation_prompt,
                return_dict=False,
                **options,
                **question,
            )
        except (TemplateError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
            # What the template says may quote the conversation.
            raise ClassifierError("the guard model's chat template cannot show this conversation as text") from None

    def _content(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self._in_parts else text

    def _control_ids(self, ids: Sequence[int]) -> list[int]:
        return [token_id for token_id in ids if token_id in self._control]
