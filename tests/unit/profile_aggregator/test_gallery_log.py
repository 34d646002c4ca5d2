"""What commits say: in order whatever fails, and so that a reader sees what it lacks."""

import itertools
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryPublisher
from castlist.contract import values
from castlist.contract.box import Box
from castlist.contract.commands import RenameProfile
from castlist.contract.events import VideoUploaded
from castlist.contract.topics import PROFILE_EVENTS
from castlist.contract.values import Crop, FrameSize, Segment
from castlist.ports.errors import MessageTooLargeError, UnavailableError
from castlist.store.query import ANY
from castlist.store.records.pending import PendingVideo
from castlist.store.store import Store
from castlist.tasks.registration import register
from castlist_identity.domain import VideoPerson
from docs.examples.gallery_reader import GalleryCopy, GalleryReader
from profile_aggregator.commits import commit_documents
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.videos.found_people import keep_people

NOW = datetime(2026, 1, 2, tzinfo=UTC)
G = "g"
Event = dict[str, Any]


class Kafka(MemoryPublisher):
    """A log that can be away, and that takes no message over a limit of its own."""

    away = False
    limit = 1_048_576

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        if self.away:
            raise UnavailableError("Kafka is away")
        if any(len(value) > self.limit for _, _, value in entries):
            raise MessageTooLargeError("larger than this Kafka takes")
        await super().publish_entries(entries)


class World:
    """Commits, and what readers hear of them."""

    def __init__(self, store: Store | None = None, log: MemoryLog | None = None) -> None:
        self.store, self.log = store or Store(MemoryDocuments()), log or MemoryLog()
        self.kafka = Kafka(self.log)
        self.said = GalleryLog(self.store, self.kafka, lambda: NOW)
        self.committer = Committer(self.store, self.said, GalleryCache(self.store), lambda: NOW, 10)

    async def found(self, video: str, *where: float, segments: int = 1, epoch: int = 1) -> None:
        """A video's people wait for their commit."""
        stored = values.StoredObject(bucket="castlist", key=video)
        uploaded = VideoUploaded(
            event_id=f"{video}:{epoch}", occurred_at=NOW, video_id=video, epoch=epoch, gallery=G, object=stored
        )
        await register(self.store, uploaded, NOW)
        crop = Crop(f"crops/{video}/{epoch}/0-0.jpg", 0.0, Box(0, 0, 80, 80), FrameSize(640, 480), 0.9)
        times = tuple(Segment(10.0 * n, 10.0 * n + 1) for n in range(segments))
        people = []
        for n, x in enumerate(where):
            mean = np.zeros(128, dtype=np.float32)
            mean[0] = x
            people.append(VideoPerson(n, mean, 0.0, 3, times, 1.0 * segments, 0.0, 10.0 * segments, crop, (), ()))
        await keep_people(self.store, people, G, video, epoch)
        await self.store.pending.insert(
            PendingVideo(
                id=f"{video}:{epoch}", gallery=G, created_at=NOW, video_id=video, epoch=epoch, people=len(people)
            )
        )

    async def commit(self, video: str, *where: float, segments: int = 1, epoch: int = 1) -> None:
        """The same, committed."""
        await self.found(video, *where, segments=segments, epoch=epoch)
        await self.commit_all()

    async def commit_all(self) -> None:
        """All that is pending."""
        while await self.committer.commit(G):
            pass

    def events(self) -> list[Event]:
        """Everything in the topic, in its order."""
        return [json.loads(message.value or b"") for message in self.log.messages(PROFILE_EVENTS.name)]

    async def shown(self) -> GalleryCopy:
        """What MongoDB holds, as a reader would have it."""
        copy = GalleryCopy()
        copy.profiles = {one.id: one.name for one in await self.store.profiles.find()}
        copy.appearances = {
            (one.profile_id, one.video_id): {"persons": list(one.persons), "segments": len(one.segments)}
            for one in await self.store.appearances.find()
        }
        return copy


def places(events: Sequence[Event]) -> list[tuple[int, int]]:
    return [(one["gallery_version"], one["index"]) for one in events if "gallery_version" in one]


def folded(events: Sequence[Event]) -> tuple[GalleryCopy, GalleryReader]:
    """What a reader makes of these events in this order."""
    copy, reader = GalleryCopy(), GalleryReader()
    for event in events:
        for one in reader.take(event):
            copy.apply(one)
    copy.appearances = {
        place: {"persons": one["persons"], "segments": len(one["segments"])} for place, one in copy.appearances.items()
    }
    return copy, reader


def assert_same(one: GalleryCopy, other: GalleryCopy) -> None:
    assert (one.profiles, one.appearances) == (other.profiles, other.appearances)


async def history(world: World) -> None:
    """Somebody comes, comes again, two become one, one gets a name, a video is done again; versions without events."""
    await world.commit("a", 0.0, 5.0)
    await world.commit("b", 0.9)
    await world.commit("nobody")
    await world.commit("c", 0.45)
    (profile, *_) = sorted(await world.store.profiles.ids())
    await world.committer.stage(RenameProfile(event_id="r", occurred_at=NOW, gallery=G, profile_id=profile, name="Ada"))
    await world.commit_all()
    await world.commit("a", 0.0, epoch=2)


async def test_versions_are_published_in_order_though_publishing_failed() -> None:
    """What came out while Kafka was away waits for nothing but Kafka, and what comes later waits for it."""
    world = World()
    await world.commit("a", 0.0)
    world.kafka.away = True
    await world.commit("b", 5.0)
    world.kafka.away = False
    await world.commit("c", 9.0)
    assert places(world.events()) == sorted(places(world.events()))
    assert {one["gallery_version"] for one in world.events() if "gallery_version" in one} == {1, 2, 3}
    assert_same(folded(world.events())[0], await world.shown())


async def test_who_publishes_what_another_process_has_left_keeps_the_order() -> None:
    """A round finds it, oldest version first; repetitions come behind what they repeat."""
    world = World()
    world.kafka.away = True
    await world.commit("a", 0.0)
    await world.commit("b", 5.0)
    other = World(world.store, world.log)
    await other.commit("c", 9.0)
    await other.said.round()
    assert places(world.events()) == sorted(set(places(world.events())))
    assert len({one["gallery_version"] for one in world.events() if "gallery_version" in one}) == 3


async def test_versions_are_published_in_order_wherever_they_lie() -> None:
    """A collection has no order of its own."""
    world = World()
    world.kafka.away = True
    await world.commit("a", 0.0)
    await world.commit("b", 5.0)
    records = await world.store.gallery_log.find()
    await world.store.gallery_log.delete(ANY)
    await world.store.gallery_log.insert_many(reversed(records))
    world.kafka.away = False
    await world.said.round()
    assert len(records) > 1
    assert places(world.events()) == sorted(places(world.events()))


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
async def test_a_reader_copes_with_events_in_any_order_and_twice(seed: int) -> None:
    """What it holds in the end is what MongoDB holds, and nothing is missing."""
    world, chance = World(), random.Random(seed)
    await history(world)
    events = world.events() * 2
    chance.shuffle(events)
    copy, reader = folded(events)
    assert reader.missing is None
    assert_same(copy, await world.shown())


async def test_a_reader_sees_each_event_that_is_missing() -> None:
    """Whichever it is but the last: it applies what came before it and nothing else, and says where it waits."""
    world = World()
    await history(world)
    events = [one for one in world.events() if "gallery_version" in one]
    order = places(events)
    for lost in range(len(events) - 1):
        reader = GalleryReader()
        taken = [one for i, event in enumerate(events) if i != lost for one in reader.take(event)]
        assert places(taken) == order[:lost]
        assert reader.missing is not None
        assert reader.missing < order[lost]
        assert places(reader.take(events[lost])) == order[lost:]
        assert reader.missing is None


async def test_a_reader_takes_events_of_before_as_they_come() -> None:
    """They do not say how many there are; those after them do."""
    world = World()
    await history(world)
    old = {"count", "previous_version"}
    events = [
        {name: value for name, value in one.items() if name not in old} if one.get("gallery_version", 9) < 4 else one
        for one in world.events()
    ]
    for one in events:
        if one.get("gallery_version") == 4:
            one["previous_version"] = None
    assert_same(folded(events)[0], await world.shown())


async def test_an_appearance_of_any_length_is_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who comes and goes for a day: no event is larger than Kafka takes, and nothing of it is lost."""
    world = World()
    await world.commit("a", 0.0, segments=17_000)
    await world.commit("b", 0.1)
    sizes = [len(message.value or b"") for message in world.log.messages(PROFILE_EVENTS.name)]
    assert max(sizes) < 700_000
    assert_same(folded(world.events())[0], await world.shown())
    monkeypatch.setattr(commit_documents, "PERSONS_OF_A_PART", 1)
    await world.commit("c", *itertools.repeat(0.05, 3))
    assert max(one.get("parts", 0) for one in world.events()) == 3
    assert_same(folded(world.events())[0], await world.shown())


async def test_an_event_that_kafka_does_not_take_holds_up_nothing() -> None:
    """It becomes a dead letter with the reason; a reader sees that it is missing."""
    world = World()
    world.kafka.limit = 100_000
    await world.commit("a", 0.0, segments=4_000)
    await world.commit("b", 5.0)
    (letter,) = world.log.messages(PROFILE_EVENTS.dead)
    headers = dict(letter.headers)
    assert b"cannot be published" in headers["error"]
    assert [one["video_id"] for one in world.events() if one["event"] == "TaskFinished"] == ["a", "b"]
    _, reader = folded(world.events())
    assert reader.missing == (1, 0)
