"""Ticket: one request's place in an engine, and the streams through which threads and event loops read it."""

from __future__ import annotations

import asyncio
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from rose_guard.engines.engine import Delta

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rose_guard.decoding.generation import Generation

Item: TypeAlias = Delta | BaseException | None
"""What a reader gets: a delta, the error that ended the request, or None at its end."""


class Ticket:
    """A request, from before it is encoded until its last delta.

    Args:
        deliver: takes each item, on the worker's thread.
    """

    def __init__(self, deliver: Callable[[Item], object]) -> None:
        self.over = False
        self._deliver = deliver
        self._generations: Sequence[Generation] = ()
        self._unfinished = 0

    def begin(self, generations: Sequence[Generation]) -> None:
        """Name the answers in the making; they are cancelled at once where nobody waits any more."""
        self._generations = generations
        self._unfinished = len(generations)
        if self.over:
            self.cancel()

    def cancel(self) -> None:
        """Free the place before the next step. Takes no lock, so the garbage collector may call it."""
        self.over = True
        for generation in self._generations:
            generation.cancelled = True

    def give(self, delta: Delta) -> None:
        """Hand over a delta, and with the last answer's last one the end."""
        if self.over:
            return
        self._hand_over(delta)
        if delta.finish_reason is not None:
            self._unfinished -= 1
            if not self._unfinished:
                self.over = True
                self._hand_over(None)

    def fail(self, error: BaseException) -> None:
        """End the request, all of its answers, with an error."""
        if not self.over:
            self.cancel()
            self._hand_over(error)

    def _hand_over(self, item: Item) -> None:
        try:
            self._deliver(item)
        except RuntimeError:  # the reader's event loop is gone, and nobody waits any more
            self.cancel()


class ThreadStream:
    """Deltas for a thread.

    Args:
        enter: begins the request.
        advance: called instead of waiting, where the reader is the one who must do the work; None waits.
    """

    def __init__(self, enter: Callable[[Ticket], None], advance: Callable[[], None] | None) -> None:
        self._inbox: SimpleQueue[Item] = SimpleQueue()
        self._advance = advance
        self._ticket = Ticket(self._inbox.put)
        self._closed = False
        try:
            enter(self._ticket)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> ThreadStream:
        return self

    def __next__(self) -> Delta:
        if self._closed:
            raise StopIteration
        try:
            while self._advance is not None and self._inbox.empty():
                self._advance()
            item = self._inbox.get()
        except BaseException:  # interrupted from the keyboard
            self.close()
            raise
        if isinstance(item, Delta):
            return item
        self._closed = True
        raise item or StopIteration

    def close(self) -> None:
        """Stop decoding."""
        self._closed = True
        self._ticket.cancel()

    def __del__(self) -> None:
        if not self._closed:
            self.close()


class LoopStream:
    """Deltas for an event loop; begins when first read.

    Args:
        enter: begins the request without blocking the loop.
    """

    def __init__(self, enter: Callable[[Ticket], Awaitable[None]]) -> None:
        self._enter = enter
        self._inbox: asyncio.Queue[Item] = asyncio.Queue()
        self._ticket: Ticket | None = None
        self._closed = False

    def __aiter__(self) -> LoopStream:
        return self

    async def __anext__(self) -> Delta:
        if self._closed:
            raise StopAsyncIteration
        try:
            if self._ticket is None:
                loop = asyncio.get_running_loop()
                self._ticket = Ticket(lambda item: loop.call_soon_threadsafe(self._inbox.put_nowait, item))
                await self._enter(self._ticket)
            item = await self._inbox.get()
        except BaseException:  # cancelled, or refused
            self._close()
            raise
        if isinstance(item, Delta):
            return item
        self._closed = True
        raise item or StopAsyncIteration

    async def aclose(self) -> None:
        """Stop decoding."""
        self._close()

    def _close(self) -> None:
        self._closed = True
        if self._ticket is not None:
            self._ticket.cancel()

    def __del__(self) -> None:
        if not self._closed:
            self._close()
