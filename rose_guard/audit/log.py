"""AuditLog: puts events on record, one chain per process; begins, rotates and ends its files. Never reads them."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rose_guard.audit.chain import ROTATED, START, next_line
from rose_guard.audit.file import AuditFile
from rose_guard.audit.folder import make_folder, sync_folder
from rose_guard.audit.head import Head
from rose_guard.audit.key import AuditKey
from rose_guard.audit.name import FileName
from rose_guard.audit.options import check_options
from rose_guard.audit.private import settled
from rose_guard.audit.trail import EVENTS
from rose_guard.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from rose_guard.audit.options import Fsync, Prompts

logger = logging.getLogger(__name__)


class AuditLog:
    """An append-only log of what was decided, chained with a key. Needs POSIX.

    Each process writes a chain of its own, in files of its own, so several may share a folder. So does a forked child,
    from its first event on. All methods may be called from any thread.

    Args:
        folder: where the files go; made, for its owner only, where it is missing.
        key: what chains the lines; kept elsewhere.
        fsync: ``always`` brings each line to the disk before :meth:`append` returns. ``interval`` does so within
            ``interval_s``, and a power cut can lose the lines of that time. ``never`` leaves it to the operating
            system, and a power cut can lose whatever that has not written. What was appended outlives the process in
            all three.
        interval_s: at most so many seconds until a line is on the disk, with ``interval``.
        max_bytes: a file that would grow beyond it is followed by another. A single longer line is kept whole.
        prompts: ``digest`` writes prompts and answers as keyed digests, ``clear`` as they are.
        clock: gives the time, with its time zone; None for the system's.

    Raises:
        AuditError: if a setting is wrong, or the folder or the chain's first line cannot be written.
    """

    _lock: threading.Lock
    _timer: threading.Timer | None

    def __init__(  # noqa: PLR0913 - a log has that many settings
        self,
        folder: str | os.PathLike[str],
        key: AuditKey | bytes,
        *,
        fsync: Fsync = "always",
        interval_s: float = 1.0,
        max_bytes: int = 64_000_000,
        prompts: Prompts = "digest",
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        check_options(fsync, interval_s, max_bytes, prompts)
        self._folder = Path(folder).absolute()
        self._key = key if isinstance(key, AuditKey) else AuditKey(key)
        self._fsync, self._interval_s = fsync, interval_s
        self._max_bytes = max_bytes
        self._prompts = prompts
        self._clock = clock or partial(datetime.now, UTC)
        self._closed = False
        make_folder(self._folder, sync=fsync != "never")
        self._unlock()
        self._begin()
        os.register_at_fork(after_in_child=partial(_unlock, weakref.ref(self)))

    def append(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Put an event on record; it is there, as durable as ``fsync`` says, when this returns.

        Args:
            kind: ``decision``, ``output``, ``restart`` or ``end``.
            payload: as :mod:`rose_guard.audit.record` makes it; what is private in it is written as a keyed digest.

        Raises:
            AuditError: if it is not on record. The chain goes on as if it had not been tried; where that cannot be,
                all later events are refused too.
        """
        if kind not in EVENTS:
            raise AuditError(f"an event is one of {', '.join(EVENTS)}")
        written = settled(payload, self._key, clear=self._prompts == "clear")
        with self._lock:
            self._begin_if_forked()
            self._add(kind, written)

    def head(self) -> Head:
        """Where the chain has come to, on the disk too unless ``fsync`` is ``never``. Keep it apart from the log.

        Raises:
            AuditError: if the lines that it vouches for could not be brought to the disk.
        """
        with self._lock:
            if not self._closed:
                self._begin_if_forked()
                self._sync_if_due()
            return self._file.end.head

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return self._file.path

    def close(self) -> None:
        """End the chain; later events are refused.

        Raises:
            AuditError: if its last lines could not be brought to the disk.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            try:
                if self._pid == os.getpid():
                    self._sync_if_due()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AuditLog({str(self._folder)!r}, chain={self._file.end.head.chain!r})"

    def _begin_if_forked(self) -> None:
        if self._closed:
            raise AuditError("the audit log is closed; make a new AuditLog, which begins a chain of its own")
        if self._pid != os.getpid():
            self._begin()

    def _begin(self) -> None:
        """A new chain, in a file of its own."""
        chain = secrets.token_hex(16)
        name = FileName.first(self._now().strftime("%Y%m%dT%H%M%S.%fZ"), chain)
        about = {"rose_guard": _version(), "fsync": self._fsync, "prompts": self._prompts, "file": str(name)}
        self._file = self._new_file(name, Head.before(chain), START, about)
        self._pid = os.getpid()

    def _rotate(self) -> None:
        """Go on in another file, whose first line names this one."""
        old = self._file
        old.check()
        self._sync_if_due()
        following = FileName.parse(old.path.name)
        assert following is not None
        name = following.following
        link = {"file": str(name), "previous_file": old.path.name, "previous_mac": old.end.head.mac}
        self._file = self._new_file(name, old.end.head, ROTATED, link)
        old.close()

    def _new_file(self, name: FileName, head: Head, kind: str, payload: Mapping[str, Any]) -> AuditFile:
        """A file with its first line, or none at all."""
        file = AuditFile(self._folder / str(name), head)
        try:
            file.append(*self._line(head, kind, payload), sync=self._fsync != "never")
            if self._fsync != "never":
                sync_folder(self._folder)
        except BaseException:
            with suppress(OSError):
                file.discard()
            raise
        return file

    def _add(self, kind: str, payload: Mapping[str, Any]) -> None:
        line, head = self._line(self._file.end.head, kind, payload)
        if self._file.end.lines > 1 and self._file.end.size + len(line) > self._max_bytes:
            self._rotate()
            line, head = self._line(self._file.end.head, kind, payload)
        self._file.append(line, head, sync=self._fsync == "always")
        self._sync_in_time()

    def _line(self, head: Head, kind: str, payload: Mapping[str, Any]) -> tuple[bytes, Head]:
        time = self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        return next_line(head, kind, payload, time, self._key)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _sync_if_due(self) -> None:
        if self._fsync == "interval":
            self._file.sync()

    def _sync_in_time(self) -> None:
        """With ``interval``, see to it that the latest line is soon on the disk even if no other follows."""
        if self._fsync != "interval" or self._timer is not None:
            return
        self._timer = threading.Timer(self._interval_s, self._sync_on_time)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # no thread can be had, as when the interpreter ends
            self._timer = None
            self._file.sync()

    def _sync_on_time(self) -> None:
        with self._lock:
            self._timer = None
            if self._closed:
                return
            try:
                self._file.sync()
            except AuditError as error:
                logger.error("%s", error)  # noqa: TRY400 - nobody waits here; the next append raises it

    def _unlock(self) -> None:
        """Begin without what threads held, of which a forked child has none."""
        self._lock = threading.Lock()
        self._timer = None


def _unlock(reference: weakref.ref[AuditLog]) -> None:
    log = reference()
    if log is not None:
        log._unlock()  # noqa: SLF001 - its own


def _version() -> str:
    try:
        return version("rose-guard")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"
