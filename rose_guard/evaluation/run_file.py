"""RunFile: the records of a run, one JSON line each. A line is whole and durable, or it is dropped when work goes on.

One process writes at a time. Whoever reads leaves out a last line that is not finished.
"""

from __future__ import annotations

import fcntl
import os
from threading import Lock
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OWNER_ONLY = 0o600
_END = b"\n"


class RunFile:
    """A file of records, open for appending; safe to share between threads.

    Args:
        path: of the file; it is made if there is none.

    Raises:
        SettingsError: if another process writes to it, or it cannot be written to.
        InputError: if it holds anything but records, or one twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _OWNER_ONLY)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            self._take()
            self.records = read_records(path)
            self._drop_torn_line()
        except BaseException:
            self.close()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """Write records, and wait until they are on the disk.

        Raises:
            SettingsError: if that fails; what is on the disk is sorted out when the run goes on.
        """
        lines = b"".join(record.model_dump_json(exclude_defaults=True).encode() + _END for record in records)
        with self._lock:
            try:
                _write(self._fd, lines)
                os.fsync(self._fd)
            except OSError as error:
                raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Let others write."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _take(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"another process writes to {self.path}; wait for it to end, or give another folder"
            ) from error

    def _drop_torn_line(self) -> None:
        """Cut off what a process that was killed wrote of its last line."""
        content = self.path.read_bytes()
        whole = content.rfind(_END) + 1
        if whole < len(content):
            os.ftruncate(self._fd, whole)
            os.fsync(self._fd)


def read_records(path: Path) -> list[Record]:
    """All finished records of a file.

    Raises:
        InputError: naming the line that is no record, or that holds one again.
    """
    try:
        *lines, _torn = path.read_bytes().split(_END)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the folder of a run") from error
    records: list[Record] = []
    seen: set[tuple[str, str, str]] = set()
    for number, line in enumerate(lines, start=1):
        record = _record(line, f"{path}:{number}")
        if record.key in seen:
            raise InputError(f"{path}:{number}: holds a record again; something but rose-guard wrote to the file")
        seen.add(record.key)
        records.append(record)
    return records


def _record(line: bytes, place: str) -> Record:
    try:
        return Record.model_validate_json(line)
    except ValidationError:
        raise InputError(f"{place}: is no record; the file was changed, begin the run anew in another folder") from None


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _unwritable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"{path} cannot be written ({error.strerror}); see to the folder and the disk, then go on with the same command"
    )
