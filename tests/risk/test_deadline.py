"""A late assessment is none."""

import time

import pytest

from rose_guard import ClassifierError
from rose_guard.risk.deadline import check_deadline, deadline, remaining


def test_without_a_deadline_there_is_time():
    check_deadline()
    assert remaining() is None
    with deadline(None):
        check_deadline()


def test_what_asks_after_the_end_is_stopped():
    reached = []
    with pytest.raises(ClassifierError, match="timeout_s"), deadline(0.01):  # noqa: PT012 - where it stops is the law
        time.sleep(0.02)
        check_deadline()
        reached.append("went on")
    assert not reached


def test_what_never_asks_is_late_all_the_same():
    with pytest.raises(ClassifierError, match="timeout_s"), deadline(0.01):
        time.sleep(0.02)


def test_an_inner_deadline_cannot_reach_beyond_the_outer_one():
    with deadline(0.5), deadline(60):
        assert remaining() <= 0.5
    with deadline(60), deadline(0.5):
        assert remaining() <= 0.5


def test_a_deadline_ends_with_its_block_however_that_ends():
    with pytest.raises(ZeroDivisionError), deadline(5):
        raise ZeroDivisionError
    assert remaining() is None
