"""ChainWalk: goes through the files of one chain, line by line, and says what is not in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.audit.chain import ROTATED, START, NotALineError, read_line
from rose_guard.audit.head import NOTHING_BEFORE, Head
from rose_guard.audit.raw_line import raw_lines
from rose_guard.audit.report import ChainReport, Findings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rose_guard.audit.chain import Line
    from rose_guard.audit.key import AuditKey
    from rose_guard.audit.name import FileName
    from rose_guard.audit.raw_line import RawLine
    from rose_guard.audit.report import Kind


class ChainWalk:
    """Reads a chain's files in their order. What it remembers does not grow with them.

    Args:
        chain: id of the chain.
        key: what it was chained with.
        heads: those that were exported of it.
        findings: where to put what is found.
    """

    def __init__(self, chain: str, key: AuditKey, heads: Sequence[Head], findings: Findings) -> None:
        self._chain = chain
        self._key = key
        self._heads: dict[int, set[str]] = {}
        for head in (head for head in heads if head.sequence >= 0):
            self._heads.setdefault(head.sequence, set()).add(head.mac)
        self._findings = findings
        self._files = 0
        self._lines = 0
        self._part = 0
        self._expected = 0
        self._previous: str | None = NOTHING_BEFORE
        """MAC of the line before the expected one; None where that line is missing."""
        self._unverified = 0
        """Lines since the last good one that do not verify; they may stand where lines are missing."""
        self._jumped_from: int | None = None
        self._head: Head | None = None
        self._vouched: int | None = None

    def read(self, path: Path, name: FileName, *, last: bool) -> None:
        """Go through the next file.

        Args:
            path: where it is.
            name: what it is called.
            last: whether it is the chain's last one, the only one that a crash can leave with a torn line.
        """
        if not self._is_next(name):
            return
        self._files += 1
        self._name = name
        self._verified_in_file = 0
        self._held: list[tuple[int, str]] = []
        number = 0
        try:
            for raw in raw_lines(path):
                number = raw.number
                if raw.whole:
                    self._read_line(raw)
                else:
                    self._torn(number, last=last)
        except OSError as error:
            self._found("unreadable", f"it cannot be read ({error.strerror or error})")
            return
        if number == 0:
            self._torn(1, last=last)
        self._end_of_file()

    def report(self) -> ChainReport:
        """What is there of the chain, once all its files were read."""
        latest = -1 if self._head is None else self._head.sequence
        if beyond := [sequence for sequence in self._heads if sequence > latest]:
            self._findings.add(
                "cut off",
                f"an exported head vouches for line {max(beyond)} of chain {self._chain}, and its last one here is "
                f"{latest if latest >= 0 else 'none'}",
            )
        elif self._heads:
            self._findings.add(
                "missing",
                f"an exported head vouches for line {max(self._heads)} of chain {self._chain}, which is not here",
            )
        return ChainReport(self._chain, self._files, self._lines, self._head, self._vouched)

    def _is_next(self, name: FileName) -> bool:
        """Whether to read a file; one whose part was there already is not read."""
        if name.part < self._part:
            self._findings.add("out of order", "there is another file of this part of the chain", str(name))
            return False
        if name.part > self._part:
            missing = f"{name.part - self._part} files of chain {self._chain} before this one are not here"
            self._findings.add("missing", missing, str(name))
        self._part = name.part + 1
        return True

    def _read_line(self, raw: RawLine) -> None:
        if raw.text is None:
            self._not_a_line(raw.number, "it is longer than any line can be")
            return
        try:
            line = read_line(raw.text, self._key)
        except NotALineError as error:
            self._not_a_line(raw.number, str(error))
            return
        self._verified(line, raw.number)

    def _not_a_line(self, number: int, why: str) -> None:
        self._unverified += 1
        if self._verified_in_file:
            self._changed(number, why)
        elif len(self._held) < self._findings.limit:  # with the wrong key, it would be every line
            self._held.append((number, why))
        else:
            self._findings.omitted += 1

    def _verified(self, line: Line, number: int) -> None:
        self._verified_in_file += 1
        for held in self._held:
            self._changed(*held)
        self._held = []
        if line.chain != self._chain:
            self._found("foreign", "this line belongs to another chain", number)
            return
        self._lines += 1
        self._check_vouched(line, number)
        self._check_file(line, number)
        self._follow(line, number)

    def _follow(self, line: Line, number: int) -> None:
        """See whether a line comes where it should."""
        if line.sequence > self._expected:
            self._jump(line, number)
        elif line.sequence < self._expected:
            self._found("out of order", f"line {line.sequence} of the chain stands here again, or too late", number)
            if self._jumped_from is None or line.sequence < self._jumped_from:
                return
            self._jumped_from = None  # what was jumped over is here after all: the jump was what stood wrong
        elif self._previous not in (None, line.previous):
            self._found("changed", "it does not follow the line before it", number)
        self._expected = line.sequence + 1
        self._previous = line.mac
        self._unverified = 0
        if self._head is None or line.sequence >= self._head.sequence:
            self._head = Head(line.chain, line.sequence, line.mac)

    def _jump(self, line: Line, number: int) -> None:
        missing = line.sequence - self._expected - self._unverified
        if missing > 0:
            between = f"between lines {self._expected - 1} and {line.sequence} of the chain"
            self._found("missing", f"{missing} lines {between} are not here", number)
        self._jumped_from = self._expected

    def _check_file(self, line: Line, number: int) -> None:
        """A file's first line, and no other, says which file it is and which one it follows."""
        if number > 1:
            if line.kind in (START, ROTATED):
                self._found("misplaced", "a line stands here that begins a file", number)
            return
        name = self._name
        says = {name: line.payload.get(name) for name in ("file", "previous_file", "previous_mac")}
        expected: dict[str, object] = {"file": str(name), "previous_file": None, "previous_mac": None}
        if name.part > 0:
            expected.update(previous_file=str(name.preceding), previous_mac=line.previous)
        if line.kind != (ROTATED if name.part > 0 else START) or says != expected:
            self._found("misplaced", "its first line is that of another file, or it was renamed", number)

    def _check_vouched(self, line: Line, number: int) -> None:
        for mac in self._heads.pop(line.sequence, ()):
            if mac != line.mac:
                self._found("changed", "an exported head says that another line stood here", number)
            elif self._vouched is None or self._vouched < line.sequence:
                self._vouched = line.sequence

    def _torn(self, number: int, *, last: bool) -> None:
        if last:
            self._found("torn tail", "the last line is not whole: a crash, a full disk or a cut left it so", number)
        else:
            self._found("changed", "the file ends within a line, and another follows it", number)

    def _end_of_file(self) -> None:
        if self._held:
            self._found(
                "wrong key",
                "its first line does not verify with this key, and no other line does: it is the wrong key, or the "
                "whole file was changed",
                1,
            )

    def _changed(self, number: int, why: str) -> None:
        self._found("changed", f"this line was changed, or put in: {why}", number)

    def _found(self, kind: Kind, message: str, number: int | None = None) -> None:
        self._findings.add(kind, message, str(self._name), number)
