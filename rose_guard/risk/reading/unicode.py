"""Unicode: undoes tricks with characters, such as invisible ones, styled letters and piles of accents."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from rose_guard.risk.reading.lookalikes import lookalikes
from rose_guard.risk.reading.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.risk.reading.view import Edit, View

_CONTROLS = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
# Default_Ignorable_Code_Point of https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, and
# U+FFF9 to U+FFFB, which mark annotations and show nothing either.
_IGNORABLE = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_CONTROLS}{_IGNORABLE}]+")
_CONTROL = re.compile(f"[{_CONTROLS}]")
_OVERRIDDEN = re.compile("\u202e([^\u202c\u2029\n]+)")
"""What a right-to-left override shows turned round, up to the mark that ends it or the end of the line."""

_JOINERS = "\u200c\u200d"
_EMOJI_PARTS = {"\ufe0e", "\ufe0f", "\u200d", "\ufe0f\u200d"}
_BLACK_FLAG = "\U0001f3f4"
_TAGS = 0xE0000
_FLAG_TAGS = {"".join(chr(_TAGS + ord(c)) for c in code) + "\U000e007f" for code in ("gbeng", "gbsct", "gbwls")}
_SELECTORS = {chr(0xFE00 + i): i for i in range(16)} | {chr(0xE0100 + i): 16 + i for i in range(240)}

_GENERAL_MARKS = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_LINES = re.compile("[\u0305\u0332-\u0338\u033f\u035f\u0360\u20d2\u20d3\u20d8-\u20da\u20dd-\u20df\u20e5\u20e6\u20eb]")
_MOST_ACCENTS = 2
_MOST_MARKS = 8
_LONGEST_FORM = 4
_CACHED = 8

_NOT_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_ORDINARY = "\xa0\u202f\u3000，！？：；（）…‥™ª²³¹º¼½¾"
"""Characters of everyday typography, which stay unless they stand between Latin letters or digits."""

_LETTERS_OF_THEIR_OWN = frozenset("\u0587\u0e33\u0eb3") | frozenset(map(chr, range(0x3131, 0x318F)))
"""Letters that Armenian, Thai, Lao and Korean write, which NFKC would take apart."""

_ORDINARY_RUN = re.compile(f"[ {_ORDINARY}]+")
_ALPHABETS = {0x249C: "a", 0x1F110: "A", 0x1F130: "A", 0x1F150: "A", 0x1F170: "A", 0x1F1E6: "A"}
_STYLED = {first + i: chr(ord(letter) + i) for first, letter in _ALPHABETS.items() for i in range(26)} | dict(
    zip(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢɑɡ"), "abcdefghijklmnopqrstuvwyzag", strict=True)
)
"""Letters in boxes and circles, as flags, and small capitals, for which NFKC has no plain letter or one in brackets."""

_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]+")
_PAIR = 2


def undo_unicode(view: View, *, as_shown: bool = False) -> View:
    """The text in plain characters.

    Invisible characters go, and those that carry text (tags and variation selectors) become that text. Letters in
    other styles become plain by NFKC (https://unicode.org/reports/tr15/), letters under piles of marks lose the marks,
    and look-alikes of Latin letters become Latin. What languages and emoji need stays.

    Args:
        view: what is read.
        as_shown: whether letters under a right-to-left override are read as they are shown, not as they are stored.
    """
    if view.text.isascii() and not _CONTROL.search(view.text):
        return view
    if as_shown:
        view = view.edited("unicode", _overridden(view.text))
    for edits in (_invisible, _unstyled, lookalikes):
        view = view.edited("unicode", edits(view.text))
    return view


def _overridden(text: str) -> list[Edit]:
    return [(*run.span(1), run.group(1)[::-1]) for run in _OVERRIDDEN.finditer(text)]


def _invisible(text: str) -> list[Edit]:
    return [
        (run.start(), run.end(), _carried(run.group()))
        for run in _INVISIBLE.finditer(text)
        if not _is_needed(text, run.start(), run.end())
    ]


def _carried(run: str) -> str:
    """The text that invisible characters carry, mostly none."""
    tags = "".join(chr(ord(c) - _TAGS) for c in run if "\U000e0020" <= c <= "\U000e007e")
    data = bytes(_SELECTORS[c] for c in run if c in _SELECTORS).decode(errors="replace")
    return tags + (data if printable(data) and "\ufffd" not in data else "")


def _is_needed(text: str, start: int, end: int) -> bool:
    """Whether invisible characters make an emoji, or join and part letters as Persian and the Indic scripts do."""
    run, before = text[start:end], text[start - 1 : start]
    if run in _EMOJI_PARTS and before and (unicodedata.category(before) in {"So", "Sk", "Sm", "Po"}):
        return not before.isascii() or before in "#*"
    if run == "\ufe0f" and text[end : end + 1] == "\u20e3":
        return before.isdigit()
    if before == _BLACK_FLAG:
        return run in _FLAG_TAGS
    return run in _JOINERS and all(map(_joins, text[max(0, start - 2) : start])) and start > 1


def _joins(character: str) -> bool:
    return "\u0590" <= character < "\u1e00" and unicodedata.category(character)[0] in "LM"


def _unstyled(text: str) -> list[Edit]:
    kept = _kept(text)
    edits = []
    for start, end in _clusters(text):
        cluster = text[start:end]
        plain = _plain(cluster) if len(cluster) <= _CACHED else _plain.__wrapped__(cluster)
        if plain != cluster and start not in kept:
            edits.append((start, end, plain))
    return edits


def _kept(text: str) -> set[int]:
    """Where typography stands as it should, and regional indicators in pairs, which are flags."""
    runs = [run.span() for run in _ORDINARY_RUN.finditer(text) if not _in_latin(text, *run.span())]
    runs += [run.span() for run in _FLAG.finditer(text) if len(run.group()) == _PAIR]
    return {i for run in runs for i in range(*run) if text[i] != " "}


def _in_latin(text: str, start: int, end: int) -> bool:
    """Whether Latin letters or digits stand right on both sides, or styled ASCII on one."""
    around = [c for c in (text[start - 1 : start], text[end : end + 1]) if c]
    if any(not c.isascii() and _ascii(c) for c in around):
        return True
    return len(around) > 1 and all(map(str.isalnum, map(_ascii, around))) and " " not in text[start:end]


@lru_cache(maxsize=4096)
def _ascii(character: str) -> str:
    """The character in plain ASCII; empty where that has none for it."""
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain.isascii() else ""


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Spans of characters with all that attaches to them; plain ASCII is passed over."""
    for run in _NOT_ASCII.finditer(text):
        start = run.start()
        for i in range(start + 1, run.end()):
            if not _attaches(text[i]):
                yield start, i
                start = i
        yield start, run.end()


@lru_cache(maxsize=4096)
def _attaches(character: str) -> bool:
    """Whether NFKC may join the character to the one before it: a mark, or a vowel or final of a Hangul syllable."""
    if character in _LETTERS_OF_THEIR_OWN:
        return False
    first = unicodedata.normalize("NFKC", character)[0]
    return unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff"


@lru_cache(maxsize=4096)
def _plain(cluster: str) -> str:
    base, marks = cluster[0], cluster[1:]
    if base in _LETTERS_OF_THEIR_OWN:
        return cluster
    if len(marks) > _MOST_MARKS:
        marks = ""
    if len(_GENERAL_MARKS.findall(unicodedata.normalize("NFD", base) + marks)) > _MOST_ACCENTS:
        marks = _GENERAL_MARKS.sub("", marks)
    elif base.isalnum():
        marks = _LINES.sub("", marks)
    styled = (base + marks).translate(_STYLED)
    plain = unicodedata.normalize("NFKC", styled)
    is_spacing_accent = plain[0] == " " and not base.isspace()
    return styled if is_spacing_accent or len(plain) > len(styled) + _LONGEST_FORM - 1 else plain
