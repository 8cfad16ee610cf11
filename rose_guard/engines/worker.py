"""Worker: the one thread on which all model work of a process runs.

Two torch thread pools on few cores slow each other down many times over, so classifier and engine share this
thread. Decoding is handed over a step at a time, so that requests take turns, and an iterator that its reader drops
is closed before the next step.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

T = TypeVar("T")
P = ParamSpec("P")

_END = object()


class Worker:
    """Runs functions and iterators on a thread of its own, for threads and event loops alike.

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
        if self._is_here:
            return function(*args, **kwargs)
        return self._submit(partial(function, *args, **kwargs)).result()

    async def arun(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`run`, without blocking the event loop."""
        if self._is_here:
            return function(*args, **kwargs)
        return await asyncio.wrap_future(self._submit(partial(function, *args, **kwargs)))

    def iterate(self, make: Callable[[], Iterator[T]]) -> Generator[T]:
        """The iterator that ``make`` gives, each of its steps run on the worker."""
        iterator = self.run(make)
        try:
            while (item := self.run(next, iterator, _END)) is not _END:
                yield cast("T", item)
        finally:
            self._close(iterator)

    async def aiterate(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T]:
        """As :meth:`iterate`, without blocking the event loop; cancelling it closes the iterator."""
        iterator = await self.arun(make)
        try:
            while (item := await self.arun(cast("Callable[[], T]", partial(next, iterator, _END)))) is not _END:
                yield item
        finally:
            self._close(iterator)

    @property
    def _is_here(self) -> bool:
        return threading.current_thread() is self._thread

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        self._start()
        future: Future[T] = Future()
        self._jobs.put((future, call))
        return future

    def _close(self, iterator: Iterator[object]) -> None:
        """Close an iterator before the next step, without waiting.

        The garbage collector may call this in the middle of anything, so it must take no lock: SimpleQueue.put is
        the one way of handing over that is safe there.
        """
        close = getattr(iterator, "close", None)
        if close is not None:
            self._jobs.put((Future(), close))

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
