"""Options: what an audit log may be told, and which values of it make sense."""

from __future__ import annotations

import threading
from typing import Literal, get_args

from rose_guard.errors import AuditError

Fsync = Literal["always", "interval", "never"]
Prompts = Literal["digest", "clear"]


def check_options(fsync: str, interval_s: float, max_bytes: int, prompts: str) -> None:
    """Refuse what makes no sense.

    Raises:
        AuditError: naming the option, and what it may be.
    """
    if fsync not in get_args(Fsync):
        raise AuditError(f"fsync = {fsync!r}: must be one of {', '.join(get_args(Fsync))}")
    if not 0 < interval_s <= threading.TIMEOUT_MAX:
        raise AuditError(f"interval_s = {interval_s!r}: must be a number of seconds above 0")
    if type(max_bytes) is not int or max_bytes < 1:
        raise AuditError(f"max_bytes = {max_bytes!r}: must be a whole number of at least 1")
    if prompts not in get_args(Prompts):
        raise AuditError(f"prompts = {prompts!r}: must be one of {', '.join(get_args(Prompts))}")
