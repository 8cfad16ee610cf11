"""Worker: the one thread on which all model work of a process runs.

Two torch thread pools on few cores slow each other down many times over, so classifier and engines share this
thread. An engine hands over its batch a step at a time, so that classifying and decoding take turns.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
P = ParamSpec("P")


class Worker:
    """Runs functions on a thread of its own, for threads and event loops alike.

    The thread starts with the first work. After a fork the child has a thread of its own; at exit the running step is
    awaited.
    """

    _jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
    _thread: threading.Thread | None

    def __init__(self) -> None:
        self._begin_afresh()
        os.register_at_fork(after_in_child=self._begin_afresh)
        atexit.register(self._stop)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` on the worker and wait for what it returns or raises."""
        if self.is_here:
            return function(*args, **kwargs)
        return self._submit(partial(function, *args, **kwargs)).result()

    async def arun(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`run`, without blocking the event loop."""
        if self.is_here:
            return function(*args, **kwargs)
        return await asyncio.wrap_future(self._submit(partial(function, *args, **kwargs)))

    def post(self, call: Callable[[], object]) -> None:
        """Call ``call`` on the worker, after what was handed over before, without waiting."""
        self._submit(call)

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the worker's."""
        return threading.current_thread() is self._thread

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        self._start()
        future: Future[T] = Future()
        self._jobs.put((future, call))
        return future

    def _start(self) -> None:
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._work, name="rose-guard", daemon=True)
                    thread.start()
                    self._thread = thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if future.set_running_or_notify_cancel():
                _settle(future, call)
            del job, future, call  # the last reference to a request's caches must not wait for the next job

    def _begin_afresh(self) -> None:
        self.epoch = object()
        """Another one after a fork, where nothing that was handed over before will be done."""
        self._start_lock = threading.Lock()
        self._jobs = SimpleQueue()
        self._thread = None

    def _stop(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits for it
        future.set_exception(error)


worker = Worker()
"""The process's worker."""
