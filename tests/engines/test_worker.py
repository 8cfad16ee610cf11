"""Laws of the worker: one thread, one step at a time, for threads and event loops alike."""

import asyncio
import gc
import os
import threading
import time
import warnings

import pytest

from rose_guard.engines.worker import Worker


@pytest.fixture
def worker():
    return Worker()


def test_everything_runs_on_the_same_one_thread(worker):
    names = {worker.run(threading.get_ident)}
    names |= set(worker.iterate(lambda: iter([threading.get_ident() for _ in range(3)])))
    names |= {asyncio.run(worker.arun(threading.get_ident))}
    assert len(names) == 1
    assert threading.get_ident() not in names


def test_work_that_hands_over_work_does_not_wait_for_itself(worker):
    assert worker.run(lambda: worker.run(lambda: 42)) == 42


def test_errors_reach_the_caller(worker):
    def fail():
        raise KeyError("x")
        yield

    with pytest.raises(KeyError):
        list(worker.iterate(fail))


class Counter:
    """Counts up slowly, and knows whether it was closed."""

    def __init__(self):
        self.steps, self.closed = 0, False

    def __iter__(self):
        try:
            while self.steps < 1000:
                self.steps += 1
                time.sleep(0.005)
                yield self.steps
        finally:
            self.closed = True


def test_dropping_an_iterator_closes_it(worker):
    counter = Counter()
    steps = worker.iterate(lambda: iter(counter))
    next(steps)
    steps.close()
    worker.run(int)
    assert counter.closed
    assert counter.steps == 1


async def test_cancelling_a_task_stops_within_a_step(worker):
    counter = Counter()

    async def read():
        async for _ in worker.aiterate(lambda: iter(counter)):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    at_cancel = counter.steps
    await worker.arun(lambda: None)
    assert counter.closed
    assert counter.steps <= at_cancel + 1


def test_two_iterators_take_turns(worker):
    order = []

    def record(name):
        for i in range(3):
            order.append(name)
            yield i

    first, second = worker.iterate(lambda: record("a")), worker.iterate(lambda: record("b"))
    for _ in range(3):
        next(first)
        next(second)
    assert order == ["a", "b"] * 3
    first.close()
    second.close()


def test_a_child_after_a_fork_has_a_worker_of_its_own(worker):
    worker.run(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if worker.run(lambda: 42) == 42 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_iterators_that_the_garbage_collector_drops_are_closed_and_block_nothing(worker):
    counters = [Counter() for _ in range(20)]
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for counter in counters:
            cycle = [worker.iterate(lambda counter=counter: iter(counter))]
            next(cycle[0])
            cycle.append(cycle)
            del cycle
            worker.run(int)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    worker.run(int)
    assert all(counter.closed for counter in counters)


def test_an_event_loop_on_the_worker_does_not_wait_for_itself(worker):
    async def ask():
        return await worker.arun(lambda: 42)

    assert worker.run(lambda: asyncio.run(ask())) == 42


async def test_the_event_loop_runs_on_while_the_worker_works(worker):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticker = asyncio.create_task(tick())
    await worker.arun(time.sleep, 0.1)
    ticker.cancel()
    assert ticks > 5
