"""Look-alikes: letters of other scripts that stand for Latin ones. Russian and Greek stay Russian and Greek."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rose_guard.risk.reading.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rose_guard.risk.reading.view import Edit


def _table(letters: str, latin: str) -> dict[str, str]:
    return dict(zip(letters, latin, strict=True))


_CYRILLIC = _table("аеорсухіјѕһԁԛԝѵӏѡҽАВЕКМНОРСТУХЅІЈԌҮӀԚԜѴ", "aeopcyxijshdqwvlweABEKMHOPCTYXSIJGYIQWV")
_GREEK = _table("ονακιρυχγϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧϜ", "ovakipuxyjABEZHIKMNOPTYXF")
_COPTIC = _table("ⲅⲟⲣⲥⲎⲒⲔⲘⲚⲞⲢⲤⲦⲨⲬⳐ", "ropcHIKMNOPCTYXL")
_ARMENIAN = _table("օոսհցագզռքՍՏՕ", "onuhgwqqnfUSO")
_GEORGIAN = _table("ყჿ", "yo")
_CHEROKEE = _table("ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᎩᏃ", "ABCDEGHiJKLMPRSTVWYZ")
_CANADIAN = _table("ᗅᗷᗞᗪᖴᕼᒍᒪᗰᑭᖇᑌᐯ", "ABDDFHJLMPRUV")
_LISU = _table("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "ABCDEFGHIJKLMNOPRSTUVWXYZ")
_TIFINAGH = _table("ⴹⵔⵕⴸⵝ", "EOQVX")
_SAME = _CYRILLIC | _GREEK | _COPTIC | _ARMENIAN | _GEORGIAN | _CHEROKEE | _CANADIAN | _LISU | _TIFINAGH
"""Letters that look the same as a Latin one, most by https://www.unicode.org/Public/security/latest/confusables.txt."""

_ALIKE = _SAME | _table("кмтнвгпиьёїԍεητω", "kmthbrnubeigentw")
"""These also, where Latin letters stand in the same word."""

_DOTLESS = {"ı": "i", "ȷ": "j"}
"""And these in English, which has none of them. Turkish and its relatives write the first."""

_DOTTED = str.maketrans(_DOTLESS)
_FOUND = re.compile(f"[{''.join(_ALIKE | _DOTLESS)}]")
_WRITTEN_DOTLESS = re.compile(f"[{''.join(_DOTLESS)}]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_TURKIC_LETTERS = re.compile("[ğşəĞŞƏİ]")
_ENGLISH_ONLY = ENGLISH - {"an", "and", "as", "at", "can", "he", "her", "his", "in", "is", "it", "me", "on", "us"}
"""Common words that are not Turkish too."""


def lookalikes(text: str) -> list[Edit]:
    """Edits that put Latin letters for their look-alikes.

    They are put in words that hold Latin letters too, and in words that hold nothing but look-alikes where most words
    of the text are Latin.
    """
    if not _FOUND.search(text):
        return []
    words = list(_WORD.finditer(text))
    table = _ALIKE | _DOTLESS if _is_english_with_dotless(text, words) else _ALIKE
    latin = sum(bool(_LATIN.search(word.group())) for word in words)
    foreign = sum(not _LATIN.search(word.group()) and not _all_same(word.group()) for word in words)
    return [
        (word.start() + i, word.start() + i + 1, table[character])
        for word in words
        if _stands_for_latin(word.group(), table, mostly_latin=latin > foreign)
        for i, character in enumerate(word.group())
        if character in table
    ]


def _is_english_with_dotless(text: str, words: Sequence[re.Match[str]]) -> bool:
    """Whether a text is English and dotless letters in it stand for dotted ones, not only in names such as Aydın."""
    if not _WRITTEN_DOTLESS.search(text) or _TURKIC_LETTERS.search(text):
        return False
    dotless = [word.group() for word in words if _WRITTEN_DOTLESS.search(word.group())]
    return any(map(_is_english, (word.group() for word in words))) and any(
        word[0].islower() or _is_english(word) for word in dotless
    )


def _is_english(word: str) -> bool:
    return word.lower().translate(_DOTTED) in _ENGLISH_ONLY


def _stands_for_latin(word: str, table: Mapping[str, str], *, mostly_latin: bool) -> bool:
    latin = len(_LATIN.findall(word))
    if not latin:
        return mostly_latin and _all_same(word)
    alike = sum(character in table for character in word)
    return alike > 0 and (latin + alike == len(word) or 2 * latin > len(word))


def _all_same(word: str) -> bool:
    return all(character in _SAME for character in word)
