"""Padding: harmless text about nothing much, always the same for the same seed."""

from __future__ import annotations

import hashlib

_WHO = ("The librarian", "Our neighbour", "The gardener", "A retired teacher", "The ferry's captain", "The baker")
_DID = ("walked along", "painted a picture of", "wrote a letter about", "told the children about", "looked after")
_WHAT = ("the old orchard", "the stone bridge", "the village hall", "the herb garden", "the little harbour")
_WHEN = ("on a mild Tuesday in May", "before the first frost", "while it rained", "after the market had closed")
_AND = (
    "and came home in time for tea",
    "and counted nine swallows",
    "and met a friend on the way",
    "and hummed a tune",
)
_PARAGRAPH = 5
"""Sentences of one."""


def padding(seed: str, words: int) -> str:
    """Harmless paragraphs of at least so many words."""
    sentences: list[str] = []
    missing = words
    while missing > 0:
        sentences.append(_sentence(hashlib.sha256(f"{seed}\n{len(sentences)}".encode()).digest()))
        missing -= len(sentences[-1].split())
    paragraphs = [" ".join(sentences[at : at + _PARAGRAPH]) for at in range(0, len(sentences), _PARAGRAPH)]
    return "\n\n".join(paragraphs)


def _sentence(lots: bytes) -> str:
    parts = (_WHO, _DID, _WHAT, _WHEN, _AND)
    return " ".join(part[lot % len(part)] for part, lot in zip(parts, lots, strict=False)) + "."
