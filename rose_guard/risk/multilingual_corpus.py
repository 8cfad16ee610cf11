"""The project's own texts in French, Spanish, German, Chinese and Vietnamese, for the multilingual classifier alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.risk.corpus import Example, shipped_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.risk.corpus import Pair

LANGUAGES = {"fr": "French", "es": "Spanish", "de": "German", "zh": "Chinese", "vi": "Vietnamese"}


def multilingual_pairs() -> Iterator[Pair]:
    """Pairs as :func:`rose_guard.risk.corpus.contrast_pairs`, in each of :data:`LANGUAGES`."""
    for row in shipped_rows("multilingual_pairs.jsonl"):
        source = _source("contrast pairs", row["split"], row["language"])
        yield (
            Example(row["harmful"], True, row["hazard"], None, f"{source}, harmful", row["split"]),
            Example(row["harmless"], False, None, None, f"{source}, harmless", row["split"]),
        )


def multilingual_ordinary() -> Iterator[Example]:
    """Prompts of the kind that people ordinarily send, in each of :data:`LANGUAGES`."""
    for row in shipped_rows("multilingual_ordinary.jsonl"):
        source = _source("ordinary prompts", row["split"], row["language"])
        yield Example(row["text"], False, None, None, source, row["split"])


def _source(kind: str, split: str, language: str) -> str:
    """Texts to learn from are one source, so that five small ones do not outweigh the English; tests are told apart."""
    return f"{kind}, {LANGUAGES[language]}" if split == "test" else f"{kind}, other languages"
