"""LivePolicy: the policy of a file that may change while it is in force. Watches the file; judges nothing itself."""

from __future__ import annotations

import logging
import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from rose_guard.errors import PolicyError, SettingsError
from rose_guard.policy.policy import Policy
from rose_guard.policy.yaml_document import MAX_BYTES, decoded, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("rose_guard.policy")

Signature = tuple[int, int, int]
"""Modification time in nanoseconds, size in bytes, inode."""


@dataclass(frozen=True, slots=True)
class _InForce:
    """What readers see: replaced as a whole, never changed."""

    policy: Policy
    problem: PolicyError | None


class LivePolicy:
    """The last good policy of a file; safe to share between threads.

    Whoever asks for ``current`` looks at the file, at most every ``check_every_s``. A file that is broken, half
    written or gone leaves the last good policy in force, and is reported once per change.

    Args:
        path: the policy file.
        check_every_s: how long a look at the file holds, in seconds; 0 looks each time.
        clock: seconds that only rise.
        on_error: called with what is wrong, once per change of the file; what it raises is logged.

    Raises:
        PolicyError: if the file is broken at first.
        SettingsError: if check_every_s is not a number of at least 0.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        check_every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        on_error: Callable[[PolicyError], object] | None = None,
    ) -> None:
        if not (math.isfinite(check_every_s) and check_every_s >= 0.0):
            raise SettingsError(f"check_every_s = {check_every_s}: must be a number of seconds, 0 or more")
        self.path = Path(path)
        self._check_every_s, self._clock, self._on_error = check_every_s, clock, on_error
        self._looking = Lock()
        self._signature, self._content = _look(self.path)
        self._settled = False
        self._in_force = _InForce(self._policy(self._content), None)
        self._due = clock() + check_every_s

    @property
    def current(self) -> Policy:
        """The policy in force now. Keep it for the whole of a decision: the next call may give another one."""
        if self._clock() >= self._due and self._looking.acquire(blocking=False):
            try:
                self._look_again()
            finally:
                self._looking.release()
        return self._in_force.policy

    @property
    def problem(self) -> PolicyError | None:
        """What is wrong with the file, as last looked at; None where it is in force."""
        return self._in_force.problem

    def _look_again(self) -> None:
        self._due = self._clock() + self._check_every_s
        with suppress(OSError):  # what cannot be looked at cannot be read either, which is reported below
            if self._settled and _signature(self.path.stat()) == self._signature:
                return
        signature, content = _look(self.path)
        # A second change may come within the clock tick of the first: a new signature is believed when seen twice.
        self._settled = signature == self._signature
        self._signature = signature
        if content != self._content:
            self._content = content
            self._take(content)

    def _take(self, content: bytes | str) -> None:
        try:
            policy = self._policy(content)
        except PolicyError as error:
            self._in_force = _InForce(self._in_force.policy, error)
            logger.error("the policy stays as it was, since its file is wrong:\n%s", error)  # noqa: TRY400 - no bug of ours
            self._report(error)
        else:
            self._in_force = _InForce(policy, None)
            logger.info("policy %s is in force", policy.digest)

    def _policy(self, content: bytes | str) -> Policy:
        if isinstance(content, str):
            raise PolicyError([content])
        return Policy.from_yaml(decoded(content, str(self.path)), name=str(self.path))

    def _report(self, error: PolicyError) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception as failure:  # noqa: BLE001 - the last good policy stays in force, whatever a listener does
            logger.error("on_error of the live policy failed: %s", type(failure).__name__)  # noqa: TRY400 - likewise


def _look(path: Path) -> tuple[Signature | None, bytes | str]:
    """A file's signature and bytes; why there are none, where it cannot be read."""
    try:
        with path.open("rb") as file:
            return _signature(os.fstat(file.fileno())), file.read(MAX_BYTES + 1)
    except OSError as error:
        return None, unreadable(path, error)


def _signature(stat: os.stat_result) -> Signature:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
