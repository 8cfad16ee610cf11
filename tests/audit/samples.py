"""What the tests of the audit log share: a key, a clock, and small logs."""

import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rose_guard.audit import AuditKey, AuditLog

SECRET = bytes(range(32))
KEY = AuditKey(SECRET)


class Clock:
    """A second later each time."""

    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


def opened(folder, **settings):
    return AuditLog(folder, KEY, **{"fsync": "never", "clock": Clock(), **settings})


def written(folder, events, **settings):
    """A closed log of so many events; the heads after each line, and the head at the end."""
    with opened(folder, **settings) as log:
        heads = [log.head()]
        for number in range(events):
            log.append("end", {"number": number, "text": "é" * (number % 5)})
            heads.append(log.head())
    return heads


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@contextmanager
def folder_of(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        yield Path(folder)
