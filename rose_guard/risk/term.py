"""Term: what a rule looks for, a phrase or a regular expression; both take time linear in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from rose_guard.errors import ModelLoadError, SettingsError
from rose_guard.risk.haystack import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.risk.haystack import Haystack

Place = tuple[int, int]
"""First character of a match in the text, and one past its last."""

LONGEST_PHRASE = 200
LARGEST_PROGRAM = 2000
"""RE2's size of a pattern, in instructions: at this size 200,000 characters take at most a second or so."""

SYNTAX = "https://github.com/google/re2/wiki/Syntax"

# Scripts without spaces, and Korean, whose particles are written onto the word: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003fffd"
)
_IN_WORD = f"[^\\W{_UNSPACED}]"


class Term(Protocol):
    """Something that can be found in a text."""

    def places(self, haystack: Haystack) -> Iterator[Place]:
        """Every place where it begins, in order."""
        ...


@dataclass(frozen=True)
class Phrase:
    """Whole words in this order, whatever their case, their form in Unicode and the white space between them.

    In scripts that put no space after a word, it is found inside longer runs too.

    Args:
        text: the words; at most 200 characters.

    Raises:
        SettingsError: if it holds no word or is too long.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_PHRASE:
            raise SettingsError(f"has {len(self.text)} characters, more than {LONGEST_PHRASE}; shorten it")
        if not self._words:
            raise SettingsError("holds no word; write one or more")

    def places(self, haystack: Haystack) -> Iterator[Place]:
        """As the protocol says; overlapping places are all found."""
        folded = haystack.folded
        if all(word in folded for word in self._words):
            for match in self._expression.finditer(folded):
                yield haystack.source(*match.span(1))

    @cached_property
    def _words(self) -> list[str]:
        return fold(self.text).split()

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        words = r"\s++".join(re.escape(word) for word in self._words)
        before = f"(?<!{_IN_WORD})" if re.match(_IN_WORD, self._words[0]) else ""
        after = f"(?!{_IN_WORD})" if re.match(_IN_WORD, self._words[-1][-1]) else ""
        return re.compile(f"{before}(?=({words}){after})")


@dataclass(frozen=True)
class Pattern:
    """A regular expression of RE2 (https://github.com/google/re2/wiki/Syntax), in the text as it is written.

    Args:
        text: without look-around and back-references, which cannot be matched in linear time.
        longest: whether the longest match at a place counts, not the first that the expression allows.

    Raises:
        SettingsError: if it is no such expression, is too large, or matches the empty text and so every one.
        ModelLoadError: if google-re2 is missing.
    """

    text: str
    longest: bool = False

    def __post_init__(self) -> None:
        if self._expression.programsize > LARGEST_PROGRAM:
            raise SettingsError("is too large; repeat less, or make several patterns of it")
        if self._expression.search(b"") is not None:
            raise SettingsError("matches the empty text and so every conversation; ask for at least one character")

    def places(self, haystack: Haystack) -> Iterator[Place]:
        """As the protocol says; each is found in linear time, and overlapping ones one after another."""
        data, place = haystack.data, 0
        while (match := self._expression.search(data, place)) is not None:
            start, end = match.span()
            before = len(data[:start].decode(errors="ignore"))
            yield before, before + len(data[start:end].decode(errors="ignore"))
            place = start + 1
            if place > len(data):
                return

    @cached_property
    def _expression(self) -> Any:
        re2 = _linear_engine()
        options = re2.Options()
        options.log_errors = False
        options.longest_match = self.longest
        try:
            return re2.compile(self.text, options)
        except UnicodeEncodeError:
            raise SettingsError("holds half a character (a lone surrogate); write the whole one") from None
        except re2.error as error:
            raise SettingsError(_unreadable(error.args[0])) from None


def _linear_engine() -> Any:
    try:
        import re2
    except ImportError as error:
        raise _no_engine() from error
    if not hasattr(re2, "Options"):  # another package of that name, which falls back to an engine of quadratic time
        raise _no_engine()
    return re2


def _no_engine() -> ModelLoadError:
    return ModelLoadError("patterns need google-re2; run `pip install 'rose-guard[rules]'`, or use keywords alone")


_IMPOSSIBLE = "; look-around and back-references cannot be matched in linear time, use `except`"


def _unreadable(reason: bytes | str) -> str:
    """RE2's complaint, without the piece of the pattern that it quotes."""
    words = (reason.decode(errors="replace") if isinstance(reason, bytes) else reason).split(":")[0]
    hint = _IMPOSSIBLE if words in ("invalid perl operator", "invalid escape sequence") else ""
    return f"is no regular expression of RE2 ({words}); see {SYNTAX}{hint}"
