"""Whatever valid events come, in whatever order: the aggregator goes on, and each task comes to its end."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from castlist.contract.bounds import MOST_REASONS, MOST_WARNINGS
from castlist.contract.codec import decode, encode
from castlist.contract.commands import ChangeSettings
from castlist.contract.events import (
    ChunkFailed,
    ChunkPlanned,
    ChunkProgressed,
    Event,
    FacesEncoded,
    VideoPlanned,
    VideoRejected,
    VideoUploaded,
)
from castlist.contract.ids import event_id, run_key
from castlist.contract.topics import (
    BY_NAME,
    GALLERY_COMMITS,
    TOPICS,
    VIDEO_CHUNKS,
    VIDEO_UPLOADED,
    Topic,
    topic_of,
)
from castlist.contract.values import AnalysisSettings, StoredObject
from castlist.contract.video_warnings import warning
from castlist.messaging.delivery import deliver
from castlist.ports.errors import AlreadyExistsError
from castlist.ports.messages import Message
from castlist.store.query import eq, one_of, with_id
from castlist.store.records.runs import ChunkSpan, PlanRecord
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.tasks import lifecycle
from castlist.tasks.planned_chunks import chunks_planned
from profile_aggregator.app import TOPICS as READ
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.maintenance import GalleryMaintenance
from profile_aggregator.commits.previews import Previews
from profile_aggregator.dispatch import Dispatch
from profile_aggregator.imports.imports import Imports
from profile_aggregator.reconciler import Reconciler
from profile_aggregator.turns import Turns
from profile_aggregator.videos.completion import reasons_added_up
from profile_aggregator.videos.handlers import VideoHandlers
from testkit.any_event import models
from testkit.examples import AT, example
from testkit.in_memory import InMemory

CHUNKS = 2
_ROUNDS = 12
EXAMPLES = 400 if os.environ.get("CASTLIST_FAULTS") == "1" else 30
_DAY = timedelta(days=1)
_KINDS = [kind for topic in READ for kind in topic.events]
_ANSWERS = st.sampled_from(["found", "found", "found", "failed"])


@pytest.fixture(autouse=True)
def no_pauses_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further try follows at once."""
    monkeypatch.setattr("castlist.messaging.delivery._PAUSE", 0.0)


@st.composite
def events(draw: st.DrawFn, kind: type[Event]) -> Event:
    """Any event of a kind, mostly about one of a few runs and galleries, so that they meet."""
    event: Event = draw(models(kind))
    places = {
        "video_id": st.sampled_from(["a", "b"]),
        "epoch": st.sampled_from([1, 1, 2, 2**53 - 1]),
        "gallery": st.sampled_from(["g", "g", "g", "h"]),
        "chunk": st.sampled_from([0, 1, 2, 19_999]),
        "part": st.sampled_from([0, 0, 1, 999]),
        "parts": st.sampled_from([1, 1, 2, 1_000]),
        "event_id": st.sampled_from([f"{kind.__name__}-{n}" for n in range(3)]),
    }
    drawn = {name: draw(values) for name, values in places.items() if name in kind.model_fields}
    if isinstance(event, VideoUploaded):
        drawn["object"] = StoredObject("castlist", f"videos/{drawn['video_id']}")
    return event.model_copy(update=drawn)


PLAIN = VideoUploaded(
    event_id="plain", occurred_at=AT, video_id="plain", gallery="other", object=StoredObject("castlist", "videos/plain")
)
"""A video of somebody else, whom nobody speaks about."""
ANY_EVENT = st.sampled_from(_KINDS).flatmap(events)


class World:
    """The aggregator on servers in memory, and workers that answer what is announced."""

    def __init__(self, data: st.DataObject | None = None) -> None:
        self._data = data
        self.servers = servers = InMemory()
        store, objects, publisher, clock = servers.store, servers.objects, servers.publisher, servers.clock
        relay, galleries = servers.relay(), GalleryCache(store)
        said = GalleryLog(store, publisher, clock)
        committer = Committer(store, said, galleries, clock, 10, lambda gallery: self._importing.ring(gallery))
        self._importing = Turns(Imports(store, objects, galleries, committer, clock).take)
        videos = VideoHandlers(store, objects, publisher, clock)
        self.videos, self.committer = videos, committer
        self._turns = Turns(committer.commit)
        self._previews = Previews(store, galleries, clock)
        self._dispatch = Dispatch(videos, committer, self._turns, self._previews.turns)
        self.reconciler = Reconciler(store, publisher, relay, videos, self._turns.ring, clock, after=5.0)
        self._maintenance = GalleryMaintenance(store, galleries, committer, clock)
        self.told: dict[str, Any] = {}
        """what each result of the workers says"""
        self._read = {topic.name: 0 for topic in TOPICS}

    async def deliver(self, *events: Event) -> None:
        """Each of these, and the commits that follow."""
        for event in events:
            topic = topic_of(event)
            await deliver(
                Message(topic.name, 0, 0, topic.key(event).encode(), encode(event)),
                topic, self._dispatch, self.servers.publisher,
            )  # fmt: skip
            if topic is not GALLERY_COMMITS:
                await self.deliver(*self._news(GALLERY_COMMITS))
            await self._take_turns()

    async def _take_turns(self) -> None:
        rounds = (self._turns.round, self._previews.turns.round, self._importing.round)
        while any([await round() for round in rounds]):
            pass

    def _news(self, topic: Topic) -> Sequence[Any]:
        found = self.servers.published(topic.name)
        news, self._read[topic.name] = found[self._read[topic.name] :], len(found)
        return news

    async def open_tasks(self) -> list[TaskRecord]:
        """Those that have not ended."""
        return await self.servers.stored.tasks.find(one_of(TaskRecord.status, lifecycle.OPEN))

    async def come_to_an_end(self) -> None:
        """Rounds of the reconciler, hours apart, after each of which the workers answer what it has announced."""
        for _ in range(_ROUNDS):
            self.servers.now += _DAY
            before = {topic: len(self.servers.messages(topic.name)) for topic in (VIDEO_UPLOADED, VIDEO_CHUNKS)}
            await self.reconciler.run()
            await self._take_turns()
            while await self._maintenance.round():
                pass
            if not await self.open_tasks():
                return
            for topic, count in before.items():
                for message in self.servers.messages(topic.name)[count:]:
                    await self._work(message)

    async def _work(self, message: Message) -> None:
        event = decode(BY_NAME[message.topic], message.value)
        if isinstance(event, VideoUploaded):
            await self.deliver(event)
            await self._plan(event)
        elif isinstance(event, ChunkPlanned):
            await self._analyse(event)

    def _answer(self, video_id: str) -> str:
        if self._data is None or video_id == PLAIN.video_id:
            return "found"
        return self._data.draw(_ANSWERS)

    async def _plan(self, uploaded: VideoUploaded) -> None:
        store, now = self.servers.stored, self.servers.clock()
        if not await lifecycle.is_wanted(store, uploaded.video_id, uploaded.epoch):
            return
        about: dict[str, Any] = {
            "occurred_at": now, "video_id": uploaded.video_id, "epoch": uploaded.epoch, "gallery": uploaded.gallery,
        }  # fmt: skip
        if self._answer(uploaded.video_id) == "failed":
            key = event_id("VideoRejected", uploaded.video_id, uploaded.epoch)
            await self.deliver(VideoRejected(event_id=key, code="undecodable", message="No decoder.", **about))
            return
        plan = PlanRecord(
            id=run_key(uploaded.video_id, uploaded.epoch), gallery=uploaded.gallery, object=uploaded.object,
            chunks=(ChunkSpan(None, 10.0), ChunkSpan(10.0, None)), window=1, duration=20.0, width=640, height=480,
            frame_rate=25.0, created_at=now,
        )  # fmt: skip
        try:
            await store.plans.insert(plan)
        except AlreadyExistsError:
            return
        facts: dict[str, Any] = {"chunks": CHUNKS, "duration": 20.0, "width": 640, "height": 480, "frame_rate": 25.0}
        await self.deliver(VideoPlanned(event_id=event_id("VideoPlanned", plan.id), **facts, **about))
        for chunk in chunks_planned(plan, uploaded.video_id, uploaded.epoch, range(CHUNKS), now):
            await self._analyse(chunk)

    async def _analyse(self, chunk: ChunkPlanned) -> None:
        about: dict[str, Any] = {
            "occurred_at": self.servers.clock(), "video_id": chunk.video_id, "epoch": chunk.epoch,
            "gallery": chunk.gallery, "chunk": chunk.chunk,
        }  # fmt: skip
        if self._answer(chunk.video_id) == "failed":
            key = event_id("ChunkFailed", chunk.event_id)
            await self.deliver(ChunkFailed(event_id=key, code="undecodable", message="No decoder.", **about))
        else:
            found = example(FacesEncoded) if self._data is None else self._data.draw(models(FacesEncoded))
            key = event_id("FacesEncoded", chunk.event_id)
            whole: dict[str, Any] = {"part": 0, "parts": 1, "frames": 5, **self.told}
            await self.deliver(found.model_copy(update={**about, "event_id": key, **whole}))


@contextmanager
def no_mistakes() -> Iterator[None]:
    """Nothing inside logs a mistake of ours."""
    seen: list[str] = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(self.format(record))

    handler = Seen(level=logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    assert not seen, "\n".join(seen)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequence=st.lists(ANY_EVENT, max_size=12), place=st.integers(0, 12), data=st.data())
async def test_each_task_comes_to_its_end(sequence: list[Event], place: int, data: st.DataObject) -> None:
    """Once the workers have answered what the reconciler announces again; nothing that came was a mistake of ours, and
    a plain video in the midst of it is done."""
    world = World(data)
    with no_mistakes():
        await world.deliver(*sequence[:place], PLAIN, *sequence[place:])
        await world.come_to_an_end()
    assert await world.open_tasks() == []
    assert await world.servers.stored.pending.count() == 0
    assert await world.servers.stored.previews.count() == 0
    (plain,) = await world.servers.stored.tasks.find(eq(TaskRecord.video_id, PLAIN.video_id))
    assert plain.status == lifecycle.DONE


async def done(world: World, video_id: str) -> bool:
    """Whether a video is done."""
    (task,) = await world.servers.stored.tasks.find(eq(TaskRecord.video_id, video_id))
    return task.status == lifecycle.DONE


BROKEN = PLAIN.model_copy(
    update={"event_id": "broken", "video_id": "broken", "object": StoredObject("castlist", "videos/broken")}
)
STEPS = ["uploaded", "planned", "encoded", "complete", "_find_people"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_mistake_about_one_video_fails_that_one(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is made: its task fails with `internal`, the message is kept, and those around it are done."""
    right = getattr(VideoHandlers, step)

    async def wrong(videos: VideoHandlers, *given: Any) -> Any:
        about = given[0]
        if "broken" in str(getattr(about, "video_id", getattr(about, "id", about))):
            raise ValueError("spoiled")
        return await right(videos, *given)

    monkeypatch.setattr(VideoHandlers, step, wrong)
    world = World()
    await world.deliver(BROKEN, PLAIN)
    await world.come_to_an_end()
    assert await done(world, PLAIN.video_id)
    found = await world.servers.stored.tasks.find(eq(TaskRecord.video_id, "broken"))
    if step == "uploaded":
        assert found == []  # there is nobody to tell but the operator
    else:
        (task,) = found
        assert task.error == TaskError("internal", "ValueError: spoiled")
        assert task.status == "failed"
    assert {letter.partition(": ")[2] for letter in world.servers.dead_letters()} == {"internal: ValueError: spoiled"}


async def test_a_command_that_goes_wrong_has_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has failed, the message is kept, and others are carried out."""
    world = World()
    right = Turns.ring

    def wrong(turns: Turns, gallery: str) -> None:
        if gallery == "broken":
            raise ValueError("spoiled")
        right(turns, gallery)

    monkeypatch.setattr(Turns, "ring", wrong)
    about: dict[str, Any] = {"occurred_at": AT, "settings": AnalysisSettings()}
    await world.deliver(
        ChangeSettings(event_id="wrong", gallery="broken", **about),
        ChangeSettings(event_id="right", gallery="g", **about),
    )
    assert world.servers.dead_letters() == ["gallery.commits: internal: ValueError: spoiled"]
    assert await world.servers.stored.pending.count() == 0
    outcomes = {one.id: (one.status, one.error and one.error.code) for one in await world.servers.stored.changes.find()}
    assert outcomes == {"wrong": ("failed", "internal"), "right": ("applied", None)}


async def test_a_step_of_the_reconciler_that_fails_keeps_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be published is tried again; stalled tasks are announced all the same."""
    world = World()
    await world.deliver(PLAIN)

    async def wrong(*_: Any) -> None:
        raise ValueError("spoiled")

    monkeypatch.setattr("castlist.messaging.outbox_relay.OutboxRelay.sweep", wrong)
    world.servers.now += _DAY
    await world.reconciler.run()
    assert [event.event_id for event in world.servers.published("video.uploaded")]


async def test_chunks_and_parts_outside_of_the_plan_change_nothing() -> None:
    """They complete nothing, are no people's, and do not count as progress."""
    world = World()
    await world.deliver(PLAIN)
    (task,) = await world.open_tasks()
    about: dict[str, Any] = {"video_id": PLAIN.video_id, "epoch": 1, "gallery": PLAIN.gallery}
    for number, (chunk, part, parts) in enumerate([(19_999, 0, 1), (CHUNKS, 0, 1), (1, 5, 2), (0, 999, 1_000)]):
        event = example(FacesEncoded, **about, chunk=chunk, part=part, parts=parts, event_id=str(number))
        await world.deliver(event, example(ChunkProgressed, **about, chunk=chunk, event_id=f"p{number}"))
    await world.servers.stored.chunks.delete(with_id("plain:1:0:999"))  # another run's part of a real chunk
    await world.come_to_an_end()
    (task,) = await world.servers.stored.tasks.find()
    assert (task.status, task.chunks_done) == ("done", CHUNKS)


async def test_more_faces_than_can_be_put_together_fail_their_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they are read: with the reason."""
    monkeypatch.setattr("profile_aggregator.videos.completion.MOST_TRACKS", 1)
    world = World()
    await world.deliver(PLAIN)
    await world.come_to_an_end()
    (task,) = await world.servers.stored.tasks.find()
    assert (task.status, task.error and task.error.code) == ("failed", "limits_exceeded")


async def test_what_a_task_says_stays_small() -> None:
    """Of the reasons for faces that were left out the rarest are added up, of the warnings the first are told."""
    many = reasons_added_up([{f"reason_{n:02}": n + 1 for n in range(64)}, {"reason_of_another": 1_000}])
    assert len(many) == MOST_REASONS
    assert sum(many.values()) == sum(range(65)) + 1_000
    assert many["reason_of_another"] == 1_000
    assert reasons_added_up([{"b": 1}, {"a": 2, "b": 3}]) == {"a": 2, "b": 4}
    world = World()
    await world.deliver(PLAIN)
    world.told = {"warnings": tuple(warning("damaged", message=f"Here {n}.") for n in range(MOST_WARNINGS))}
    await world.come_to_an_end()
    (task,) = await world.servers.stored.tasks.find()
    assert (task.status, len(task.warnings)) == ("done", MOST_WARNINGS)
