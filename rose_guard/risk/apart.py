"""Apart: classifiers that may hang are called on a thread of their own, which is left behind when they are late."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from rose_guard.errors import ClassifierError
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import check_deadline, remaining

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Jobs = SimpleQueue["tuple[Future[Any], Callable[[], Any]]"]

GRACE_S = 1.0
"""How long after its deadline a call is waited for, so that one that asks for it can end by itself."""


class Threads:
    """Threads for calls that may never return. One after another, calls have the same thread while none hangs."""

    def __init__(self) -> None:
        self._begin_afresh()
        os.register_at_fork(after_in_child=self._begin_afresh)

    def run(self, owner: object, call: Callable[[], T]) -> T:
        """What a call gives or raises; without a deadline it is an ordinary call.

        Args:
            owner: whose call it is; while one of its calls is overdue, it is called no more.
            call: what to do, within the deadline in force.

        Raises:
            ClassifierError: if time was up, or is and the call has not returned, or an earlier one has not yet.
        """
        seconds = remaining()
        if seconds is None:
            return call()
        check_deadline()
        if id(owner) in self._overdue:
            raise ClassifierError("an earlier call of the classifier has not returned yet; mend what it waits for")
        future = self._begin(partial(copy_context().run, call))
        if not wait([future], seconds + GRACE_S).done:
            self._leave(future, owner)
            raise ClassifierError(
                "the classifier did not return within the time that the policy's classifier.timeout_s allows; give it "
                "a time limit of its own, and derive it from rose_guard's Classifier if it asks the served model"
            )
        return future.result()

    def _begin(self, call: Callable[[], T]) -> Future[T]:
        try:
            jobs = self._idle.pop()
        except IndexError:
            jobs = SimpleQueue()
            threading.Thread(target=self._serve, args=(jobs,), name="rose-guard-apart", daemon=True).start()
        future: Future[T] = Future()
        jobs.put((future, call))
        return future

    def _leave(self, future: Future[Any], owner: object) -> None:
        """Nothing is asked of the owner until its call returns; until then the call holds it, and so its id."""
        self._overdue.add(id(owner))
        future.add_done_callback(lambda _: self._overdue.discard(id(owner)))

    def _serve(self, jobs: Jobs) -> None:
        while True:
            self._do(jobs, *jobs.get())

    def _do(self, jobs: Jobs, future: Future[Any], call: Callable[[], Any]) -> None:
        settle: Callable[[], None]
        try:
            settle = partial(future.set_result, call())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits for it
            settle = partial(future.set_exception, error)
        self._idle.append(jobs)  # before whoever waits goes on, so that its next call finds this thread
        settle()

    def _begin_afresh(self) -> None:
        self._idle: list[Jobs] = []
        self._overdue: set[int] = set()


_threads = Threads()


def ask(classifier: object, call: Callable[[], T]) -> T:
    """A classifier's call; apart unless it derives from :class:`Classifier`, and so asks whether time is up.

    Raises:
        ClassifierError: if it is late, or whatever the call raises.
    """
    return call() if isinstance(classifier, Classifier) else _threads.run(classifier, call)
