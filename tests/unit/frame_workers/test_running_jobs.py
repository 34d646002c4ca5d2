"""Stopping what runs here."""

import asyncio

import pytest

from frame_workers.running_jobs import RunCancelledError, RunningJobs


async def sleep_then(value: int, ended: asyncio.Event | None = None) -> int:
    try:
        await asyncio.sleep(30 if ended else 0)
    finally:
        if ended:
            ended.set()
    return value


async def test_a_stop_ends_the_work_on_that_attempt_alone() -> None:
    """It has ended when the one who waits for it hears of it."""
    running, ended, other = RunningJobs(), asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(running.stoppable("v:1", sleep_then(1, ended)))
    neighbour = asyncio.create_task(running.stoppable("v:2", sleep_then(1, other)))
    await asyncio.sleep(0.01)
    running.stop("v:1")
    with pytest.raises(RunCancelledError):
        await work
    assert ended.is_set()
    assert not other.is_set()
    neighbour.cancel()
    with pytest.raises(asyncio.CancelledError):
        await neighbour
    assert other.is_set()


async def test_a_stop_that_comes_first_is_remembered() -> None:
    """Work that comes after it does not begin; that of another attempt does."""
    running = RunningJobs()
    running.stop("v:1")
    assert running.is_stopped("v:1")
    with pytest.raises(RunCancelledError):
        await running.stoppable("v:1", sleep_then(1))
    assert await running.stoppable("v:2", sleep_then(2)) == 2


async def test_what_the_work_raises_is_raised() -> None:
    """Nothing gets lost in between."""

    async def fail() -> None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        await RunningJobs().stoppable("v:1", fail())
