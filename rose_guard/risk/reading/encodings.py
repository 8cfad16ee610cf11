"""Encodings: decodes base64, hex, binary, percent-encoding, HTML entities and escapes, each where it stands."""

from __future__ import annotations

import base64
import binascii
import re
from html.entities import html5
from typing import TYPE_CHECKING

from rose_guard.risk.reading.printable import printable

if TYPE_CHECKING:
    from rose_guard.risk.reading.view import Edit, View

MIN_BASE64 = 16
"""Shortest run that is tried as base64, in characters."""

MIN_BASE64_WORDS = 12
"""Shortest row of words that are tried as base64 one by one, in characters without the spaces."""

MIN_HEX = 8
"""Shortest run that is tried as hex, in pairs of digits."""

_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_BYTE_ESCAPES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_ENTITY = re.compile(r"&(?:#(?P<decimal>[0-9]{1,7});?|#[xX](?P<hex>[0-9a-fA-F]{1,6});?|(?P<name>[A-Za-z0-9]{2,31};))")
_CODE_POINT = re.compile(
    r"\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?:\\u|%u)(?P<short>[0-9a-fA-F]{4})|\\u\{(?P<braced>[0-9a-fA-F]{1,6})\}|\\U(?P<long>[0-9a-fA-F]{8})"
)
_PAIR = r"(?:0[xX])?+[0-9a-fA-F]{2}"
_HEX = re.compile(rf"(?<![0-9a-fA-F]){_PAIR}(?:[\s,:;-]{{0,2}}+{_PAIR}){{{MIN_HEX - 1},}}+")
_HEX_PAIR = re.compile(_PAIR)
_HEX_TEXT = re.compile(r"[0-9a-fA-F]{16,}")
_NOT_ASCII = bytes(range(0x80, 0x100))
_BINARY = re.compile(r"(?<![0-9])[01]{8}(?:\s?+[01]{8}){3,}+(?![0-9])")
_OCTET = re.compile(r"[01]{8}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]++(?:\r?\n[ \t]*+[A-Za-z0-9+/_-]++)*+={0,2}")
_BASE64_WORD = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/]{2,}+={0,2}(?![\w+/=-])")
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/_-]+=*")
_BASE64_PIECE = re.compile(r"[A-Za-z0-9]+=*")
_STANDARD = str.maketrans("-_", "+/", "=\r\n \t")
_MAX_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_FEWEST_CHARACTERS = 4


def undo_encodings(view: View) -> View:
    """The text with what is encoded in it decoded in place, one layer of each encoding; never longer than before."""
    for kind, edits in _ENCODINGS:
        view = view.edited(kind, edits(view.text))
    return view


def _percents(text: str) -> list[Edit]:
    return [edit for run in _PERCENT.finditer(text) for edit in _bytes_in_place(run, digits_after="%")]


def _escapes(text: str) -> list[Edit]:
    edits = [edit for run in _BYTE_ESCAPES.finditer(text) for edit in _bytes_in_place(run, digits_after="\\x")]
    for escape in _CODE_POINT.finditer(text):
        character = _code_point(escape)
        if character:
            edits.append((*escape.span(), character))
    return sorted(edits)


def _bytes_in_place(run: re.Match[str], digits_after: str) -> list[Edit]:
    """Edits for each character that the bytes of a run spell in UTF-8; other bytes stay as they are written."""
    width = len(digits_after) + 2
    data = bytes.fromhex(run.group().replace(digits_after, ""))
    edits, start = [], run.start()
    for character in data.decode(errors="surrogateescape"):
        end = start + width * len(character.encode(errors="surrogateescape"))
        if printable(character):
            edits.append((start, end, character))
        start = end
    return edits


def _code_point(escape: re.Match[str]) -> str | None:
    if escape["high"]:
        return bytes.fromhex(escape["high"] + escape["low"]).decode("utf-16-be")
    return _character(int(escape["short"] or escape["braced"] or escape["long"], 16))


def _character(code: int) -> str | None:
    if code > _MAX_CODE_POINT or code in _SURROGATES:
        return None
    return chr(code) if printable(chr(code)) else None


def _entities(text: str) -> list[Edit]:
    edits = []
    for entity in _ENTITY.finditer(text):
        if entity["name"]:
            characters = html5.get(entity["name"])
        else:
            characters = _character(int(entity["decimal"]) if entity["decimal"] else int(entity["hex"], 16))
        if characters:
            edits.append((*entity.span(), characters))
    return edits


def _hex(text: str) -> list[Edit]:
    return [edit for run in _HEX.finditer(text) for edit in _hex_run(run)]


def _hex_run(run: re.Match[str]) -> list[Edit]:
    """At most one edit, for the bytes that are left when words of the letters a to f around them are taken off."""
    pairs = list(_HEX_PAIR.finditer(run.group()))
    data = bytes(int(pair.group()[-2:], 16) for pair in pairs)
    first, last = len(data) - len(data.lstrip(_NOT_ASCII)), len(data.rstrip(_NOT_ASCII))
    for start, end in ((0, len(data)), (first, last)):
        text = _text(data[start:end])
        if end - start >= MIN_HEX and text and _is_meant(run.group(), text):
            return [(run.start() + pairs[start].start(), run.start() + pairs[end - 1].end(), text)]
    return []


def _is_meant(digits: str, text: str) -> bool:
    """Whether digits were meant as hex: numbers are not, such as those of a card, unless they spell words."""
    letters = sum(character.isalpha() for character in text)
    has_hex_letters = not set("abcdefABCDEF").isdisjoint(digits)
    return has_hex_letters or 2 * letters >= len(text) or _HEX_TEXT.fullmatch(text) is not None


def _binary(text: str) -> list[Edit]:
    edits = []
    for run in _BINARY.finditer(text):
        decoded = _text(bytes(int(octet, 2) for octet in _OCTET.findall(run.group())))
        if decoded:
            edits.append((*run.span(), decoded))
    return edits


def _base64_words(text: str) -> list[Edit]:
    """Edits for words that are encoded one by one: neighbours on a line that all decode, long enough together."""
    edits: list[Edit] = []
    run: list[Edit] = []
    for word in _BASE64_WORD.finditer(text):
        decoded = _word(word.group())
        if run and (decoded is None or text[run[-1][1] : word.start()].strip(" \t")):
            edits += _long_enough(run)
            run = []
        if decoded is not None:
            run.append((*word.span(), decoded))
    return edits + _long_enough(run)


def _long_enough(run: list[Edit]) -> list[Edit]:
    return run if len(run) > 1 and sum(end - start for start, end, _ in run) >= MIN_BASE64_WORDS else []


def _word(digits: str) -> str | None:
    """What base64 digits spell, if that is a word and they are as an encoder writes them."""
    bare = digits.rstrip("=")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4))
        text = data.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    letters = sum(map(str.isalpha, text))
    is_canonical = base64.b64encode(data).decode().rstrip("=") == bare
    return text if is_canonical and 2 * letters > len(text) and printable(text) else None


def _base64(text: str) -> list[Edit]:
    return [
        (block.start() + start, block.start() + end, decoded)
        for block in _BASE64.finditer(text)
        if block.end() - block.start() >= MIN_BASE64
        for start, end, decoded in _base64_block(block.group())
    ]


def _base64_block(block: str) -> list[Edit]:
    """Edits for a block of lines: as a whole, without the words next to it, by the line, or by parts of a line."""
    lines = [line.span() for line in _BASE64_LINE.finditer(block)]
    for inner in (lines, lines[1:], lines[:-1], lines[1:-1]):
        if inner and (found := _base64_run(block, inner[0][0], inner[-1][1])):
            return found
    return [
        edit
        for start, end in lines
        for edit in _base64_run(block, start, end)
        or [edit for piece in _BASE64_PIECE.finditer(block, start, end) for edit in _base64_run(block, *piece.span())]
    ]


def _base64_run(block: str, start: int, end: int) -> list[Edit]:
    digits = block[start:end].translate(_STANDARD)
    if len(digits) + 2 < MIN_BASE64:
        return []
    try:
        decoded = _text(base64.b64decode(digits + "=" * (-len(digits) % 4)))
    except binascii.Error:
        return []
    return [(start, end, decoded)] if decoded else []


def _text(data: bytes) -> str | None:
    """Bytes as text, if they are: UTF-8, printable, with letters (or the digits of yet another layer) in it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    has_words = any(map(str.isalpha, text)) or _HEX_TEXT.fullmatch(text)
    return text if has_words and len(set(text)) >= _FEWEST_CHARACTERS and printable(text) else None


_ENCODINGS = (
    ("percent", _percents),
    ("entities", _entities),
    ("escapes", _escapes),
    ("binary", _binary),
    ("hex", _hex),
    ("base64", _base64_words),
    ("base64", _base64),
)
