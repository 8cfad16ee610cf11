"""Laws of a live policy: always a good one, as new as can be, and every fault told once."""

import logging
import os
import threading

import pytest

from rose_guard import Policy, PolicyError, SettingsError
from rose_guard.policy import LivePolicy

GOOD = "version: 1\nhazards: {hate: {alpha: 0.3}}\n"
BETTER = "version: 1\nhazards: {hate: {alpha: 0.6}}\n"
BROKEN = "version: 1\nhazards: {hate: {alpha: 6}}\n"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Watched:
    """A live policy, its file, and what it said."""

    def __init__(self, path, **settings):
        self.path, self.clock, self.errors = path, Clock(), []
        path.write_text(GOOD)
        settings = {"on_error": self.errors.append, **settings}
        self.live = LivePolicy(path, clock=self.clock, **settings)

    def later(self, seconds=1.0):
        self.clock.now += seconds
        return alpha(self.live.current)


def alpha(policy):
    return policy.rules["hate"].bands[0].alpha


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path / "policy.yaml")


def test_the_policy_is_that_of_the_file(watched):
    assert watched.live.current == Policy.load(watched.path)
    assert watched.live.problem is None


@pytest.mark.parametrize("text", [BROKEN, "version: [", ""])
def test_a_file_that_is_broken_at_first_raises(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=r"policy\.yaml:"):
        LivePolicy(path)


def test_a_file_that_is_missing_at_first_raises(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        LivePolicy(tmp_path / "none.yaml")


def test_a_change_is_in_force_after_the_time_between_two_looks_and_not_before(watched):
    watched.path.write_text(BETTER)
    assert watched.later(0.99) == 0.3
    assert watched.later(0.01) == 0.6


def test_what_was_given_out_stays_as_it_was(watched):
    before = watched.live.current
    watched.path.write_text(BETTER)
    watched.later()
    assert alpha(before) == 0.3


@pytest.mark.parametrize(
    "fault",
    [
        lambda path: path.write_text(BROKEN),
        lambda path: path.write_text(BETTER[:20]),
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("#" * 1_000_001),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to(path)),
    ],
    ids=["broken", "half", "empty", "binary", "huge", "gone", "folder", "loop"],
)
def test_a_faulty_file_keeps_the_last_good_policy_and_is_told_once(watched, fault, caplog):
    fault(watched.path)
    with caplog.at_level(logging.ERROR, logger="rose_guard.policy"):
        assert [watched.later() for _ in range(5)] == [0.3] * 5
    assert isinstance(watched.live.problem, PolicyError)
    assert watched.errors == [watched.live.problem]
    (record,) = caplog.records
    assert all(problem in record.getMessage() for problem in watched.live.problem.problems)


def test_each_new_fault_is_told(watched):
    for text in (BROKEN, "version: [", BROKEN):
        watched.path.write_text(text)
        watched.later()
    assert len(watched.errors) == 3


def test_a_mended_file_is_in_force_and_no_problem_any_more(watched):
    watched.path.write_text(BETTER[:20])
    assert watched.later() == 0.3
    watched.path.write_text(BETTER)
    assert watched.later() == 0.6
    assert watched.live.problem is None
    watched.path.write_text(BROKEN)
    watched.later()
    watched.path.write_text(BETTER)
    assert watched.later() == 0.6
    assert watched.live.problem is None


def test_a_file_that_comes_back_is_in_force_again(watched):
    watched.path.unlink()
    assert watched.later() == 0.3
    watched.path.write_text(BETTER)
    assert watched.later() == 0.6
    assert len(watched.errors) == 1


def test_a_file_put_in_its_place_is_noticed(watched):
    other = watched.path.with_name("new.yaml")
    other.write_text(BETTER)
    other.replace(watched.path)
    assert watched.later() == 0.6


def test_a_change_that_keeps_time_size_and_inode_is_noticed_if_it_follows_close_upon_a_look(watched):
    """A clock tick of the file system may hold two changes."""
    seen = watched.path.stat()
    watched.path.write_text(BETTER)
    os.utime(watched.path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert watched.path.stat().st_size == seen.st_size
    assert watched.later() == 0.6
    watched.path.write_text(GOOD.replace("0.3", "0.25"))
    assert watched.later() == 0.25
    changed = watched.path.stat()
    watched.path.write_text(GOOD.replace("0.3", "0.35"))
    os.utime(watched.path, ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert watched.later() == 0.35


def test_a_file_that_stays_as_it_is_is_not_read_again(watched, monkeypatch):
    watched.later()
    monkeypatch.setattr("rose_guard.policy.live._look", lambda _: pytest.fail("read again"))
    assert [watched.later() for _ in range(3)] == [0.3] * 3


def test_a_file_that_was_only_touched_is_the_same_policy(watched):
    before = watched.live.current
    watched.later()
    os.utime(watched.path, ns=(1, 1))
    watched.later()
    assert watched.live.current is before


def test_a_listener_that_fails_changes_nothing_and_is_told_without_its_words(tmp_path, caplog):
    def fail(error):
        raise ValueError("my secret words")

    watched = Watched(tmp_path / "policy.yaml", on_error=fail)
    watched.path.write_text(BROKEN)
    assert watched.later() == 0.3
    assert watched.live.problem is not None
    assert "on_error of the live policy failed: ValueError" in caplog.text
    assert "secret words" not in caplog.text


def test_the_texts_of_prompts_are_never_logged(watched, caplog):
    watched.path.write_text("version: 1\nsafe_prompts: {mine: {en: my secret words, en: my secret words}}")
    watched.later()
    assert watched.errors
    assert "secret words" not in caplog.text


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(tmp_path, seconds):
    with pytest.raises(SettingsError, match="check_every_s"):
        LivePolicy(tmp_path / "policy.yaml", check_every_s=seconds)


def test_zero_looks_each_time(tmp_path):
    watched = Watched(tmp_path / "policy.yaml", check_every_s=0.0)
    watched.path.write_text(BETTER)
    assert alpha(watched.live.current) == 0.6


def test_only_one_thread_looks_and_the_others_go_on_with_what_there_is(watched, monkeypatch):
    looking, go_on, looks = threading.Event(), threading.Event(), []

    def slow(path):
        looks.append(threading.get_ident())
        looking.set()
        assert go_on.wait(30)
        return (0, 0, 0), BETTER.encode()

    monkeypatch.setattr("rose_guard.policy.live._look", slow)
    watched.clock.now = 1.0
    reader = threading.Thread(target=lambda: watched.live.current)
    reader.start()
    assert looking.wait(30)
    watched.clock.now = 5.0
    assert [alpha(watched.live.current) for _ in range(3)] == [0.3] * 3
    go_on.set()
    reader.join(30)
    assert len(looks) == 1
    watched.clock.now = 0.0
    assert alpha(watched.live.current) == 0.6


def test_threads_that_read_while_a_file_is_written_half_only_ever_see_whole_policies(tmp_path):
    """Eight readers, and a writer that truncates and writes in pieces, as an editor may."""
    watched = Watched(tmp_path / "policy.yaml", check_every_s=0.0)
    stop, seen, faults = threading.Event(), set(), []

    def read():
        try:
            while not stop.is_set():
                seen.add(alpha(watched.live.current))
        except Exception as error:  # noqa: BLE001 - a thread's fault is told by the test
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for i in range(40):
        text = BETTER if i % 2 else GOOD
        with watched.path.open("w") as file:
            for piece in (text[:9], text[9:30], text[30:]):
                file.write(piece)
                file.flush()
    stop.set()
    for reader in readers:
        reader.join(30)
    assert faults == []
    assert seen <= {0.3, 0.6}
    watched.later()
    assert watched.later() == 0.6
