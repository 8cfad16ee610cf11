"""Printable: whether what a decoding gave is text at all."""

from __future__ import annotations

import unicodedata

_SPACES = "\t\n\r"
_SHOWN = {"Cf", "Zs", "Zl", "Zp"}


def printable(text: str) -> bool:
    """Whether every character is one that texts hold: assigned, and no control character but tab and line ends."""
    return all(c.isprintable() or c in _SPACES or unicodedata.category(c) in _SHOWN for c in set(text))
