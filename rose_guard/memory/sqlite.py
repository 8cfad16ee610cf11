"""SQLiteConversations: a memory in one file, for all processes of one machine. Knows SQL; counting is the tally's."""

from __future__ import annotations

import os
import sqlite3
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from rose_guard.errors import ConversationMemoryError, SettingsError
from rose_guard.memory.memory import MAX_CONVERSATIONS, check_room, check_windows, full
from rose_guard.memory.pseudonyms import Pseudonyms
from rose_guard.memory.sqlite_file import create_file, open_file
from rose_guard.memory.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Generator

    from rose_guard.memory.key import ConversationKey
    from rose_guard.memory.memory import Windows
    from rose_guard.memory.turn import RiskyTurn

_EXPIRED = "SELECT subject FROM conversations WHERE expires <= ? ORDER BY expires, subject LIMIT 1"
_IDLE = "SELECT subject FROM conversations WHERE live_until <= ? ORDER BY newest, subject LIMIT 1"

_INHERITED: list[sqlite3.Connection] = []
"""A parent's connections, which a forked child may neither use nor close (sqlite.org/howtocorrupt.html, 2.6)."""


class SQLiteConversations:
    """A ConversationMemory in an SQLite file, which survives restarts.

    The file must lie on a local disk. It is made where there is none, for its owner alone. Principals, threads and
    turns stand in it as digests.

    Args:
        path: the file.
        secret: makes the digests HMACs; at least 16 random bytes, the same for all who use the file.
        max_conversations: how many principals and threads are remembered at most.
        timeout_s: how long to wait for another process that writes, in seconds.

    Raises:
        ConversationMemoryError: if the file cannot be used, others may read or write it, it is something else, or it
            was made by another version or with another secret.
        SettingsError: if another argument is out of range.
    """

    _connection: sqlite3.Connection | None = None

    def __init__(
        self,
        path: str | Path,
        *,
        secret: bytes | None = None,
        max_conversations: int = MAX_CONVERSATIONS,
        timeout_s: float = 5.0,
    ) -> None:
        check_room(max_conversations)
        if not timeout_s > 0:
            raise SettingsError(f"timeout_s = {timeout_s!r}: must be above 0 seconds")
        self._path = Path(path).absolute()
        self._pseudonyms = Pseudonyms(secret)
        self._max_conversations = max_conversations
        self._timeout_s = timeout_s
        self._lock = Lock()
        _after_fork(self)
        with self._lock, self._errors():
            create_file(self._path, self._pseudonyms.mark)
            self._connected()

    def count_and_add(self, key: ConversationKey, turn: RiskyTurn, windows: Windows) -> dict[str, int]:
        """As the protocol says."""
        check_windows(windows)
        subject = self._pseudonyms.of(key)
        turn = self._pseudonyms.turn(turn, subject)
        with self._transaction() as connection:
            row = connection.execute("SELECT tally FROM conversations WHERE subject = ?", (subject,)).fetchone()
            before = Tally.load(row[0] if row else None)
            counts, after = before.counts(turn, windows), before.add(turn, windows)
            if after != before:
                if row is None:
                    self._make_room(connection, turn.at)
                _put(connection, subject, after)
        return counts

    def close(self) -> None:
        """Close the file; a later turn opens it again."""
        with self._lock:
            self._disconnect()

    def __del__(self) -> None:
        self._disconnect()

    def _make_room(self, connection: sqlite3.Connection, now: float) -> None:
        (held,) = connection.execute("SELECT COUNT(*) FROM conversations").fetchone()
        for _ in range(held - self._max_conversations + 1):
            row = connection.execute(_EXPIRED, (now,)).fetchone() or connection.execute(_IDLE, (now,)).fetchone()
            if row is None:
                raise full(self._max_conversations)
            connection.execute("DELETE FROM conversations WHERE subject = ?", row)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """All or nothing, and nobody else writes meanwhile."""
        with self._lock, self._errors():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except ConversationMemoryError:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Whatever goes wrong leaves the file as it was: closing a connection undoes what it has not committed."""
        try:
            yield
        except ConversationMemoryError:
            raise
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise ConversationMemoryError(
                f"the conversation memory {self._path} cannot be used ({error}); see that it is a file on a local "
                f"disk with free space, that this user may write it and its folder, and that nobody keeps it locked"
            ) from error
        except BaseException:
            self._disconnect()
            raise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_file(self._path, self._pseudonyms.mark, self._timeout_s)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _forked(self) -> None:
        """In a child: the lock may be held by a thread that is not there, and the connection is the parent's."""
        self._lock = Lock()
        if self._connection is not None:
            _INHERITED.append(self._connection)
            self._connection = None


def _put(connection: sqlite3.Connection, subject: str, tally: Tally) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO conversations (subject, tally, newest, expires, live_until) VALUES (?, ?, ?, ?, ?)",
        (subject, tally.dump(), tally.newest, tally.expires, tally.live_until),
    )


def _after_fork(memory: SQLiteConversations) -> None:
    """Let a child know, as long as the memory lives; there is no fork on Windows."""
    held = weakref.ref(memory)

    def forked() -> None:
        if (memory := held()) is not None:
            memory._forked()  # noqa: SLF001 - its own module

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)
