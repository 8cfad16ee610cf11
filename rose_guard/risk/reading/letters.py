"""Letters: reads digits and signs that stand for letters, and words whose letters are set apart."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.risk.reading.view import Edit, View

_STANDS_FOR = {
    "0": "o",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "€": "e",
    "!": "i",
    "1": "i",
}
_SIGN = re.compile(r"[013457@$€!]")
_RUN = re.compile(r"[A-Za-z0-9@$€!]+")
_INNER = re.compile(r"[A-Za-z][0-9@$€!]+[A-Za-z]")
_LONG_NUMBER = re.compile(r"[0-9]{4}")
_UNITS = re.compile(r"(?:[0-9]+(?:st|nd|rd|th|[kmc]?[mgls]|[kmgt]i?b|hz|h|d|x|am|pm|min|[ft]))+", re.IGNORECASE)
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_LONG_HEX = 7
_CONVERSIONS = ("!r", "!s", "!a")
_VOWELS = frozenset("aeiouy")
_FOLLOW_AN_I = frozenset("nscr")
_MANY_CONSONANTS = re.compile(r"[^aeiouy]{6}", re.IGNORECASE)
_RARE = "89"
_NAMES = """
    a11y c3po d3js g11n h1n1 h3n2 h5n1 h7n9 i18n i14y k8s l10n log4j log4shell m4a m4v md5sum mp3s mp4s n8n o11y p13n
    r2d2 s3cmd sha1sum v1alpha v1beta v4l w3c w3schools
"""
"""Names and terms with digits among their letters, in lower case."""

_NAMED = frozenset(_NAMES.split())
_LETTER = r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u052f0-9]"
_SINGLE = rf"{_LETTER}(?![^\W_])"
_APART = re.compile(
    rf"(?<![^\W_]){_SINGLE}"
    rf"(?:(?P<space>[ \t\n])(?=\S){_SINGLE}(?:(?:(?P=space)|\s{{2,}}+){_SINGLE})*+"
    rf"|(?P<sign>[^\w\s]{{1,3}}+|_{{1,3}}+|[ ][.~·•_-][ ]){_SINGLE}(?:(?:(?P=sign)|\s++){_SINGLE})*+)"
)
_FEWEST_APART = 4
_FEWEST_JOINS = 3


def undo_letters(view: View, *, one_is_i: bool = False) -> View:
    """The text with spaced-out letters joined, or where there are none, with leetspeak read as words.

    Joined letters may be encoded, so digits among them are not read as letters before that was tried.

    Args:
        view: what is read.
        one_is_i: whether a 1 is read as an i everywhere, not as an i or an l by its neighbours.
    """
    joined = view.edited("letters", _apart(view.text))
    return joined if joined is not view else view.edited("letters", _leetspeak(view.text, one_is_i=one_is_i))


def _apart(text: str) -> list[Edit]:
    """Edits that join runs of single letters, all set apart by the same sign; wider gaps part words."""
    edits = []
    for run in _APART.finditer(text):
        joined = _joined(run)
        if _is_spelt(run.group(), joins=sum(not between for _, _, between in joined)):
            edits += joined
    return edits


def _joined(run: re.Match[str]) -> list[Edit]:
    text, sign = run.group(), run["space"] or run["sign"]
    places = [i for i, character in enumerate(text) if character.isalnum()]
    gaps = [(left + 1, right) for left, right in pairwise(places)]
    return [(run.start() + a, run.start() + b, "" if text[a:b] == sign else " ") for a, b in gaps]


def _is_spelt(run: str, joins: int) -> bool:
    """Whether enough letters are set apart, most of them no digits, and not by twos, as in "I/O"."""
    characters = [character for character in run if character.isalnum()]
    letters = sum(character.isalpha() for character in characters)
    return len(characters) >= _FEWEST_APART and joins >= _FEWEST_JOINS and 3 * letters >= 2 * len(characters)


def _leetspeak(text: str, *, one_is_i: bool) -> list[Edit]:
    """Edits for words in leetspeak: two signs among letters, or one with nothing but letters on both sides.

    Where a text holds two such words, the others are read more freely, so that "t0" is "to". Numbers, addresses, hex,
    units and well-known names stay.
    """
    if not _SIGN.search(text):
        return []
    runs = [(start, run) for start, run in _runs(text) if _may_be_leet(run)]
    sure = {run for _, run in runs if _is_leet(run)}
    read = {run: _read(run, one_is_i=one_is_i) for _, run in runs if len(sure) > 1 or run in sure}
    return [
        (start + i, start + i + 1, letter)
        for start, run in runs
        if run in read
        for i, letter in enumerate(read[run])
        if letter != run[i]
    ]


def _runs(text: str) -> Iterator[tuple[int, str]]:
    """Runs of letters and signs, outside addresses, without the exclamation marks that end a sentence."""
    for token in re.finditer(r"\S+", text):
        if _SIGN.search(token.group()) and not _is_address(token.group()):
            for run in _RUN.finditer(text, *token.span()):
                if not _is_converted(text, run):
                    yield run.start(), run.group().rstrip("!")


def _is_converted(text: str, run: re.Match[str]) -> bool:
    """Whether the run is a field of a Python f-string with its conversion, such as "name!r}"."""
    return run.group().endswith(_CONVERSIONS) and text[run.end() : run.end() + 1] in ("}", ":")


def _is_address(token: str) -> bool:
    _, at, host = token.partition("@")
    return "://" in token or token.lower().startswith("www.") or bool(at and "." in host.strip(".,;:!?"))


def _may_be_leet(run: str) -> bool:
    letters = sum(character.isalpha() for character in run)
    return (
        0 < letters < len(run)
        and all(character.isalpha() or character in _STANDS_FOR for character in run)
        and len(run) - letters <= letters + 1
        and run.lower() not in _NAMED
        and not _LONG_NUMBER.search(run)
        and not _UNITS.fullmatch(run)
        and not _is_hex(run)
    )


def _is_hex(run: str) -> bool:
    """Whether digits and the letters a to f are no leetspeak, as "d3ad" is."""
    is_unlike_a_word = len(run) >= _LONG_HEX or run[0].isdigit() or not set(_RARE).isdisjoint(run)
    return is_unlike_a_word and _HEX_DIGITS.issuperset(run.removeprefix("0x"))


def _is_leet(run: str) -> bool:
    letters = [character for character in run if character.isalpha()]
    signs = [character for character in run if not character.isalpha()]
    read = _read(run)
    return (
        _INNER.search(run) is not None
        and len(letters) > 1 + run.isupper()
        and _has_one_case("".join(letters))
        and any(sign not in _RARE for sign in signs)
        and not _VOWELS.isdisjoint(read.lower())
        and not _MANY_CONSONANTS.search(read)
    )


def _has_one_case(letters: str) -> bool:
    return letters.islower() or letters.isupper() or letters[1:].islower()


def _read(run: str, *, one_is_i: bool = False) -> str:
    """The letters that a run's signs stand for, in the case of the letters around them."""
    read = [_STANDS_FOR.get(character, character) for character in run]
    for i, character in enumerate(run):
        if character == "1" and not one_is_i:
            read[i] = _i_or_l(run, i)
    return "".join(read).upper() if run.isupper() else "".join(read)


def _i_or_l(run: str, i: int) -> str:
    """What a 1 stands for, by its neighbours: "k1ll", "po1son", "d1e" have an i, "he1p", "p1ease", "ki11" an l."""
    if "1" in (run[i - 1 : i], run[i + 1 : i + 2]):
        return "l"
    before = _STANDS_FOR.get(run[i - 1], run[i - 1]).lower() if i else ""
    after = _STANDS_FOR.get(run[i + 1], run[i + 1]).lower() if i + 1 < len(run) else ""
    if not after:
        return "l"
    if after in _VOWELS:
        return "l" if not before or before in _VOWELS or before in "bcfgps" else "i"
    return "l" if before in _VOWELS and after not in _FOLLOW_AN_I else "i"
