"""Laws of SQLiteConversations: many processes, crashes and broken files never make it count less than there was."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from rose_guard.errors import ConversationMemoryError, SettingsError
from rose_guard.memory import SQLiteConversations, sqlite
from tests.memory.stores import count_hate, who

ROOT = Path(__file__).parents[2]

PROCESS = """
import os, signal, sys
from rose_guard.memory import SQLiteConversations
from tests.memory.stores import count_hate, who

windows = {"hate": (1000, 600.0)}
"""

COUNTING = (
    PROCESS
    + """
path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
memory = SQLiteConversations(path, timeout_s=60)
print([count_hate(memory, who(thread=name), f"{name}/{i}", windows=windows) for i in range(25)])
"""
)

FORKING = (
    PROCESS
    + """
memory = SQLiteConversations(sys.argv[1])
assert count_hate(memory, who(), "1", windows=windows) == 0
memory._lock.acquire()  # as another thread would hold it, which is not there in the child
child = os.fork()
if child == 0:
    signal.alarm(60)  # it ends, even where it waits for ever
    memory_counts = [count_hate(memory, who(), f"child {i}", windows=windows) for i in range(3)]
    os._exit(0 if memory_counts == [1, 2, 3] else 1)
memory._lock.release()
assert os.waitpid(child, 0)[1] == 0
assert count_hate(memory, who(), "2", windows=windows) == 4
"""
)

CRASHING = (
    PROCESS
    + """
from rose_guard.memory import sqlite

def put(connection, *what):
    kept(connection, *what)
    os._exit(9)

memory = SQLiteConversations(sys.argv[1])
count_hate(memory, who(), "1", windows=windows)
kept, sqlite._put = sqlite._put, put
count_hate(memory, who(), "2", windows=windows)
"""
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
def memory(path):
    memory = SQLiteConversations(path, timeout_s=0.01)
    count_hate(memory, who(), "1")
    yield memory
    memory.close()


def python(script, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], text=True, cwd=ROOT, **options)


def test_two_processes_at_once_lose_nothing_even_while_the_file_is_made(path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [python(COUNTING, path, name, **pipes) for name in ("a", "b", "c")]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [count for process in processes for count in eval(process.communicate()[0])]
    assert sorted(counts) == list(range(75))
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]


def test_a_forked_child_counts_on(path):
    assert python(FORKING, path).wait() == 0


def test_a_process_that_dies_before_the_end_has_remembered_nothing(path):
    assert python(CRASHING, path).wait() == 9
    assert count_hate(SQLiteConversations(path), who(), "3") == 1


def test_it_outlives_its_process(path, memory):
    memory.close()
    assert count_hate(SQLiteConversations(path), who(), "2") == 1


def test_after_closing_it_opens_again(memory):
    memory.close()
    memory.close()
    assert count_hate(memory, who(), "2") == 1


def test_the_file_is_its_owners_alone(path):
    before = os.umask(0)
    try:
        memory = SQLiteConversations(path)
        count_hate(memory, who(), "1")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["memory.db", "memory.db-wal", "memory.db-shm"], 0o600)


@pytest.mark.parametrize("mode", [0o640, 0o602])
def test_a_file_that_others_may_use_is_refused(path, memory, mode):
    path.chmod(mode)
    with pytest.raises(ConversationMemoryError, match="chmod 600"):
        SQLiteConversations(path)


def test_a_file_that_is_locked_too_long_is_an_error_until_it_is_free(path, memory):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConversationMemoryError, match="locked"):
            count_hate(memory, who(), "2")
    assert count_hate(memory, who(), "3") == 1


def test_a_file_that_cannot_be_written_is_an_error(memory):
    memory._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(ConversationMemoryError, match="readonly"):
        count_hate(memory, who(), "2")
    assert count_hate(memory, who(), "3") == 1


def test_a_disk_that_is_full_is_an_error(memory):
    memory._connection.execute("PRAGMA max_page_count = 1")  # as small as what is there allows
    digests = (str(number) for number in range(1000))
    with pytest.raises(ConversationMemoryError, match="full"):
        all(count_hate(memory, who(digest), digest) == 0 for digest in digests)
    assert count_hate(memory, who(), "2") == 1


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError, sqlite3.OperationalError])
def test_what_breaks_off_halfway_has_remembered_nothing(memory, monkeypatch, fault):
    def put(*what):
        kept(*what)
        raise fault

    kept = sqlite._put
    monkeypatch.setattr(sqlite, "_put", put)
    with pytest.raises(ConversationMemoryError if fault is sqlite3.OperationalError else fault):
        count_hate(memory, who(), "2")
    monkeypatch.undo()
    assert count_hate(memory, who(), "3") == 1


@pytest.mark.parametrize("where", [0, 4096])
def test_a_damaged_file_is_an_error_and_stays_as_it_is(path, memory, where):
    memory.close()
    damaged = bytearray(path.read_bytes())
    damaged[where:] = b"\xa5" * (len(damaged) - where)
    path.write_bytes(damaged)
    with pytest.raises(ConversationMemoryError):
        count_hate(memory, who(), "2")
    with pytest.raises(ConversationMemoryError):
        SQLiteConversations(path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("PRAGMA user_version = 7", "has version 7, and this rose_guard reads version 1"),
        ("PRAGMA application_id = 0", "is no conversation memory"),
        ("PRAGMA journal_mode = DELETE", "write-ahead log"),
        ("DELETE FROM mark", "another secret"),
        ("DROP TABLE mark", "no such table"),
    ],
)
def test_another_file_is_refused_as_what_it_is(path, memory, statement, complaint):
    memory.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)
    with pytest.raises(ConversationMemoryError, match=complaint):
        SQLiteConversations(path)


@pytest.mark.parametrize("statement", ["UPDATE conversations SET tally = '{'", "DROP TABLE conversations"])
def test_damaged_contents_are_an_error(path, memory, statement):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)
    with pytest.raises(ConversationMemoryError):
        count_hate(memory, who(), "2")


@pytest.mark.parametrize("contents", [b"", b"a letter to grandmother"])
def test_a_file_of_something_else_is_left_alone(path, contents):
    path.write_bytes(contents)
    path.chmod(0o600)
    with pytest.raises(ConversationMemoryError):
        SQLiteConversations(path)
    assert path.read_bytes() == contents
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]


def test_a_file_that_is_gone_is_not_made_anew_behind_ones_back(path, memory):
    memory.close()
    path.unlink()
    with pytest.raises(ConversationMemoryError, match="is gone"):
        count_hate(memory, who(), "2")


@pytest.mark.parametrize("place", ["no/folder/memory.db", "."])
def test_a_place_where_no_file_can_be_is_an_error(tmp_path, place):
    with pytest.raises(ConversationMemoryError):
        SQLiteConversations(tmp_path / place)


def test_names_that_sqlite_reads_as_something_else_are_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "a?mode=memory", "a#b%41", "file:x"):
        count_hate(SQLiteConversations(name), who(), "1")
        assert count_hate(SQLiteConversations(tmp_path / name), who(), "2") == 1


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(path, timeout_s):
    with pytest.raises(SettingsError, match="timeout_s"):
        SQLiteConversations(path, timeout_s=timeout_s)
