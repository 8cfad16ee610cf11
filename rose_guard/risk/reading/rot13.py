"""ROT13: turns words round where they read as English only then."""

from __future__ import annotations

import re
from codecs import encode
from typing import TYPE_CHECKING

from rose_guard.risk.reading.english import ENGLISH, LONG_WORDS, SHORT_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rose_guard.risk.reading.view import View

_TURNED_LONG = frozenset(encode(word, "rot13") for word in LONG_WORDS)
_TURNED_SHORT = frozenset(encode(word, "rot13") for word in SHORT_WORDS)
_WORD = re.compile(r"[A-Za-z]+")
_FEWEST_WORDS = 3
_FEWEST_LETTERS = 12
_NEAR = 12
"""Words that tell are looked for within this many words."""


def undo_rot13(view: View) -> View:
    """The text with its ROT13 passages turned round; itself where there are none.

    A passage is a stretch of at least 3 words and 12 letters, none of them an English word of the common kind, in
    which common English words stand close together after ROT13: two of three letters or more, or one and two shorter.
    """
    words = list(_WORD.finditer(view.text))
    return view.edited(
        "rot13",
        [
            (*word.span(), encode(word.group(), "rot13"))
            for stretch in _stretches(words)
            if _reads_better_turned([word.group() for word in stretch])
            for word in stretch
        ],
    )


def _stretches(words: Sequence[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Runs of words that are not common English, or are common English after ROT13 too."""
    stretch: list[re.Match[str]] = []
    for word in words:
        lower = word.group().lower()
        if lower in ENGLISH and encode(lower, "rot13") not in ENGLISH:
            yield stretch
            stretch = []
        else:
            stretch.append(word)
    yield stretch


def _reads_better_turned(words: Sequence[str]) -> bool:
    if len(words) < _FEWEST_WORDS or sum(map(len, words)) < _FEWEST_LETTERS:
        return False
    lower = [word.lower() for word in words]
    long = [i for i, word in enumerate(lower) if word in _TURNED_LONG]
    return any(_tells(set(lower[max(0, i - _NEAR) : i + _NEAR])) for i in long)


def _tells(words: set[str]) -> bool:
    long, short = len(words & _TURNED_LONG), len(words & _TURNED_SHORT)
    return long > 1 or (long == 1 and short > 1)
