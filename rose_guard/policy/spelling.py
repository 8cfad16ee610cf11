"""Suggestions for misspelled names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest known name, else ``; one of …``."""
    known = list(known)
    if close := get_close_matches(name, known, n=1):
        return f"; did you mean {close[0]!r}?"
    return f"; one of: {', '.join(known)}" if known else ""
