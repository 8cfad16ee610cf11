"""Laws of tickets and their streams: who stops reading frees the place, whatever way they stop."""

import asyncio
import gc

import pytest

from rose_guard import DecodingError
from rose_guard.engines import Delta
from rose_guard.engines.ticket import LoopStream, ThreadStream, Ticket

LAST = Delta("b", "stop")


class FakeGeneration:
    cancelled = False


def begun(*items):
    """Enters one generation, and gives these items at once."""
    generation = FakeGeneration()

    def enter(ticket):
        ticket.begin([generation])
        for item in items:
            ticket.give(item) if isinstance(item, Delta) else ticket.fail(item)

    return generation, enter


def as_async(enter):
    async def entered(ticket):
        enter(ticket)

    return entered


async def test_deltas_come_in_order_and_end_after_the_last_one():
    _, enter = begun(Delta("a"), LAST)
    assert list(ThreadStream(enter, None)) == [Delta("a"), LAST]
    assert [delta async for delta in LoopStream(as_async(enter))] == [Delta("a"), LAST]


async def test_an_error_ends_the_stream_and_cancels_what_is_left():
    generation, enter = begun(Delta("a"), DecodingError("x"), LAST)
    stream = ThreadStream(enter, None)
    assert next(stream) == Delta("a")
    with pytest.raises(DecodingError):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)
    assert generation.cancelled
    with pytest.raises(DecodingError):
        [delta async for delta in LoopStream(as_async(enter))]


def test_closing_and_dropping_a_stream_cancels():
    for leave in (ThreadStream.close, id):
        generation, enter = begun(Delta("a"))
        stream = ThreadStream(enter, None)
        leave(stream)
        del stream
        gc.collect()
        assert generation.cancelled


def test_a_stream_that_was_read_to_its_end_cancels_nothing():
    generation, enter = begun(LAST)
    list(ThreadStream(enter, None))
    gc.collect()
    assert not generation.cancelled


async def test_cancelling_a_reader_cancels():
    generation, enter = begun(Delta("a"))
    stream = LoopStream(as_async(enter))
    assert await anext(stream) == Delta("a")
    task = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert generation.cancelled


async def test_a_reader_cancelled_while_it_enters_is_decoded_for_nobody():
    """The worker may begin the request just as its reader goes away."""
    entered, tickets = asyncio.Event(), []

    async def enter(ticket):
        tickets.append(ticket)
        entered.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(anext(LoopStream(enter)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    generation = FakeGeneration()
    tickets[0].begin([generation])
    assert generation.cancelled


def test_a_reader_whose_event_loop_is_gone_is_cancelled():
    def deliver(item):
        raise RuntimeError("Event loop is closed")

    ticket, generation = Ticket(deliver), FakeGeneration()
    ticket.begin([generation])
    ticket.give(Delta("a"))
    assert generation.cancelled


def test_several_answers_end_together():
    given = []
    ticket = Ticket(given.append)
    ticket.begin([FakeGeneration(), FakeGeneration()])
    ticket.give(Delta("a", "stop", index=1))
    ticket.give(Delta("b", "stop", index=0))
    ticket.give(Delta("too late"))
    assert [item and item.text for item in given] == ["a", "b", None]


def test_a_reader_who_must_do_the_work_does_it():
    tickets = []
    stream = ThreadStream(tickets.append, advance=lambda: tickets[0].give(LAST))
    tickets[0].begin([FakeGeneration()])
    assert next(stream) == LAST
