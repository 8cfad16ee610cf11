"""Texts by language: which codes are languages, and which text a reader of a language gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FALLBACK_LANGUAGE = "en"
LANGUAGE = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*"
"""The shape of a language tag, as BCP 47 (RFC 5646) has it: a language of two or three letters, and subtags."""
MAX_SUBTAGS = 8
_TAG = re.compile(LANGUAGE)


def is_language(code: object) -> bool:
    """Whether a code has the shape of a language tag, such as ``fr`` or ``zh-Hant-TW``."""
    return isinstance(code, str) and _TAG.fullmatch(code) is not None


def canonical(code: str) -> str:
    """A language tag in lower case, since case means nothing in it."""
    return code.replace("_", "-").lower()


def localised(texts: Mapping[str, str], language: str) -> str:
    """The text for a language, by the lookup of RFC 4647, section 3.4: ``fr-CA``, then ``fr``, then English.

    Args:
        texts: by canonical language tag, ``en`` among them.
        language: the reader's language tag.
    """
    subtags = canonical(language).split("-", MAX_SUBTAGS)[:MAX_SUBTAGS]
    while subtags:
        if (text := texts.get("-".join(subtags))) is not None:
            return text
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:  # a singleton announces what was just dropped
            subtags.pop()
    return texts[FALLBACK_LANGUAGE]
