"""Sentences of a text, so that one risky sentence is not lost among many harmless ones."""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"[^.!?\n。！？]+[.!?\n。！？]*")
SHORT_CHARACTERS = 20


def sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence; very short ones are joined to the one before.

    Text before the first sentence, such as a row of dots, belongs to none: whole windows cover it.
    """
    found: list[tuple[int, int]] = []
    for match in _SENTENCE.finditer(text):
        start, end = match.span()
        if found and end - start < SHORT_CHARACTERS:
            found[-1] = (found[-1][0], end)
        elif match.group().strip():
            found.append((start, end))
    return found
