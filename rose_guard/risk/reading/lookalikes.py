"""Look-alikes: letters of other scripts that stand for Latin ones. Russian and Greek stay Russian and Greek."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rose_guard.risk.reading.view import Edit


def _table(letters: str, latin: str) -> dict[str, str]:
    return dict(zip(letters, latin, strict=True))


_CYRILLIC = _table("аеорсухіјѕһԁԛԝѵӏАВЕКМНОРСТУХЅІЈԌҮӀԚԜ", "aeopcyxijshdqwvlABEKMHOPCTYXSIJGYIQW")
_GREEK = _table("ονακιρυχγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ovakipuxyABEZHIKMNOPTYX")
_ARMENIAN = _table("օոսհց", "onuhg")
_CHEROKEE = _table("ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᎩᏃ", "ABCDEGHiJKLMPRSTVWYZ")
_LISU = _table("ꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "BCDEFGHIJKLMNOPRSTUVWXYZ")
_SAME = _CYRILLIC | _GREEK | _ARMENIAN | _CHEROKEE | _LISU
"""Letters that look the same as a Latin one."""

_ALIKE = _SAME | _table("кмтнвгпиьёїԍεητω", "kmthbrnubeigentw")
"""These also, where Latin letters stand in the same word."""

_FOUND = re.compile(f"[{''.join(_ALIKE)}]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


def lookalikes(text: str) -> list[Edit]:
    """Edits that put Latin letters for their look-alikes.

    They are put in words that hold Latin letters too, and in words that hold nothing but look-alikes where most words
    of the text are Latin.
    """
    if not _FOUND.search(text):
        return []
    words = list(_WORD.finditer(text))
    latin = sum(bool(_LATIN.search(word.group())) for word in words)
    foreign = sum(not _LATIN.search(word.group()) and not _all_same(word.group()) for word in words)
    return [
        (word.start() + i, word.start() + i + 1, _ALIKE[character])
        for word in words
        if _stands_for_latin(word.group(), mostly_latin=latin > foreign)
        for i, character in enumerate(word.group())
        if character in _ALIKE
    ]


def _stands_for_latin(word: str, *, mostly_latin: bool) -> bool:
    latin = len(_LATIN.findall(word))
    if not latin:
        return mostly_latin and _all_same(word)
    alike = sum(character in _ALIKE for character in word)
    return alike > 0 and (latin + alike == len(word) or 2 * latin > len(word))


def _all_same(word: str) -> bool:
    return all(character in _SAME for character in word)
