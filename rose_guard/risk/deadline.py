"""Deadline: how long scoring may take. Classifiers ask between windows and stages whether time is up."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from rose_guard.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ends: ContextVar[float | None] = ContextVar("rose_guard_deadline", default=None)


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Everything scored inside must be done in time; within another deadline the earlier one holds.

    Args:
        seconds: from now; None sets no limit of its own.

    Raises:
        ClassifierError: at the end too, where what ran inside never asked.
    """
    outer = _ends.get()
    end = None if seconds is None else time.monotonic() + seconds
    token = _ends.set(min((t for t in (outer, end) if t is not None), default=None))
    try:
        yield
        check_deadline()
    finally:
        _ends.reset(token)


def check_deadline() -> None:
    """Give up when time is up.

    Raises:
        ClassifierError: if the deadline has passed; a late answer counts as none.
    """
    end = _ends.get()
    if end is not None and time.monotonic() > end:
        raise ClassifierError(
            "scoring took longer than the policy's classifier.timeout_s allows for a text of this length; "
            "raise it, or use a faster classifier"
        )


def remaining() -> float | None:
    """Seconds that are left, at least 0; None without a deadline."""
    end = _ends.get()
    return None if end is None else max(0.0, end - time.monotonic())
