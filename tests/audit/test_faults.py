"""Laws of failure: what append did not refuse is there, what it refused is not; and nothing goes on upon a doubt."""

import errno
import os
import shutil
import stat
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.audit import verify
from rose_guard.audit.name import FileName
from rose_guard.errors import AuditError
from tests.audit.samples import KEY, contents, folder_of, opened
from tests.audit.test_log import lines_of

REAL_WRITE, REAL_FSYNC, REAL_TRUNCATE = os.write, os.fsync, os.ftruncate


class Disk:
    """os.write that writes so many bytes a call, and has room for so many."""

    def __init__(self, piece=None, room=None):
        self.piece, self.room = piece, room

    def write(self, descriptor, data):
        data = bytes(data)[: self.piece]
        if self.room is not None:
            data = data[: self.room]
            self.room -= len(data)
            if not data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return REAL_WRITE(descriptor, data)


def fails(number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    return fail


def acknowledged(log, events):
    """Append events; those that append took."""
    taken = []
    for event in events:
        try:
            log.append("end", {"event": event})
        except AuditError:
            continue
        taken.append(event)
    return taken


def on_record(folder):
    return [line["payload"]["event"] for line in lines_of(folder) if line["kind"] == "end"]


@given(
    st.lists(st.tuples(st.integers(1, 300), st.none() | st.integers(0, 900)), min_size=1, max_size=8),
    st.sampled_from([1, 9**9]),
)
def test_short_writes_and_full_disks_leave_exactly_what_append_took(disks, max_bytes):
    with folder_of({}) as folder, opened(folder, max_bytes=max_bytes) as log, pytest.MonkeyPatch.context() as patch:
        taken = []
        for number, (piece, room) in enumerate(disks):
            patch.setattr(os, "write", Disk(piece, room).write)
            taken += acknowledged(log, [number])
            patch.setattr(os, "write", REAL_WRITE)
        taken += acknowledged(log, ["last"])
        assert taken[-1] == "last"
        assert on_record(folder) == taken
        assert verify(folder, KEY, [log.head()]).intact


def test_short_writes_alone_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", Disk(piece=1).write)
    with opened(tmp_path) as log:
        assert acknowledged(log, range(3)) == [0, 1, 2]
        assert verify(tmp_path, KEY, [log.head()]).intact


def test_a_disk_that_takes_nothing_is_full(tmp_path, monkeypatch):
    with opened(tmp_path) as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda *_: 0)
            assert acknowledged(log, [0]) == []
        assert acknowledged(log, [1]) == [1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_the_error_says_what_to_do_and_holds_no_payload(tmp_path, monkeypatch, number):
    with opened(tmp_path) as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fails(number))
            with pytest.raises(AuditError, match="free space there or check the disk") as raised:
                log.append("end", {"text": "canary"})
        assert os.strerror(number) in str(raised.value)
        assert "canary" not in str(raised.value)
        assert log.head().sequence == 0


def test_part_of_a_line_that_cannot_be_taken_back_ends_the_log(tmp_path, monkeypatch):
    with opened(tmp_path) as log:
        log.append("end", {"event": 0})
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", Disk(room=100).write)
            patch.setattr(os, "ftruncate", fails(errno.EIO))
            assert acknowledged(log, [1]) == []
        for _ in range(2):
            with pytest.raises(AuditError, match="make a new AuditLog"):
                log.append("end", {"event": 2})
        report = verify(tmp_path, KEY, [log.head()])
        assert [finding.kind for finding in report.findings] == ["torn tail"]
        assert not report.tampered


@pytest.mark.parametrize("fsync", ["always", "interval"])
def test_a_failed_sync_ends_the_log_since_nobody_knows_what_is_on_the_disk(tmp_path, monkeypatch, fsync):
    log = opened(tmp_path, fsync=fsync)
    log.append("end", {"event": 0})
    head = log.head()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails(errno.EIO))
        acknowledged(log, [1])  # which with `interval` is not yet synced
        with pytest.raises(AuditError, match="Input/output error"):
            log._file.sync()
    with pytest.raises(AuditError, match="make a new AuditLog"):
        log.append("end", {"event": 2})
    with suppress(AuditError):
        log.close()
    assert 2 not in on_record(tmp_path)
    assert verify(tmp_path, KEY, [head]).intact
    with opened(tmp_path) as after:
        after.append("end", {"event": 3})
    assert verify(tmp_path, KEY, [head, after.head()]).intact


@pytest.mark.parametrize("room", [0, 1, 300])
def test_a_rotation_that_fails_leaves_the_old_file_in_use_and_no_other(tmp_path, monkeypatch, room):
    with opened(tmp_path, max_bytes=1) as log:
        assert acknowledged(log, [0]) == [0]
        before = contents(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", Disk(room=room).write)
            assert acknowledged(log, [1]) == []
        assert contents(tmp_path) == before
        assert acknowledged(log, [2, 3]) == [2, 3]
        assert verify(tmp_path, KEY, [log.head()]).intact
        assert on_record(tmp_path) == [0, 2, 3]


def test_a_folder_that_cannot_be_synced_fails_the_rotation(tmp_path, monkeypatch):
    def fsync(descriptor):
        return fails(errno.EIO)() if stat.S_ISDIR(os.fstat(descriptor).st_mode) else REAL_FSYNC(descriptor)

    with opened(tmp_path, fsync="always", max_bytes=1) as log:
        assert acknowledged(log, [0]) == [0]
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            assert acknowledged(log, [1]) == []
        assert acknowledged(log, [2]) == [2]
        assert on_record(tmp_path) == [0, 2]


def test_a_rotation_never_writes_to_a_file_that_is_there(tmp_path):
    with opened(tmp_path, max_bytes=1) as log:
        assert acknowledged(log, [0]) == [0]
        planted = tmp_path / str(FileName.parse(log.path.name).following)
        planted.write_bytes(b"planted")
        assert acknowledged(log, [1]) == []
        assert planted.read_bytes() == b"planted"
        planted.unlink()
        assert acknowledged(log, [2]) == [2]


def test_a_log_that_cannot_begin_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", Disk(room=50).write)
    with pytest.raises(AuditError, match="free space"):
        opened(tmp_path)
    assert contents(tmp_path) == {}


def close_it(log):
    os.close(log._file._fd)


def reuse_its_number(log):
    os.close(log._file._fd)
    (log.path.parent / "other").write_bytes(log.path.read_bytes())
    os.open(log.path.parent / "other", os.O_WRONLY | os.O_APPEND)


FAULTS = {
    "removed": lambda log: log.path.unlink(),
    "renamed": lambda log: log.path.rename(log.path.with_suffix(".1")),
    "replaced": lambda log: (log.path.rename(log.path.with_suffix(".1")), log.path.write_bytes(b"")),
    "copied and cut": lambda log: os.truncate(log.path, 0),
    "written to": lambda log: log.path.open("ab").write(b"x"),
    "folder removed": lambda log: shutil.rmtree(log.path.parent),
    "closed": close_it,
    "closed, and its number another file's": reuse_its_number,
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("max_bytes", [1, 9**9])
def test_what_others_do_to_the_file_is_noticed_before_anything_is_taken(tmp_path, fault, max_bytes):
    folder = tmp_path / "audit"
    log = opened(folder, max_bytes=max_bytes)
    log.append("end", {"event": 0})
    head = log.head()
    FAULTS[fault](log)
    for _ in range(2):
        with pytest.raises(AuditError, match="make a new AuditLog"):
            log.append("end", {"event": "refused"})
    assert log.head() == head
    log.close()
    if folder.exists():
        assert not any(b"refused" in data for data in contents(folder).values())
    with opened(folder) as after:
        after.append("end", {"event": 1})
        assert verify(after.path, KEY, [after.head()]).intact


def test_a_file_that_goes_while_a_line_is_written_is_noticed_too(tmp_path, monkeypatch):
    with opened(tmp_path) as log:

        def write(descriptor, data):
            log.path.unlink()
            return REAL_WRITE(descriptor, data)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(AuditError, match="removed"):
                log.append("end", {})
        assert log.head().sequence == 0


def test_what_somebody_else_wrote_is_left_as_evidence(tmp_path, monkeypatch):
    with opened(tmp_path) as log:

        def write(descriptor, data):
            count = REAL_WRITE(descriptor, data)
            REAL_WRITE(descriptor, b"foreign")
            return count

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(AuditError, match="written to by something else"):
                log.append("end", {})
        assert log.path.read_bytes().endswith(b"foreign")


def test_closing_never_closes_another_file(tmp_path):
    log = opened(tmp_path / "audit")
    os.close(log._file._fd)
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY)
    assert other == log._file._fd
    log.close()
    os.write(other, b"still open")
    os.close(other)


@given(st.integers(0, 3), st.booleans())
def test_an_interrupt_in_the_middle_leaves_the_chain_whole(after, wrote):
    with folder_of({}) as folder, opened(folder, max_bytes=1500) as log, pytest.MonkeyPatch.context() as patch:
        taken = acknowledged(log, range(after))

        def write(descriptor, data):
            if wrote:
                REAL_WRITE(descriptor, data[:40])
            raise KeyboardInterrupt

        patch.setattr(os, "write", write)
        with pytest.raises(KeyboardInterrupt):
            log.append("end", {"event": "interrupted"})
        patch.setattr(os, "write", REAL_WRITE)
        taken += acknowledged(log, ["after"])
        assert on_record(folder) == taken
        assert verify(folder, KEY, [log.head()]).intact


def test_an_interrupted_repair_ends_the_log(tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with opened(tmp_path) as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", Disk(room=100).write)
            patch.setattr(os, "ftruncate", interrupted)
            with pytest.raises(KeyboardInterrupt):
                log.append("end", {})
        with pytest.raises(AuditError, match="make a new AuditLog"):
            log.append("end", {})
