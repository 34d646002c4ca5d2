"""The loop around a handler, over a log in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from castlist.adapters.memory.messages import MemoryLog
from castlist.contract.events import Event, VideoUploaded
from castlist.contract.topics import VIDEO_UPLOADED
from castlist.contract.values import StoredObject
from castlist.messaging.consumer import Consumer
from castlist.messaging.delivery import LeftToOthersError, PostponedError
from castlist.messaging.liveness import Liveness
from testkit.eventually import eventually_async

ONE_PARTITION = replace(VIDEO_UPLOADED, partitions=1)


def uploaded(gallery: str, video: str) -> VideoUploaded:
    """A video was announced."""
    return VideoUploaded(
        event_id=video,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        video_id=video,
        gallery=gallery,
        object=StoredObject(bucket="castlist", key=video),
    )


@dataclass
class Recorder:
    """Handles what it is let; `failing` videos fail so often before."""

    failing: dict[str, int] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    cannot: set[str] = field(default_factory=set)

    async def handle(self, event: Event) -> None:
        assert isinstance(event, VideoUploaded)
        self.begun.append(event.video_id)
        if event.video_id in self.cannot:
            raise LeftToOthersError("no detector")
        if event.gallery in self.gates:
            await self.gates[event.gallery].wait()
        if self.failing.get(event.video_id, 0) > 0:
            self.failing[event.video_id] -= 1
            raise PostponedError(1)
        self.ended.append(event.video_id)

    async def fail(self, event: Event, error: Exception) -> None:
        raise AssertionError(f"{event} failed") from error


@asynccontextmanager
async def consuming(log: MemoryLog, recorder: Recorder, each: int, in_order: bool = False) -> AsyncIterator[None]:
    """A consumer of the one partition, while inside."""
    stopping = asyncio.Event()
    async with log.subscribe([ONE_PARTITION], "g") as subscription:
        consumer = Consumer(
            subscription, ONE_PARTITION, recorder, log.publisher(), Liveness(), each=each, in_order=in_order
        )
        running = asyncio.create_task(consumer.run(stopping, drain=0.0))
        yield
        stopping.set()
        await running


async def until(condition: Callable[[], bool]) -> None:
    await eventually_async(condition, 20)


async def test_what_lies_behind_a_busy_gallery_in_one_partition_goes_on() -> None:
    """However many of its messages come before, and however long they take."""
    log = MemoryLog([ONE_PARTITION])
    await log.publisher().publish(*(uploaded("busy", f"b{n}") for n in range(200)), uploaded("quiet", "q"))
    recorder = Recorder(gates={"busy": asyncio.Event()})
    async with consuming(log, recorder, each=3):
        await until(lambda: recorder.ended == ["q"])
        assert recorder.begun == ["b0", "b1", "b2", "q"]
        recorder.gates["busy"].set()
        await until(lambda: len(recorder.ended) == 201)
    async with log.subscribe([ONE_PARTITION], "g") as next_member:
        assert await next_member.receive(0.05) is None


async def test_what_failed_waits_behind_what_was_not_tried() -> None:
    """And is acknowledged once, when it is done."""
    log = MemoryLog([ONE_PARTITION])
    await log.publisher().publish(uploaded("g", "bad"), *(uploaded("g", f"v{n}") for n in range(20)))
    recorder = Recorder(failing={"bad": 1})
    async with consuming(log, recorder, each=1):
        await until(lambda: len(recorder.ended) == 21)
    assert recorder.begun[0] == recorder.begun[-1] == "bad"
    assert len(recorder.begun) == 22


async def test_what_was_not_done_comes_again() -> None:
    """A process that ends leaves it, and what it has done behind it is not lost either."""
    log = MemoryLog([ONE_PARTITION])
    await log.publisher().publish(uploaded("busy", "b"), uploaded("quiet", "q"))
    recorder = Recorder(gates={"busy": asyncio.Event()})
    async with consuming(log, recorder, each=1):
        await until(lambda: recorder.ended == ["q"])
    following = Recorder()
    async with consuming(log, following, each=1):
        await until(lambda: "b" in following.ended)


async def test_a_process_that_lacks_what_a_message_needs_leaves_it_to_another() -> None:
    """It ends by itself, takes no more and acknowledges nothing that it did not do."""
    log = MemoryLog([ONE_PARTITION])
    await log.publisher().publish(*(uploaded("g", f"v{n}") for n in range(4)))
    lacking, able = Recorder(cannot={"v1"}), Recorder()
    async with log.subscribe([ONE_PARTITION], "g") as subscription:
        consumer = Consumer(subscription, ONE_PARTITION, lacking, log.publisher(), Liveness(), each=1)
        await asyncio.wait_for(consumer.run(asyncio.Event(), drain=0.0), 20)
        assert str(consumer.left_to_others) == "no detector"
    assert (lacking.begun, lacking.ended) == (["v0", "v1"], ["v0"])
    async with consuming(log, able, each=1):
        await until(lambda: able.ended == ["v1", "v2", "v3"])


async def test_what_waits_and_moves_to_another_member_is_left_to_it() -> None:
    """It would be worked on twice."""
    log = MemoryLog([ONE_PARTITION])
    await log.publisher().publish(*(uploaded("busy", f"b{n}") for n in range(5)))
    recorder, gate = Recorder(gates={"busy": asyncio.Event()}), asyncio.Event()

    class Moved:
        """A subscription whose partition is another member's once `gate` is set."""

        def __init__(self, inner: object) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

        def holds(self, message: object) -> bool:
            return not gate.is_set()

    stopping = asyncio.Event()
    async with log.subscribe([ONE_PARTITION], "g") as subscription:
        moved = Moved(subscription)
        consumer = Consumer(moved, ONE_PARTITION, recorder, log.publisher(), Liveness(), each=1)  # type: ignore[arg-type]
        running = asyncio.create_task(consumer.run(stopping, drain=1.0))
        await until(lambda: recorder.begun == ["b0"])
        await asyncio.sleep(0.05)
        gate.set()
        recorder.gates["busy"].set()
        await until(lambda: len(consumer._waiting) == 0)
        stopping.set()
        await running
    assert recorder.begun == ["b0"]


async def test_messages_about_one_video_are_handled_in_their_order() -> None:
    """Of two announcements under one id the first counts, in whichever gallery the other is; other videos go on, and
    one that is tried again holds up those behind it alone."""
    log = MemoryLog([ONE_PARTITION])
    first, other, again, beside = (uploaded(*one) for one in (("a", "v"), ("b", "v"), ("b", "v"), ("b", "w")))
    await log.publisher().publish(first, other, again, beside)
    recorder = Recorder(gates={"a": asyncio.Event()}, failing={"v": 1})
    async with consuming(log, recorder, each=3, in_order=True):
        await until(lambda: recorder.ended == ["w"])
        assert recorder.begun == ["v", "w"]
        recorder.gates["a"].set()
        await until(lambda: recorder.ended == ["w", "v", "v", "v"])
        assert len(recorder.begun) == 5
