"""RawLine: what stands between two line feeds of a file that nobody has checked. Bounded, whatever the file holds."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.audit.chain import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it stands in the file.

    Args:
        number: from 1.
        text: without its line feed; None where it is longer than a line of an audit log can be.
        whole: whether a line feed ends it.
    """

    number: int
    text: bytes | None = field(repr=False)
    whole: bool


def raw_lines(path: Path) -> Iterator[RawLine]:
    """The lines of a file, one at a time.

    Raises:
        OSError: if it cannot be read, or is no regular file: a link, or a pipe that would be waited for.
    """
    with _opened(path) as file:
        number = 0
        while text := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(text) > MAX_LINE_BYTES:
                yield RawLine(number, None, whole=_skip_line(file, text))
            else:
                yield RawLine(number, text.removesuffix(b"\n"), whole=text.endswith(b"\n"))


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(descriptor, "rb")


def _skip_line(file: BinaryIO, text: bytes) -> bool:
    """Read on to the end of a line that is too long; whether a line feed ends it."""
    while text and not text.endswith(b"\n"):
        text = file.readline(_PIECE_BYTES)
    return text.endswith(b"\n")
