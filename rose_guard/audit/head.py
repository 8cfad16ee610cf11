"""Head: where a chain has come to. Kept apart from the log, it tells whether lines are missing at the end."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from rose_guard.errors import AuditError

NOTHING_BEFORE = "0" * 64
"""Stands for the MAC before a chain's first line."""

_MAX_CHARACTERS = 1000
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Head:
    """The latest line of a chain.

    Args:
        chain: id of the chain, 32 hex digits.
        sequence: number of the line, from 0; -1 before the first one.
        mac: the line's MAC, 64 hex digits. It vouches for all lines before it too.

    Raises:
        AuditError: if it is none.
    """

    chain: str
    sequence: int
    mac: str

    def __post_init__(self) -> None:
        hexadecimal = _is_hex(self.chain, 32) and _is_hex(self.mac, 64)
        if not (hexadecimal and type(self.sequence) is int and self.sequence >= -1):
            raise AuditError("this is no head of an audit log; give one as log.head().to_json() wrote it")

    @classmethod
    def before(cls, chain: str) -> Head:
        """The head of a chain that has no line yet."""
        return cls(chain, -1, NOTHING_BEFORE)

    @classmethod
    def from_json(cls, text: str) -> Head:
        """Read what :meth:`to_json` wrote.

        Raises:
            AuditError: if it is anything else.
        """
        try:
            fields = json.loads(text[:_MAX_CHARACTERS])
            return cls(**fields)
        except (ValueError, TypeError, RecursionError):
            raise AuditError(
                "this is no head of an audit log; give one line as log.head().to_json() wrote it"
            ) from None

    def to_json(self) -> str:
        """One line of JSON, without its end."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def _is_hex(value: object, digits: int) -> bool:
    return isinstance(value, str) and len(value) == digits and _HEX.fullmatch(value) is not None
