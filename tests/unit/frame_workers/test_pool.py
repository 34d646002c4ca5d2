"""Slots with real processes behind them."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from castlist.children.child import Bounds, ChildLostError, JobError
from castlist.children.messages import JobMessage, JobRejectedError
from castlist.messaging.fair_queue import Turn
from castlist.ports.errors import UnavailableError
from frame_workers.slots.pool import Pool
from testkit.eventually import eventually_async

STUB = Path(__file__).with_name("stub_child.py")
AMPLE = Bounds(cpu_seconds=60, seconds=60, memory=4 * 2**30)


def stub_command() -> list[str]:
    return [sys.executable, str(STUB), str(os.getpid())]


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with Pool(2, stub_command()) as made:
        yield made


async def run(pool: Pool, bounds: Bounds = AMPLE, video: str = "v", **order: object) -> JobMessage:
    async with pool.slot(Turn("g", video)) as child:
        return await child.run(order, bounds, lambda _: None)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until_gone(*pids: int) -> None:
    async with asyncio.timeout(30):
        while not all(map(is_gone, pids)):  # noqa: ASYNC110 - the kernel tells nobody but the parent
            await asyncio.sleep(0.02)


async def test_a_job_gives_its_result_whatever_is_printed_meanwhile(pool: Pool) -> None:
    """Frames arrive whole although the job writes to stdout, also those far larger than a pipe."""
    value = "x" * 3_000_000
    assert (await run(pool, do="echo", value=value))["value"] == value


async def test_a_child_stays_warm(pool: Pool) -> None:
    """One process does one job after the other."""
    async with pool.slot(Turn("g", "v")) as child:
        first = await child.run({"do": "echo"}, AMPLE, lambda _: None)
        assert await child.run({"do": "echo"}, AMPLE, lambda _: None) == first


async def test_progress_is_told(pool: Pool) -> None:
    """While the job runs, never falling."""
    told: list[float] = []
    async with pool.slot(Turn("g", "v")) as child:
        await child.run({"do": "sleep", "seconds": 1.0}, AMPLE, told.append)
    assert told
    assert told == sorted(told)


async def test_a_crash_costs_its_own_job_and_no_neighbour(pool: Pool) -> None:
    """The job beside it ends well, and the slot works again, on another process."""
    neighbour = asyncio.create_task(run(pool, do="sleep", seconds=1.5, value="well"))
    await asyncio.sleep(0.2)
    async with pool.slot(Turn("g", "other")) as child:
        before = await child.run({"do": "echo"}, AMPLE, lambda _: None)
        with pytest.raises(ChildLostError) as lost:
            await child.run({"do": "crash"}, AMPLE, lambda _: None)
        assert lost.value.reason == "crashed"
        assert "-11" in str(lost.value)
        assert (await child.run({"do": "echo"}, AMPLE, lambda _: None))["pid"] != before["pid"]
    assert (await neighbour)["value"] == "well"


async def test_a_closed_pool_starts_nothing() -> None:
    """A job that still runs when the slots close is lost, and nobody waits for another process."""
    at_work = asyncio.Event()
    async with Pool(1, stub_command()) as pool, pool.slot(Turn("g", "v")) as child:
        job = asyncio.create_task(child.run({"do": "sleep", "seconds": 60}, AMPLE, lambda _: at_work.set()))
        await at_work.wait()
    with pytest.raises(ChildLostError):
        await job
    assert child.pid is None


async def test_a_job_that_waits_for_a_closed_child_is_refused() -> None:
    """It need not wait any longer."""
    async with Pool(1, stub_command()) as pool:
        job = asyncio.create_task(run(pool, do="echo"))
        await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await job
    with pytest.raises(UnavailableError):
        await run(pool, do="echo")


async def test_a_job_that_takes_too_long_is_killed(pool: Pool) -> None:
    """Also where it gives no sign of life, and takes no CPU."""
    with pytest.raises(ChildLostError) as lost:
        await run(pool, replace(AMPLE, seconds=0.5), do="sleep", seconds=60)
    assert lost.value.reason == "overran_time"


async def test_a_job_that_takes_too_much_cpu_is_killed(pool: Pool) -> None:
    """What it takes is measured, in one job after the other on a process that has spent more before."""
    bounds = replace(AMPLE, cpu_seconds=1.0)
    async with pool.slot(Turn("g", "v")) as child:
        for _ in range(3):
            await child.run({"do": "burn", "seconds": 0.6}, bounds, lambda _: None)
            assert 0.5 < child.cpu_seconds < 1.0
        with pytest.raises(ChildLostError) as lost:
            await child.run({"do": "burn", "seconds": 60}, bounds, lambda _: None)
    assert lost.value.reason == "overran_cpu"


async def test_a_job_that_waits_spends_none_of_its_cpu(pool: Pool) -> None:
    """A disk that stalls is not the file's fault."""
    async with pool.slot(Turn("g", "v")) as child:
        await child.run({"do": "sleep", "seconds": 1.5}, replace(AMPLE, cpu_seconds=0.5), lambda _: None)
        assert child.cpu_seconds < 0.5


async def test_a_job_that_takes_too_much_memory_is_killed(pool: Pool) -> None:
    """Resident memory counts: libraries reserve address space by the terabyte."""
    with pytest.raises(ChildLostError) as lost:
        await run(pool, replace(AMPLE, memory=300 * 2**20), do="grow")
    assert lost.value.reason == "overran_memory"


async def test_a_refusal_and_a_bug_leave_the_child_alive(pool: Pool) -> None:
    """They are answers, not accidents."""
    async with pool.slot(Turn("g", "v")) as child:
        before = await child.run({"do": "echo"}, AMPLE, lambda _: None)
        with pytest.raises(JobRejectedError) as refused:
            await child.run({"do": "refuse"}, AMPLE, lambda _: None)
        assert refused.value.code == "not_a_video"
        with pytest.raises(JobError, match="ZeroDivisionError: what nobody foresaw"):
            await child.run({"do": "bug"}, AMPLE, lambda _: None)
        assert await child.run({"do": "echo"}, AMPLE, lambda _: None) == before


async def test_a_child_that_talks_nonsense_is_replaced(pool: Pool) -> None:
    """Whoever took it over gets a dead process for it."""
    async with pool.slot(Turn("g", "v")) as child:
        before = await child.run({"do": "echo"}, AMPLE, lambda _: None)
        with pytest.raises(ChildLostError):
            await child.run({"do": "garble"}, AMPLE, lambda _: None)
        assert (await child.run({"do": "echo"}, AMPLE, lambda _: None))["pid"] != before["pid"]


async def test_a_cancel_kills_the_process(pool: Pool) -> None:
    """When the cancelled job has ended its process is gone, and only that one."""
    async with pool.slot(Turn("g", "v")) as child, pool.slot(Turn("g", "w")) as neighbour:
        pid = (await child.run({"do": "echo"}, AMPLE, lambda _: None))["pid"]
        other = await neighbour.run({"do": "echo"}, AMPLE, lambda _: None)
        job = asyncio.create_task(child.run({"do": "sleep", "seconds": 60}, AMPLE, lambda _: None))
        await asyncio.sleep(0.3)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert is_gone(pid)
        assert await neighbour.run({"do": "echo"}, AMPLE, lambda _: None) == other


async def test_an_idle_child_that_was_killed_is_noticed(pool: Pool) -> None:
    """The next job in its slot finds another one."""
    async with pool.slot(Turn("g", "v")) as child:
        pid = (await child.run({"do": "echo"}, AMPLE, lambda _: None))["pid"]
        os.kill(pid, signal.SIGKILL)
        await until_gone(pid)
        await asyncio.sleep(0.2)
        assert (await child.run({"do": "echo"}, AMPLE, lambda _: None))["pid"] != pid


async def test_children_end_with_the_pool() -> None:
    """Nothing is left, not even what was in the middle of a job."""
    async with Pool(2, stub_command()) as pool:
        async with pool.slot(Turn("g", "v")) as child:
            await child.run({"do": "echo"}, AMPLE, lambda _: None)
        pids = [child.pid for child in pool.children if child.pid]
    assert pids
    assert all(map(is_gone, pids))


async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """`kill -9` leaves the parent no time to tell them."""
    program = textwrap.dedent(f"""
        import asyncio, os, sys
        from frame_workers.slots.pool import Pool
        from castlist.children.child import Bounds
        async def main():
            async with Pool(1, [sys.executable, {str(STUB)!r}, str(os.getpid())]) as pool:
                bounds = Bounds(60, 60, 2**32)
                for child in pool.children:
                    await child.run({{"do": "echo"}}, bounds, print)
                print(*(child.pid for child in pool.children), flush=True)
                order = {{"do": "sleep", "seconds": 60}}
                await asyncio.gather(*(child.run(order, bounds, lambda _: None) for child in pool.children))
        asyncio.run(main())
    """)
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert not any(map(is_gone, pids))
    parent.kill()
    await parent.wait()
    await until_gone(*pids)


async def test_a_child_that_cannot_start_is_nobodys_fault() -> None:
    """It counts as a server that is away, not against the video."""
    async with Pool(1, [sys.executable, "-c", "raise SystemExit(3)"]) as pool:
        with pytest.raises(UnavailableError, match="does not start"):
            await run(pool, do="echo")
        with pytest.raises(UnavailableError, match="1 of 1"):
            await pool.check()


async def test_keys_of_the_servers_stay_with_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child reads hostile bytes: it gets no environment that is of use to anyone."""
    monkeypatch.setenv("S3_SECRET_KEY", "a secret")
    async with Pool(1, stub_command()) as pool:
        pid = (await run(pool, do="echo"))["pid"]
        environment = psutil.Process(pid).environ()
    assert "S3_SECRET_KEY" not in environment
    assert environment["OMP_NUM_THREADS"] == "1"


async def test_the_memory_of_pictures_is_given_back(pool: Pool) -> None:
    """A slot lives for weeks: what is found between pictures does not keep the memory of all of them."""
    memory = await run(pool, do="pictures")
    assert memory["grown"] < memory["kept"] + 10_000_000


async def test_what_a_job_took_is_given_back_after_it() -> None:
    """Also what lies in a heap before the little that outlives the job."""
    async with Pool(1, stub_command()) as pool:
        torn = await run(pool, do="tear")
        assert (await run(pool, do="rest"))["resident"] < torn["before"] + 10_000_000


async def test_a_gallery_that_has_no_slot_is_lent_one_while_jobs_last() -> None:
    """Its child is there before it is needed: it would start slowly beside jobs that last."""
    async with Pool(1, stub_command()) as pool, pool.slot(Turn("busy", "v")) as child:
        await eventually_async(lambda: pool.children[-1].ready, 20)
        there = pool.children[-1].pid
        job = asyncio.create_task(child.run({"do": "sleep", "seconds": 60}, AMPLE, lambda _: None))
        async with pool.slot(Turn("quiet", "q")) as lent:
            assert (await lent.run({"do": "echo", "value": 1}, AMPLE, lambda _: None))["value"] == 1
            assert not job.done()
        assert lent.pid == there
        await pool.check()
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
