"""Report: what the verification of audit logs found, and what it cannot tell. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rose_guard.audit.head import Head

Kind = Literal[
    "changed", "foreign", "missing", "cut off", "out of order", "misplaced", "wrong key", "unreadable", "torn tail"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as an audit log leaves it.

    Args:
        kind: ``changed``: a line was changed, or put in by somebody without the key.
            ``foreign``: a line belongs to another chain.
            ``missing``: lines or files are not there.
            ``cut off``: a head vouches for later lines than there are.
            ``out of order``: a line or a file comes twice, or too late.
            ``misplaced``: a file has another's name, or two were joined.
            ``wrong key``: no line of a file verifies.
            ``unreadable``: a file cannot be read.
            ``torn tail``: the last line of a chain is not whole, as a crash leaves it.
        message: what was found, in words that hold nothing of a line's payload.
        file: name of the file; None where there is none.
        line: its line, from 1; None where it is about the whole file.
    """

    kind: Kind
    message: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return f"{place}: {self.kind}: {self.message}" if place else f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What is there of a chain.

    Args:
        chain: its id.
        files: how many files it has.
        lines: how many lines of it were written with the key.
        head: that of its latest line; None where no line verifies.
        vouched: the latest line that an exported head vouches for; None without one.
    """

    chain: str
    files: int
    lines: int
    head: Head | None
    vouched: int | None

    @property
    def tail(self) -> str:
        """What can be told of lines cut off at its end."""
        if self.head is None:
            return "no line of it verifies, so nothing can be told of its end"
        unknown = f"whether lines were cut off after line {self.head.sequence} cannot be told"
        if self.vouched is None:
            return f"there is no exported head of it, so {unknown}"
        return f"an exported head vouches for its lines up to {self.vouched}; {unknown}"

    def __str__(self) -> str:
        return f"chain {self.chain}: {self.lines} lines in {self.files} files; {self.tail}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found.

    Args:
        chains: each chain of which there is a file, by when it began.
        findings: in the order in which they were met; the first 1000 of them.
        omitted: how many more there were.
    """

    chains: tuple[ChainReport, ...]
    findings: tuple[Finding, ...]
    omitted: int = 0

    @property
    def intact(self) -> bool:
        """Whether nothing was found; what cannot be told is in each chain's ``tail``."""
        return not self.findings

    @property
    def tampered(self) -> bool:
        """Whether something was found that a crash does not leave behind."""
        return any(finding.kind != "torn tail" for finding in self.findings)

    def __str__(self) -> str:
        more = [f"and {self.omitted} more findings"] if self.omitted else []
        return "\n".join([*map(str, self.findings), *more, *map(str, self.chains)])


@dataclass(slots=True)
class Findings:
    """Collects findings, up to a limit."""

    limit: int = 1000
    kept: list[Finding] = field(default_factory=list)
    omitted: int = 0

    def add(self, kind: Kind, message: str, file: str | None = None, line: int | None = None) -> None:
        """Keep a finding, or count it where there are too many."""
        if len(self.kept) < self.limit:
            self.kept.append(Finding(kind, message, file, line))
        else:
            self.omitted += 1
