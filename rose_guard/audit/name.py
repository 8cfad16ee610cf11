"""FileName: what a file of an audit log is called, and what the name tells."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_PATTERN = re.compile(
    r"audit-(?P<start>[0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-(?P<chain>[0-9a-f]{32})-(?P<pid>[0-9]{1,10})"
    r"-(?P<part>[0-9]{6,12})\.jsonl"
)


@dataclass(frozen=True, slots=True, order=True)
class FileName:
    """The name of one file; files of a chain differ in their part only.

    Args:
        start: when the chain began, UTC, as ``YYYYmmddTHHMMSS.ffffffZ``.
        chain: id of the chain, 32 hex digits.
        pid: the process that writes it.
        part: 0 for the chain's first file; each rotation adds one.
    """

    start: str
    chain: str
    pid: int
    part: int = 0

    @classmethod
    def parse(cls, text: str) -> FileName | None:
        """What a name tells; None for a name that no audit log writes."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            return None
        name = cls(match["start"], match["chain"], int(match["pid"]), int(match["part"]))
        return name if str(name) == text else None

    @property
    def following(self) -> FileName:
        """The name of the chain's next file."""
        return FileName(self.start, self.chain, self.pid, self.part + 1)

    @property
    def preceding(self) -> FileName:
        """The name of the file before it."""
        return FileName(self.start, self.chain, self.pid, self.part - 1)

    @classmethod
    def first(cls, start: str, chain: str) -> FileName:
        """The name of the first file of a chain that this process begins."""
        return cls(start, chain, os.getpid())

    def __str__(self) -> str:
        return f"audit-{self.start}-{self.chain}-{self.pid}-{self.part:06d}.jsonl"
