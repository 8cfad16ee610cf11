"""The folder of an audit log: made for its owner only, and brought to the disk when a file is new in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rose_guard.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path


def make_folder(folder: Path, *, sync: bool) -> None:
    """Make a folder that only its owner may use, where there is none.

    Args:
        folder: with an absolute path; folders that it is in are made too, as the process makes any.
        sync: wait until it is on the disk.

    Raises:
        AuditError: if it cannot be made.
    """
    try:
        made = [one for one in (folder, *folder.parents) if not one.exists()] if sync else []
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AuditError(
            f"the audit folder {folder} cannot be made ({error.strerror}); give a folder that may be written to"
        ) from error
    for one in made:
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names of a folder's files are on the disk.

    Raises:
        AuditError: if that fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AuditError(
            f"the audit folder {folder} could not be brought to the disk ({error.strerror}); check the disk"
        ) from error
