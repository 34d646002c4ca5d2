"""A round of the reconciler, of which one part fails, or which finds more than is good for one round."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from castlist.contract import ids, values
from castlist.contract.errors import PermanentError
from castlist.contract.events import VideoUploaded
from castlist.ports.errors import MessageTooLargeError, UnavailableError
from castlist.service.metrics import OLDEST_TASK
from castlist.store import kafka_topics
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.tasks import TaskRecord
from castlist.tasks.registration import register
from profile_aggregator import reconciler
from profile_aggregator.reconciler import Reconciler
from profile_aggregator.videos.handlers import VideoHandlers
from testkit.in_memory import InMemory

AFTER = 30.0


class Rounds:
    """Aggregators that reconcile on the same servers; nobody else does anything."""

    def __init__(self) -> None:
        self.servers = InMemory()
        self.rung: list[str] = []

    def reconciler(self, publisher: Any = None) -> Reconciler:
        """One of them."""
        servers = self.servers
        publisher = publisher or servers.publisher
        videos = VideoHandlers(servers.store, servers.objects, publisher, self.clock)
        return Reconciler(servers.store, publisher, servers.relay(), videos, self.rung.append, self.clock, AFTER)

    def clock(self) -> datetime:
        """A round takes no time."""
        return self.servers.now

    async def open_tasks(self, count: int) -> list[str]:
        """Videos that were announced, and that no worker has planned."""
        names = [f"v{number:05}" for number in range(count)]
        for name in names:
            reference = values.StoredObject(bucket="castlist", key=f"other/{name}", etag="e")
            event = VideoUploaded(
                event_id=name, occurred_at=self.servers.now, video_id=name, gallery="g", object=reference, name=name
            )
            await register(self.servers.stored, event, self.servers.now)
        return names

    def later(self, seconds: float = AFTER + 1) -> None:
        """So much time passes."""
        self.servers.now += timedelta(seconds=seconds)

    def announced(self) -> list[str]:
        """The videos that were announced again, each time."""
        return [message.key.decode() for message in self.servers.messages("video.uploaded") if message.key]

    async def task(self, video: str) -> TaskRecord:
        """How the task of a video is."""
        task = await self.servers.stored.tasks.get(ids.task_id(video, 1))
        assert task is not None
        return task


class Refusing:
    """A publisher that fails for some of the videos."""

    def __init__(self, publisher: Any, error: Exception, *videos: str) -> None:
        self._publisher, self._error, self._videos = publisher, error, videos

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)

    async def publish(self, *events: Any) -> None:
        """Unless one is about such a video."""
        if any(event.video_id in self._videos for event in events):
            raise self._error
        await self._publisher.publish(*events)


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


@pytest.mark.parametrize(
    "error", [MessageTooLargeError("1 MiB"), TypeError("a mistake"), KeyError("another"), PermanentError("for good")]
)
async def test_a_task_that_cannot_be_announced_holds_up_no_other(rounds: Rounds, error: Exception) -> None:
    """Those behind it are announced; it has failed, with the reason."""
    first, *others = await rounds.open_tasks(4)
    rounds.later()
    await rounds.reconciler(Refusing(rounds.servers.publisher, error, first)).run()
    assert sorted(rounds.announced()) == others
    task = await rounds.task(first)
    assert (task.status, task.error and task.error.code) == ("failed", "internal")


async def test_an_outage_costs_a_task_no_patience(rounds: Rounds) -> None:
    """Nothing was announced: it is due in the next round, and however long Kafka was away its back-off is the first."""
    (video,) = await rounds.open_tasks(1)
    for _ in range(12):
        rounds.later()
        with pytest.raises(UnavailableError):
            await rounds.reconciler(Refusing(rounds.servers.publisher, UnavailableError("Kafka"), video)).run()
    assert ((await rounds.task(video)).announced, (await rounds.task(video)).announce_after) == (0, None)
    await rounds.reconciler().run()
    assert rounds.announced() == [video]


async def test_a_round_announces_some_of_many_and_the_next_ones_the_others(rounds: Rounds) -> None:
    """None is forgotten, and none comes twice before its time."""
    videos = await rounds.open_tasks(2 * reconciler._AT_A_TIME + 10)
    rounds.later()
    counts = []
    for _ in range(4):
        await rounds.reconciler().run()
        counts.append(len(rounds.announced()))
    assert counts == [reconciler._AT_A_TIME, 2 * reconciler._AT_A_TIME, len(videos), len(videos)]
    assert sorted(rounds.announced()) == videos


async def test_several_aggregators_announce_each_task_once(rounds: Rounds) -> None:
    """Also when their rounds are at the same time."""
    videos = await rounds.open_tasks(20)
    rounds.later()
    await asyncio.gather(*(rounds.reconciler().run() for _ in range(4)))
    assert sorted(rounds.announced()) == videos


async def test_what_kafka_lost_is_due_at_once_and_in_rounds_of_the_same_size(rounds: Rounds) -> None:
    """Tasks that just got on, and tasks that wait for their turn after many announcements."""
    videos = await rounds.open_tasks(reconciler._AT_A_TIME + 5)
    await rounds.servers.stored.tasks.update(
        with_id(ids.task_id(videos[0], 1)),
        set_to(TaskRecord.announced, 9) & set_to(TaskRecord.announce_after, rounds.servers.now + timedelta(hours=1)),
    )
    await kafka_topics.note_created(rounds.servers.stored)
    await rounds.reconciler().run()
    assert len(rounds.announced()) == reconciler._AT_A_TIME
    await rounds.reconciler().run()
    assert sorted(rounds.announced()) == videos
    await rounds.reconciler().run()
    assert sorted(rounds.announced()) == videos


Break = Callable[[Rounds, pytest.MonkeyPatch], Awaitable[None]]


async def _outbox(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that can never be published."""
    large = OutboxRecord(
        id="x", topic="profile.events", key="g", value="x" * 2_000_000, created_at=rounds.servers.now, order=0
    )
    await rounds.servers.stored.outbox.insert(large)


async def _bell(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(Reconciler, "_ring_for_waiting", fails)


@pytest.mark.parametrize("broken", [_outbox, _bell])
async def test_a_step_that_fails_stops_no_other(rounds: Rounds, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: tasks are announced all the same, round by round."""
    videos = await rounds.open_tasks(3)
    await broken(rounds, monkeypatch)
    rounds.later()
    await rounds.reconciler().run()
    assert sorted(rounds.announced()) == videos


async def test_a_server_that_a_step_misses_is_told_after_the_others(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round counts as postponed, and what could be done is done."""

    async def away(*_: object) -> None:
        raise UnavailableError("MongoDB is away")

    monkeypatch.setattr(Reconciler, "_ring_for_waiting", away)
    videos = await rounds.open_tasks(3)
    rounds.later()
    with pytest.raises(UnavailableError, match="MongoDB"):
        await rounds.reconciler().run()
    assert sorted(rounds.announced()) == videos
    assert await rounds.servers.stored.tasks.count(eq(TaskRecord.announced, 1)) == 3


async def test_the_age_of_the_oldest_open_task_is_shown(rounds: Rounds) -> None:
    """That of one which ended does not count, and no open task is no age."""
    (first,) = await rounds.open_tasks(1)
    rounds.later(40)
    await rounds.open_tasks(2)  # the first again, which is the same task, and one more
    rounds.later(20)
    await rounds.reconciler().run()
    assert OLDEST_TASK._value.get() == pytest.approx(60, abs=3)
    await rounds.servers.stored.tasks.update(with_id(ids.task_id(first, 1)), set_to(TaskRecord.status, "done"))
    await rounds.reconciler().run()
    assert OLDEST_TASK._value.get() == pytest.approx(20, abs=3)
    await rounds.servers.stored.tasks.update_many(eq(TaskRecord.gallery, "g"), set_to(TaskRecord.status, "done"))
    await rounds.reconciler().run()
    assert OLDEST_TASK._value.get() == 0
