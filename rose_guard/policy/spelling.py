"""Suggestions for misspelled names, and how a name that somebody wrote is repeated to them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LISTED = 30
_NAME = re.compile(r"[\w.:@+-]{1,40}")


def is_name(text: str) -> bool:
    """Whether a text can be a name, rather than a prompt that got into the wrong place."""
    return _NAME.fullmatch(text) is not None


def shown(name: object) -> str:
    """A name in quotes; of a text that cannot be one, only how long it is."""
    name = str(name)
    return repr(name) if is_name(name) else f"(a text of {len(name)} characters)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest known name, else ``; one of …``."""
    known = list(known)
    if close := get_close_matches(name[:80], known, n=1):
        return f"; did you mean {close[0]!r}?"
    return f"; one of: {listed(known)}" if known else ""


def listed(names: Iterable[str]) -> str:
    """Names in one line, not endlessly many."""
    names = list(names)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
