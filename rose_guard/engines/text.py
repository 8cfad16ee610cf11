"""From token ids to text that may be shown: incremental decoding, and stop strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

REPLACEMENT = "\ufffd"
MARK = "\ufdd0"
"""Stands before a tag that is a control token, so that plain text that spells the tag is none. No text holds it."""


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids of the tokens that are no text, whether the tokenizer has a name for them or merely calls them special."""
    added = tokenizer.added_tokens_decoder.items()
    return frozenset(tokenizer.all_special_ids).union(token_id for token_id, token in added if token.special)


class Detokenizer:
    """Turns tokens into text piece by piece; the pieces join to what decoding all tokens at once gives.

    Text is held back while its last token ends inside a character.

    Args:
        tokenizer: what decodes.
        begun: tokens that come before, whose text is known already.
        tags: control tokens that are shown, each behind a :data:`MARK`; other special ones are no text.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, begun: Sequence[int] = (), tags: frozenset[int] = frozenset()
    ) -> None:
        self._tokenizer = tokenizer
        self._hidden = special_ids(tokenizer) - tags if tags else frozenset()
        self._tags = tags
        self._ids: list[int] = list(begun)
        self._context = 0  # where the tokens start that earlier text was decoded with
        self._shown = len(self._ids)  # where the tokens start that no text was given out for

    def push(self, token_id: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        if token_id in self._hidden:
            return ""
        self._ids.append(token_id)
        text = self._new_text()
        if text.endswith(REPLACEMENT):
            return ""
        self._context, self._shown = self._shown, len(self._ids)
        return self._marked(text, token_id) if self._tags else text

    def flush(self) -> str:
        """What is held back, an unfinished character shown as U+FFFD."""
        text = self._new_text()
        self._context = self._shown = len(self._ids)
        return text

    def _marked(self, text: str, token_id: int) -> str:
        text = text.replace(MARK, "")
        if token_id not in self._tags:
            return text
        tag = self._decode([token_id])
        return f"{text.removesuffix(tag)}{MARK}{tag}"

    def _new_text(self) -> str:
        """Text of the tokens not shown yet, decoded after those before them, since spaces depend on neighbours."""
        before = self._decode(self._ids[self._context : self._shown])
        return self._decode(self._ids[self._context :])[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=not self._tags, clean_up_tokenization_spaces=False))


class StopStrings:
    """Cuts text before the first stop string, holding back whatever might be the beginning of one.

    Args:
        stop: the strings.
        begun: what was shown before; a stop string may begin at its end.
    """

    def __init__(self, stop: Sequence[str], begun: str = "") -> None:
        self._stop = tuple(stop)
        reach = max((len(text) for text in self._stop), default=1) - 1
        self._held = begun[-reach:] if reach else ""
        self._shown = len(self._held)  # how much of what is held was shown before
        self.found = False

    def push(self, text: str) -> str:
        """The part of the text so far that is safe to show; nothing more once a stop string was found."""
        if self.found:
            return ""
        self._held += text
        starts = [start for stop in self._stop if (start := self._held.find(stop)) >= 0]
        if starts:
            self.found = True
            return self._release(min(starts))
        return self._release(len(self._held) - self._longest_beginning())

    def flush(self) -> str:
        """What is held back, once no more text will come."""
        return "" if self.found else self._release(len(self._held))

    def _release(self, end: int) -> str:
        text, self._held = self._held[self._shown : end], self._held[end:]
        self._shown = max(0, self._shown - end)
        return text

    def _longest_beginning(self) -> int:
        """Length of the longest end of the held text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stop), default=0)
        for length in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
