"""The file of an SQLiteConversations: how it is made, opened and recognised. Knows nothing of turns."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkstemp

from rose_guard.errors import ConversationMemoryError

APPLICATION_ID = 0x526F7365
"""``Rose``: how SQLite's header says what a file is."""

VERSION = 1

_SCHEMA = f"""
    PRAGMA journal_mode = WAL;
    BEGIN;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {VERSION};
    CREATE TABLE mark (mark TEXT NOT NULL);
    CREATE TABLE conversations (
        subject TEXT NOT NULL PRIMARY KEY,
        tally TEXT NOT NULL,
        newest REAL NOT NULL,
        expires REAL NOT NULL,
        live_until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX by_expiry ON conversations (expires, subject);
    CREATE INDEX by_idleness ON conversations (newest, subject, live_until);
    COMMIT;
"""


def create_file(path: Path, mark: str) -> None:
    """Make the file, for its owner alone, unless there is one.

    It is made under another name and linked when whole, so that no other process meets half of it.

    Raises:
        OSError, sqlite3.Error: if it cannot be made.
    """
    if path.exists():
        return
    descriptor, unfinished = mkstemp(dir=path.parent, prefix=f".{path.name}-")  # with mode 0600
    os.close(descriptor)  # closed later, it would take SQLite's locks with it
    try:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO mark VALUES (?)", (mark,))
        with suppress(FileExistsError):  # another process was faster
            os.link(unfinished, path)
    finally:
        Path(unfinished).unlink()


def open_file(path: Path, mark: str, timeout_s: float) -> sqlite3.Connection:
    """Open the file; every statement is a transaction of its own until ``BEGIN``.

    Raises:
        ConversationMemoryError: if it is no conversation memory, of another version, made with another secret, open
            to others, or where SQLite cannot share it.
        OSError, sqlite3.Error: if it cannot be opened.
    """
    if not path.is_file():
        raise ConversationMemoryError(f"the conversation memory {path} is gone, or it is no file; restore it")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConversationMemoryError(f"others may use the conversation memory {path}; run `chmod 600` on it")
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")  # a count outlives a power cut
        _check(connection, path, mark)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path, mark: str) -> None:
    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    if pragma("application_id") != APPLICATION_ID:
        raise ConversationMemoryError(f"{path} is no conversation memory; name a file that is not there yet")
    if (version := pragma("user_version")) != VERSION:
        raise ConversationMemoryError(
            f"the conversation memory {path} has version {version}, and this rose_guard reads version {VERSION}; "
            f"use the rose_guard that made it, or another file"
        )
    if pragma("journal_mode") != "wal":
        raise ConversationMemoryError(
            f"the conversation memory {path} has lost its write-ahead log; put it on a local disk, or use another file"
        )
    if connection.execute("SELECT mark FROM mark").fetchall() != [(mark,)]:
        raise ConversationMemoryError(
            f"the conversation memory {path} was made with another secret; give all who use it the same one"
        )
