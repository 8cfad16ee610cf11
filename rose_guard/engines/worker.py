"""Worker: the one thread on which all model work of a process runs.

Two torch thread pools on few cores slow each other down many times over, so classifier and engine share this
thread. Work is handed over a step at a time: requests take turns, and an iterator that its reader drops is
closed before the next step.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

T = TypeVar("T")
P = ParamSpec("P")

_END = object()


class Worker:
    """Runs functions and iterators on a thread of its own, for threads and event loops alike."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rose-guard", initializer=self._mark)
        self._thread = threading.local()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` on the worker and wait for what it returns or raises."""
        if self._is_here:
            return function(*args, **kwargs)
        return self._executor.submit(function, *args, **kwargs).result()

    async def arun(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`run`, without blocking the event loop."""
        return await asyncio.wrap_future(self._executor.submit(function, *args, **kwargs))

    def iterate(self, make: Callable[[], Iterator[T]]) -> Generator[T]:
        """The iterator that ``make`` gives, each of its steps run on the worker."""
        iterator = self.run(make)
        try:
            while (item := self.run(next, iterator, _END)) is not _END:
                yield cast("T", item)
        finally:
            self.run(_close, iterator)

    async def aiterate(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T]:
        """As :meth:`iterate`, without blocking the event loop; cancelling it closes the iterator."""
        iterator = await self.arun(make)
        try:
            while (item := await self.arun(cast("Callable[[], T]", partial(next, iterator, _END)))) is not _END:
                yield item
        finally:
            self._executor.submit(_close, iterator)

    def _mark(self) -> None:
        self._thread.is_worker = True

    @property
    def _is_here(self) -> bool:
        return getattr(self._thread, "is_worker", False)


def _close(iterator: Iterator[object]) -> None:
    if close := getattr(iterator, "close", None):
        close()


worker = Worker()
"""The process's worker."""
