"""What may hang is left behind when it is late; what does not hang is called as ever."""

import contextvars
import os
import sys
import threading
import time

import pytest

from rose_guard.errors import ClassifierError
from rose_guard.risk import apart
from rose_guard.risk.apart import ask
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import deadline, remaining


@pytest.fixture
def event():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(apart, "GRACE_S", 0.01)


class Ours(Classifier):
    name = "ours"

    def assess(self, messages):
        raise NotImplementedError


def here():
    return threading.current_thread()


def left_behind(owner, event):
    with pytest.raises(ClassifierError, match="did not return"), deadline(0.01):
        ask(owner, lambda: event.wait(60))


def test_without_a_deadline_and_for_our_own_the_call_stays_on_its_thread():
    assert ask(object(), here) is here()
    with deadline(60):
        assert ask(Ours(), here) is here()


def test_one_call_after_another_has_the_same_thread_which_keeps_no_process_alive():
    with deadline(60):
        first, second, other = ask(Ours, here), ask(Ours, here), ask(object(), here)
    assert first is second is other is not here()
    assert first.daemon


def test_what_hangs_is_left_behind_in_time(event):
    started = time.monotonic()
    left_behind(object(), event)
    assert time.monotonic() - started < 10


def test_one_that_still_hangs_is_not_called_again_until_it_returned_and_others_are(event):
    hanging, calls = object(), []
    left_behind(hanging, event)
    with pytest.raises(ClassifierError, match="an earlier call"), deadline(60):
        ask(hanging, lambda: calls.append(1))
    assert not calls
    with deadline(60):
        assert ask(object(), lambda: 2) == 2
    event.set()
    assert until(lambda: answers(hanging))


def test_what_is_overdue_and_then_fails_may_be_called_again_too(event):
    def fails():
        event.wait(60)
        raise ValueError

    hanging = object()
    with pytest.raises(ClassifierError, match="did not return"), deadline(0.01):
        ask(hanging, fails)
    event.set()
    assert until(lambda: answers(hanging))


def answers(owner):
    try:
        with deadline(60):
            return ask(owner, lambda: True)
    except ClassifierError:
        return False


def until(holds):
    return any(holds() or time.sleep(0.01) for _ in range(1000))


def test_one_that_asks_ends_by_itself_within_the_grace(monkeypatch):
    monkeypatch.setattr(apart, "GRACE_S", 30)

    def asks():
        while remaining():
            time.sleep(0.001)
        raise ClassifierError("in its own words")

    with pytest.raises(ClassifierError, match="in its own words"), deadline(0.01):
        ask(object(), asks)


@pytest.mark.parametrize("fault", [ValueError("own"), TimeoutError("own"), KeyboardInterrupt("own"), SystemExit("own")])
def test_what_it_raises_is_raised(fault):
    def fails():
        raise fault

    with pytest.raises(type(fault), match="own"), deadline(60):
        ask(object(), fails)


def test_it_sees_the_deadline_and_the_context_of_whoever_asks():
    variable = contextvars.ContextVar("variable")
    variable.set("set")
    with deadline(60):
        seconds, value = ask(object(), lambda: (remaining(), variable.get()))
    assert 0 < seconds <= 60
    assert value == "set"


def test_when_time_is_up_already_nothing_is_called():
    calls = []
    with pytest.raises(ClassifierError, match="timeout_s"), deadline(0.001):  # noqa: PT012 - what is not reached is the law
        time.sleep(0.01)
        ask(object(), lambda: calls.append(1))
    assert not calls


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is nothing to fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(event):
    hanging = object()
    left_behind(hanging, event)
    with deadline(60):
        ask(object(), here)
    child = os.fork()
    if child == 0:
        os._exit(0 if answers(hanging) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, sys.platform
