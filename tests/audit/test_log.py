"""Laws of writing: one chain, whole lines, durable when append returns, readable by the owner only."""

import json
import os
import stat
import threading
from datetime import timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.audit import AuditLog, AuditTrail, Head, verify
from rose_guard.audit.name import FileName
from rose_guard.audit.private import Private
from rose_guard.errors import AuditError
from tests.audit.samples import KEY, SECRET, Clock, contents, folder_of, opened, written


def lines_of(folder):
    return [json.loads(line) for data in contents(folder).values() for line in data.splitlines()]


def test_a_log_is_an_audit_trail(tmp_path):
    with opened(tmp_path) as log:
        assert isinstance(log, AuditTrail)


def test_an_untouched_log_verifies_and_says_what_it_cannot_tell(tmp_path):
    heads = written(tmp_path, 5)
    report = verify(tmp_path, KEY)
    assert report.intact
    assert not report.tampered
    (chain,) = report.chains
    assert (chain.lines, chain.files, chain.head, chain.vouched) == (6, 1, heads[-1], None)
    assert "whether lines were cut off after line 5 cannot be told" in chain.tail
    assert "no exported head" in str(report)


def test_a_chain_begins_with_the_version_and_goes_on_with_events_in_order(tmp_path):
    written(tmp_path, 3)
    lines = lines_of(tmp_path)
    assert [line["kind"] for line in lines] == ["start", "end", "end", "end"]
    assert [line["sequence"] for line in lines] == [0, 1, 2, 3]
    assert [line["previous"] for line in lines[1:]] == [line["mac"] for line in lines[:-1]]
    assert set(lines[0]["payload"]) == {"rose_guard", "fsync", "prompts", "file"}
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert lines[0]["time"] == "2026-01-01T00:00:02.000000Z"


def test_time_is_written_in_utc_whatever_the_clock_says(tmp_path):
    clock = Clock()
    clock.now = clock.now.astimezone(timezone(timedelta(hours=5, minutes=30)))
    opened(tmp_path, clock=clock).close()
    assert lines_of(tmp_path)[0]["time"] == "2026-01-01T00:00:02.000000Z"


def test_files_are_their_owners_only(tmp_path):
    before = os.umask(0)
    try:
        written(tmp_path / "audit", 2, max_bytes=1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "audit").iterdir()} == {0o600}


def test_a_name_holds_start_chain_and_process(tmp_path):
    with opened(tmp_path) as log:
        name = FileName.parse(log.path.name)
        assert (name.start, name.chain, name.pid, name.part) == (
            "20260101T000001.000000Z",
            log.head().chain,
            os.getpid(),
            0,
        )


@pytest.mark.parametrize("name", ["audit.jsonl", "audit-x.jsonl", "../audit", ""])
def test_other_names_are_not_an_audit_logs(name):
    assert FileName.parse(name) is None


def test_each_log_has_a_chain_of_its_own_and_several_share_a_folder(tmp_path):
    logs = [opened(tmp_path) for _ in range(3)]
    for number in range(9):
        logs[number % 3].append("end", {"number": number})
    heads = [log.head() for log in logs]
    assert len({head.chain for head in heads}) == 3
    report = verify(tmp_path, KEY, heads)
    assert report.intact
    assert [chain.lines for chain in report.chains] == [4, 4, 4]
    for log in logs:
        log.close()


@given(st.integers(1, 4000), st.integers(0, 12))
def test_rotation_keeps_the_chain_whole_whatever_the_size(max_bytes, events):
    with folder_of({}) as folder:
        heads = written(folder, events, max_bytes=max_bytes)
        report = verify(folder, KEY, heads)
        assert report.intact
        assert (report.chains[0].lines, report.chains[0].vouched) == (heads[-1].sequence + 1, heads[-1].sequence)
        for data in contents(folder).values():
            assert len(data) <= max_bytes or len(data.splitlines()) <= 2


def test_a_rotated_file_names_the_one_before_and_its_last_mac(tmp_path):
    written(tmp_path, 4, max_bytes=1)
    files = contents(tmp_path)
    assert len(files) == 4
    names = list(files)
    for before, after in pairwise(names):
        first = json.loads(files[after].splitlines()[0])
        assert first["kind"] == "rotated"
        assert first["payload"] == {"file": after, "previous_file": before, "previous_mac": first["previous"]}
        assert json.loads(files[before].splitlines()[-1])["mac"] == first["previous"]


def test_events_of_many_threads_make_one_chain_in_which_each_is_once(tmp_path):
    log = opened(tmp_path, max_bytes=5000)
    together = threading.Barrier(8)

    def append(thread):
        together.wait()
        for number in range(40):
            log.append("output", {"thread": thread, "number": number})

    threads = [threading.Thread(target=append, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(tmp_path, KEY, [log.head()])
    log.close()
    assert report.intact
    events = [line["payload"] for line in lines_of(tmp_path) if line["kind"] == "output"]
    assert len(events) == 320
    for thread in range(8):
        assert [event["number"] for event in events if event["thread"] == thread] == list(range(40))


@pytest.mark.parametrize("kind", ["start", "rotated", "", "Decision", "delete"])
def test_only_events_can_be_appended(tmp_path, kind):
    with opened(tmp_path) as log:
        with pytest.raises(AuditError, match="decision, output, restart, end"):
            log.append(kind, {})
        assert log.head().sequence == 0


def test_a_payload_that_cannot_be_written_leaves_the_chain_as_it_was(tmp_path):
    with opened(tmp_path) as log:
        with pytest.raises(AuditError):
            log.append("end", {"score": float("nan")})
        log.append("end", {"score": 1.0})
        assert verify(tmp_path, KEY, [log.head()]).intact


def test_a_closed_log_refuses_events_and_still_tells_its_head(tmp_path):
    log = opened(tmp_path)
    head = log.head()
    log.close()
    log.close()
    with pytest.raises(AuditError, match="closed"):
        log.append("end", {})
    assert log.head() == head


def test_private_values_are_keyed_digests_by_default_and_texts_are_clear_on_demand(tmp_path):
    payload = {"prompt": Private("prompt", [{"content": "canary"}]), "principal": Private("principal", [None, "anna"])}
    for prompts in ("digest", "clear"):
        with opened(tmp_path / prompts, prompts=prompts) as log:
            log.append("decision", payload)
    digest, clear = (lines_of(tmp_path / prompts)[1]["payload"] for prompts in ("digest", "clear"))
    assert set(digest["prompt"]) == {"hmac"}
    assert clear["prompt"] == {"clear": [{"content": "canary"}]}
    assert digest["principal"] == clear["principal"] == {"hmac": KEY.digest("principal", b'[null,"anna"]')}


def test_the_key_is_neither_in_the_log_nor_in_the_repr(tmp_path):
    with AuditLog(tmp_path, SECRET) as log:
        log.append("end", {})
        shown = repr(log)
    data = b"".join(contents(tmp_path).values())
    for secret in (SECRET, KEY._chaining, KEY._digesting):
        assert secret not in data
        assert secret.hex() not in data.decode() + shown


@pytest.mark.parametrize(
    "wrong",
    [{"fsync": "sometimes"}, {"fsync": True}, {"interval_s": 0}, {"interval_s": -1}, {"interval_s": float("nan")},
     {"interval_s": float("inf")}, {"max_bytes": 0}, {"max_bytes": True}, {"max_bytes": 1.5}, {"prompts": "plain"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused_before_anything_is_made(tmp_path, wrong):
    with pytest.raises(AuditError, match=next(iter(wrong))):
        opened(tmp_path / "audit", **wrong)
    assert not (tmp_path / "audit").exists()


def test_a_folder_that_cannot_be_made_is_an_audit_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match="give a folder"):
        opened(tmp_path / "file")


def test_a_log_stays_where_it_began_when_the_process_changes_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = opened("audit", max_bytes=1)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for _ in range(3):
        log.append("end", {})
    log.close()
    assert verify(tmp_path / "audit", KEY, [log.head()]).intact


class Syncs:
    """Counts fsync calls on files."""

    def __init__(self, monkeypatch):
        self.count = 0
        real = os.fsync

        def fsync(descriptor):
            self.count += stat.S_ISREG(os.fstat(descriptor).st_mode)
            return real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)


def test_always_syncs_each_line_before_append_returns(tmp_path, monkeypatch):
    syncs = Syncs(monkeypatch)
    with opened(tmp_path, fsync="always") as log:
        for number in range(1, 4):
            log.append("end", {})
            assert syncs.count == 1 + number


def test_always_brings_the_folders_that_it_makes_to_the_disk(tmp_path, monkeypatch):
    synced = set()
    real = os.fsync

    def fsync(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = tmp_path / "one" / "two" / "audit"
    log = opened(folder, fsync="always")
    log.close()
    assert synced == {path.stat().st_ino for path in (log.path, folder, *list(folder.parents)[:3])}


def test_never_does_not_sync(tmp_path, monkeypatch):
    syncs = Syncs(monkeypatch)
    written(tmp_path, 3, max_bytes=1)
    assert syncs.count == 0


class Timer:
    """A timer that goes off when told."""

    def __init__(self, seconds, call):
        self.seconds, self.call, self.cancelled = seconds, call, False
        Timer.made.append(self)

    def start(self):
        pass

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def timers(monkeypatch):
    Timer.made = []
    monkeypatch.setattr(threading, "Timer", Timer)
    return Timer.made


def test_interval_syncs_the_latest_line_in_time_even_if_no_other_follows(tmp_path, monkeypatch, timers):
    log = opened(tmp_path, fsync="interval", interval_s=2.5)
    syncs = Syncs(monkeypatch)
    for _ in range(3):
        log.append("end", {})
    assert [timer.seconds for timer in timers] == [2.5]
    assert syncs.count == 0
    timers[0].call()
    assert syncs.count == 1
    log.append("end", {})
    assert len(timers) == 2
    log.close()
    assert syncs.count == 2
    assert timers[1].cancelled
    timers[1].call()
    assert syncs.count == 2


def test_what_a_head_vouches_for_and_what_rotation_leaves_behind_is_synced(tmp_path, monkeypatch, timers):
    log = opened(tmp_path, fsync="interval", max_bytes=1)
    log.append("end", {})
    syncs = Syncs(monkeypatch)
    assert log.head().sequence == 1
    assert syncs.count == 1
    log.append("end", {})
    assert syncs.count == 3  # the old file once more, and the new one's first line
    log.close()


def test_where_no_thread_can_be_had_interval_syncs_at_once(tmp_path, monkeypatch, timers):
    def start(timer):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Timer, "start", start)
    log = opened(tmp_path, fsync="interval")
    syncs = Syncs(monkeypatch)
    log.append("end", {})
    assert syncs.count == 1
    log.close()


def test_a_sync_that_fails_on_time_is_logged_and_raised_by_the_next_append(tmp_path, monkeypatch, timers, caplog):
    log = opened(tmp_path, fsync="interval")
    log.append("end", {})

    def fsync(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        timers[0].call()
    assert "Input/output error" in caplog.text
    for _ in range(2):
        with pytest.raises(AuditError, match="Input/output error"):
            log.append("end", {})
    with pytest.raises(AuditError):
        log.close()


@given(st.lists(st.text(max_size=20), max_size=5))
@settings(max_examples=30)
def test_any_text_can_be_put_on_record(texts):
    with folder_of({}) as folder:
        with opened(folder, prompts="clear") as log:
            for text in texts:
                log.append("end", {"answer": Private("answer", text), "half": "\ud83d"})
        assert verify(folder, KEY, [log.head()]).intact
        assert [line["payload"]["answer"]["clear"] for line in lines_of(folder)[1:]] == texts


def test_the_head_before_any_line_cannot_be_exported(tmp_path):
    with opened(tmp_path) as log:
        assert log.head() != Head.before(log.head().chain)
        assert log.head().sequence == 0
