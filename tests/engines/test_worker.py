"""Laws of the worker: one thread, one step at a time, for threads and event loops alike."""

import asyncio
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
    names |= {asyncio.run(worker.arun(threading.get_ident))}
    assert len(names) == 1
    assert threading.get_ident() not in names


def test_work_that_hands_over_work_does_not_wait_for_itself(worker):
    assert worker.run(lambda: worker.run(lambda: 42)) == 42


def test_errors_reach_the_caller(worker):
    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        worker.run(fail)


def test_what_is_posted_runs_after_what_was_handed_over_before(worker):
    order = []
    worker.post(lambda: order.append("first"))
    worker.post(lambda: order.append("second"))
    worker.run(order.append, "third")
    assert order == ["first", "second", "third"]


def test_a_child_after_a_fork_has_a_worker_of_its_own(worker):
    worker.run(int)
    before = worker.epoch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if worker.run(lambda: 42) == 42 and worker.epoch is not before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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
