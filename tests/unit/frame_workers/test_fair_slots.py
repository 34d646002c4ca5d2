"""Who gets a slot next."""

import asyncio

import pytest

from castlist.messaging.fair_queue import Turn
from frame_workers.slots.fair_slots import FairSlots
from testkit.eventually import eventually_async


async def serve(slots: FairSlots, video: str, order: list[str], release: asyncio.Event) -> None:
    async with slots.take(Turn("g", video)):
        order.append(video)
        await release.wait()


async def test_a_short_video_comes_before_the_rest_of_a_long_one() -> None:
    """Its one chunk is next, however many of the long video came before it."""
    slots, order = FairSlots(2), list[str]()
    gates = [asyncio.Event() for _ in range(7)]
    videos = ["long"] * 6 + ["short"]
    work = []
    for video, gate in zip(videos, gates, strict=True):
        work.append(asyncio.create_task(serve(slots, video, order, gate)))
        await asyncio.sleep(0)
    assert order == ["long", "long"]
    gates[0].set()
    await asyncio.sleep(0.01)
    assert order == ["long", "long", "short"]
    for gate in gates:
        gate.set()
    await asyncio.gather(*work)
    assert len(order) == 7


async def test_who_is_cancelled_while_waiting_takes_nothing() -> None:
    """Nor does who is cancelled in the moment the permit is granted: all permits are there afterwards."""
    slots, order, gate = FairSlots(1), list[str](), asyncio.Event()
    first = asyncio.create_task(serve(slots, "a", order, gate))
    await asyncio.sleep(0)
    second = asyncio.create_task(serve(slots, "b", order, gate))
    third = asyncio.create_task(serve(slots, "c", order, gate))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    first.cancel()  # grants the permit to the third, which is cancelled before it can run
    await asyncio.sleep(0)
    third.cancel()
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    gate.set()
    async with asyncio.timeout(5):
        await serve(slots, "d", order, gate)
    assert order[-1] == "d"


async def test_jobs_of_one_run_that_are_cancelled_together_cost_no_slot() -> None:
    """The one at work gives its slot back while the others, cancelled too, still stand in the queue."""
    slots, order, gate = FairSlots(1), list[str](), asyncio.Event()
    work = [asyncio.create_task(serve(slots, "a", order, gate)) for _ in range(3)]
    await asyncio.sleep(0)
    for one in work:
        one.cancel()
    results = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    gate.set()
    async with asyncio.timeout(5):
        await serve(slots, "d", order, gate)
    assert order == ["a", "d"]


@pytest.mark.parametrize("size", [1, 3])
async def test_never_more_than_the_permits(size: int) -> None:
    """However many ask."""
    slots = FairSlots(size)
    inside = most = 0

    async def work(video: str) -> None:
        nonlocal inside, most
        async with slots.take(Turn("g", video)):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work(str(number % 4)) for number in range(40)))
    assert most == size


async def test_a_gallery_with_many_videos_holds_up_no_other() -> None:
    """The one video of another gallery is next, and a job that failed comes after both."""
    slots, order = FairSlots(1), list[str]()
    gates = [asyncio.Event() for _ in range(5)]
    turns = [
        Turn("busy", "b0"),
        Turn("busy", "b1", tries=1),
        Turn("busy", "b2"),
        Turn("busy", "b3"),
        Turn("quiet", "q"),
    ]

    async def work(turn: Turn, gate: asyncio.Event) -> None:
        async with slots.take(turn):
            order.append(turn.video)
            await gate.wait()

    tasks = []
    for turn, gate in zip(turns, gates, strict=True):
        tasks.append(asyncio.create_task(work(turn, gate)))
        await asyncio.sleep(0)
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks)
    assert order == ["b0", "q", "b2", "b3", "b1"]


async def test_jobs_that_last_hold_up_no_other_gallery() -> None:
    """While all slots are held for long, others have one in turn; who holds some, and what failed before, waits."""
    slots, order = FairSlots(2, long=0.05), list[str]()
    gates = {gallery: asyncio.Event() for gallery in ("busy", "quiet", "other", "bad")}

    async def work(turn: Turn) -> None:
        async with slots.take(turn):
            order.append(turn.gallery)
            await gates[turn.gallery].wait()

    busy = [asyncio.create_task(work(Turn("busy", f"b{n}"))) for n in range(4)]
    await asyncio.sleep(0)
    turns = (Turn("bad", "b", tries=1), Turn("quiet", "q0"), Turn("quiet", "q1"), Turn("other", "o"))
    others = [asyncio.create_task(work(turn)) for turn in turns]
    await asyncio.sleep(0)
    assert order == ["busy", "busy"]
    await eventually_async(lambda: len(order) == 3)
    await asyncio.sleep(0.2)
    assert order == ["busy", "busy", "quiet"]
    gates["quiet"].set()
    await eventually_async(lambda: len(order) == 4)
    assert order[3] == "other"
    gates["other"].set()
    await eventually_async(lambda: len(order) == 5)
    assert order[4] == "quiet"
    await asyncio.sleep(0.2)
    assert len(order) == 5
    gates["busy"].set()
    gates["bad"].set()
    await asyncio.gather(*busy, *others)
    assert order == ["busy", "busy", "quiet", "other", "quiet", "busy", "busy", "bad"]


async def test_short_jobs_share_the_slots_there_are() -> None:
    """Nothing is lent while they end soon."""
    slots, order, gate = FairSlots(1, long=60), list[str](), asyncio.Event()
    first = asyncio.create_task(serve(slots, "v", order, gate))
    await asyncio.sleep(0)

    async def work() -> None:
        async with slots.take(Turn("quiet", "q")):
            order.append("q")

    second = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    assert order == ["v"]
    gate.set()
    await asyncio.gather(first, second)
    assert order == ["v", "q"]
