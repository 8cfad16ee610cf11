"""Haystack: a text that terms are looked for in, folded so that variants of spelling read alike."""

from __future__ import annotations

import unicodedata
from functools import cached_property, lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST_PIECE = 32
"""Characters that are normalised together, about as many as the stream-safe format of Unicode's annex 15 allows.

Python sorts combining characters in quadratic time, so that a text of nothing else would take minutes.
"""


class Haystack:
    """A text in the forms that terms are looked up in; each is made once, when it is first asked for.

    Args:
        text: of any length.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8; half characters become question marks, so that characters keep their places."""
        return self.text.encode(errors="replace")

    @cached_property
    def folded(self) -> str:
        """The text under NFKC and without case, as :func:`fold`."""
        return self._fold[0]

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Where characters ``start`` to ``end`` of the folded text stand in the text; at least one character."""
        _, starts, ends = self._fold
        return starts[start], ends[end - 1]

    @cached_property
    def _fold(self) -> tuple[str, Sequence[int], Sequence[int]]:
        """The folded text, and start and end of what each of its characters was made from."""
        if self.text.isascii():
            return self.text.lower(), range(len(self.text)), range(1, len(self.text) + 1)
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for start, end in _pieces(self.text):
            part = _fold_piece(self.text[start:end])
            parts.append(part)
            starts.extend(repeat(start, len(part)))
            ends.extend(repeat(end, len(part)))
        return "".join(parts), starts, ends


def fold(text: str) -> str:
    """Compatibility forms, composition and case made one: ``Ａｃｍé`` and ``acme\u0301`` read alike."""
    return Haystack(text).folded


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of a character and what is written onto it; pieces can be normalised each by itself."""
    start = 0
    for index, character in enumerate(text):
        if index > start and (index - start == LONGEST_PIECE or character < "\u0300" or not _joins(character)):
            yield start, index
            start = index
    if text:
        yield start, len(text)


@lru_cache(maxsize=4096)
def _joins(character: str) -> bool:
    """Whether a character may become one with what stands before it: a mark, a Korean vowel or final consonant."""
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"


@lru_cache(maxsize=4096)
def _fold_piece(piece: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", piece).casefold())
