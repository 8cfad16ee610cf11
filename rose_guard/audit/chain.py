"""Chain: what a line's bytes are, which line may follow which, and how bytes become a line again. Pure functions.

A line is the canonical JSON of its fields, without the closing brace, then ``,"mac":"<64 hex digits>"}`` and a line
feed. The MAC is over the canonical JSON with its closing brace. So a line is checked before anything parses it.
"""

from __future__ import annotations

import hmac
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rose_guard.audit.head import Head
from rose_guard.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.audit.key import AuditKey

VERSION = 1
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Of a line with its end; none longer is written or read."""

START, ROTATED = "start", "rotated"
"""Kinds of the first line of a chain, and of the first line of each further file of it."""

_BEFORE_MAC, _AFTER_MAC = b',"mac":"', b'"}'
_MAC_BYTES = 64
_SEAL_BYTES = len(_BEFORE_MAC) + _MAC_BYTES + len(_AFTER_MAC)


class NotALineError(ValueError):
    """Bytes that are no line written with this key."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was written with the key at hand.

    Args:
        chain: id of its chain.
        sequence: its number in the chain, from 0.
        time: when it was written, UTC, ISO 8601.
        kind: what happened.
        payload: the particulars.
        previous: MAC of the line before it.
        mac: its own.
    """

    chain: str
    sequence: int
    time: str
    kind: str
    payload: Mapping[str, Any]
    previous: str
    mac: str


def canonical(value: Any) -> bytes:
    """JSON in ASCII with sorted keys and no spaces; the same value always gives the same bytes.

    Raises:
        AuditError: if it cannot be written so; what it is stays unsaid.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise AuditError(
            "an audit record holds something that JSON cannot write (an object, or a number that is not finite); give "
            "texts, finite numbers, lists and mappings only"
        ) from None


def next_line(head: Head, kind: str, payload: Mapping[str, Any], time: str, key: AuditKey) -> tuple[bytes, Head]:
    """The bytes of the line that follows a head, and the head that it makes.

    Raises:
        AuditError: if the payload cannot be written, or not in a line.
    """
    fields = {
        "version": VERSION,
        "chain": head.chain,
        "sequence": head.sequence + 1,
        "time": time,
        "kind": kind,
        "payload": payload,
        "previous": head.mac,
    }
    body = canonical(fields)
    if len(body) + _SEAL_BYTES > MAX_LINE_BYTES:
        raise AuditError(
            f"an audit record of {len(body)} bytes is longer than a line may be ({MAX_LINE_BYTES}); with "
            f"prompts='digest' its length does not depend on the prompt's"
        )
    mac = key.mac(body)
    line = body[:-1] + _BEFORE_MAC + mac.encode("ascii") + _AFTER_MAC + b"\n"
    return line, Head(head.chain, head.sequence + 1, mac)


def read_line(text: bytes, key: AuditKey) -> Line:
    """The line that bytes are, without their end.

    Raises:
        NotALineError: if they were not written with this key, just so.
    """
    seal = text[-_SEAL_BYTES:]
    mac = seal[len(_BEFORE_MAC) : -len(_AFTER_MAC)]
    if seal != _BEFORE_MAC + mac + _AFTER_MAC or len(mac) != _MAC_BYTES:
        raise NotALineError("it has no MAC")
    body = text[:-_SEAL_BYTES] + b"}"
    if not hmac.compare_digest(key.mac(body).encode("ascii"), mac):
        raise NotALineError("its MAC is not right")
    return _line(_parsed(body), mac.decode("ascii"))


def _parsed(body: bytes) -> dict[str, Any]:
    """JSON in which no key comes twice and every number is finite."""
    try:
        fields = json.loads(
            body.decode("ascii"), object_pairs_hook=_distinct, parse_constant=_finite, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise NotALineError("it is not the JSON that an audit log writes") from error
    if not isinstance(fields, dict):
        raise NotALineError("it is no mapping")
    return fields


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key comes twice")
    return fields


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _line(fields: dict[str, Any], mac: str) -> Line:
    if fields.pop("version", None) != VERSION:
        raise NotALineError("it has another version of the format; verify it with the rose_guard that wrote it")
    try:
        line = Line(**fields, mac=mac)
    except TypeError:
        raise NotALineError("its fields are not those of a line") from None
    texts = (line.chain, line.time, line.kind, line.previous)
    if not (
        all(isinstance(text, str) for text in texts) and type(line.sequence) is int and isinstance(line.payload, dict)
    ):
        raise NotALineError("its fields are not those of a line")
    return line
