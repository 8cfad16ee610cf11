"""AuditFile: one file of a chain. A line is in it whole and durable, or not at all; knows nothing of what lines say."""

from __future__ import annotations

import errno
import os
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path

    from rose_guard.audit.head import Head

_BEGIN_ANEW = "make a new AuditLog, which begins a chain of its own"


@dataclass(frozen=True, slots=True)
class End:
    """How far a file goes.

    Args:
        head: the chain's head with the file's last line.
        size: of the file, in bytes.
        lines: how many it has.
    """

    head: Head
    size: int = 0
    lines: int = 0


class AuditFile:
    """A new file, open for appending, which only its owner may read.

    Once it is not as this process left it, or a sync failed, nothing is written any more: nobody knows then what is
    on the disk. Not thread-safe.

    Args:
        path: of the file; there must be none yet.
        head: the chain's head before the file's first line.

    Raises:
        AuditError: if it cannot be made.
    """

    def __init__(self, path: Path, head: Head) -> None:
        self.path = path
        self.end = End(head)
        self._failure: str | None = None
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AuditError(
                f"the audit file {path} cannot be made ({error.strerror}); check that its folder is there, may be "
                f"written to and has space"
            ) from error
        self._identity = _identity(os.fstat(self._fd))
        self._close = weakref.finalize(self, _close, self._fd, self._identity)

    def append(self, line: bytes, head: Head, *, sync: bool) -> None:
        """Write a line at the end; when this raises, the file is as it was, or nothing can be appended any more.

        Args:
            line: with its line feed.
            head: the chain's head with it.
            sync: wait until it is on the disk.

        Raises:
            AuditError: if it is not written, or not on the disk.
        """
        self.check()
        end = End(head, self.end.size + len(line), self.end.lines + 1)
        try:
            self._write(line)
            if sync:
                self.sync()
            self._check(end.size)
            self.end = end
        except BaseException:
            if self.end is not end and self._failure is None:
                self._take_back()
            raise

    def check(self) -> None:
        """Refuse to go on unless the path still leads to this file, and the file ends where this process left it.

        Raises:
            AuditError: now, and at every append from now on.
        """
        self._check(self.end.size)

    def sync(self) -> None:
        """Wait until all lines are on the disk.

        Raises:
            AuditError: if that fails. The system may have dropped what it could not write, and another try would not
                tell; so nothing is appended any more.
        """
        self._refuse_if_failed()
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(f"could not be brought to the disk ({error.strerror})") from error

    def close(self) -> None:
        """Close it; nothing can be appended any more."""
        self._failure = self._failure or f"the audit file {self.path} is closed; {_BEGIN_ANEW}"
        self._close()

    def discard(self) -> None:
        """Remove it again, with all its lines."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:
                count = os.write(self._fd, left)
                if count == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - told as any other
                left = left[count:]
        except OSError as error:
            raise AuditError(
                f"nothing more could be written to the audit file {self.path} ({error.strerror}); free space there or "
                f"check the disk, and try again"
            ) from error

    def _check(self, size: int) -> None:
        self._refuse_if_failed()
        try:
            opened = os.fstat(self._fd)
            there = self.path.lstat()
        except OSError as error:
            raise self._failed(f"was removed, moved or closed by something else ({error.strerror})") from error
        if _identity(opened) != self._identity:
            raise self._failed("was closed by something else in this process")
        if _identity(there) != self._identity:
            raise self._failed("was replaced by another")
        if opened.st_size != size:
            raise self._failed("was cut or written to by something else")

    def _take_back(self) -> None:
        """Cut off what was written of a line."""
        try:
            os.ftruncate(self._fd, self.end.size)
        except OSError as error:
            self._failed(f"has part of a line at its end, which could not be cut off ({error.strerror})")

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise AuditError(self._failure)

    def _failed(self, what: str) -> AuditError:
        """The error to raise now, and at every append from now on."""
        self._failure = self._failure or (
            f"the audit file {self.path} {what}. Nothing more is written to it: see to it that the disk is sound and "
            f"that nothing but AuditLog touches the folder, then {_BEGIN_ANEW}"
        )
        return AuditError(self._failure)


def _close(descriptor: int, identity: tuple[int, int]) -> None:
    """Close a file, unless something else closed it and the number is another file's by now."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return
    if _identity(status) == identity:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
