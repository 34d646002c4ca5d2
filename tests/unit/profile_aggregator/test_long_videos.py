"""Videos with many people for many hours: their results arrive, and what is stored of them stays small."""

import base64
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from castlist.contract import values
from castlist.contract.box import Box
from castlist.contract.codec import encode
from castlist.contract.events import Event, FacesEncoded, VideoUploaded
from castlist.contract.ids import chunk_key, crop_key, event_id, run_key
from castlist.contract.topics import topic_of
from castlist.messaging.delivery import deliver
from castlist.ports.messages import Message
from castlist.store.query import plain
from castlist.store.records.runs import ChunkResultRecord, ChunkSpan, PlanRecord
from castlist.store.records.tasks import TaskRecord
from castlist.tasks.registration import register
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.previews import Previews
from profile_aggregator.dispatch import Dispatch
from profile_aggregator.turns import Turns
from profile_aggregator.videos import completion
from profile_aggregator.videos.handlers import VideoHandlers
from testkit.in_memory import InMemory

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CHUNK = 15.0
MEGABYTE = 1_000_000


class Aggregator:
    """profile-aggregator, and the results of whole videos."""

    def __init__(self, servers: InMemory | None = None) -> None:
        self.servers = servers or InMemory()
        servers, store = self.servers, self.servers.store
        self.videos = VideoHandlers(store, servers.objects, servers.publisher, servers.clock)
        said = GalleryLog(store, servers.publisher, servers.clock)
        galleries = GalleryCache(store)
        committer = Committer(store, said, galleries, servers.clock, 50)
        self.turns = Turns(committer.commit)
        previews = Previews(store, galleries, servers.clock)
        self.dispatch = Dispatch(self.videos, committer, self.turns, previews.turns)

    async def put_in(self, video: str, chunks: int) -> None:
        """A video that is planned."""
        stored = values.StoredObject(bucket="castlist", key=f"videos/{video}")
        uploaded = VideoUploaded(
            event_id=video, occurred_at=NOW, video_id=video, gallery="g", object=stored, name=video
        )
        await register(self.servers.store, uploaded, NOW)
        spans = tuple(ChunkSpan(n * CHUNK, (n + 1) * CHUNK) for n in range(chunks))
        plan = PlanRecord(
            id=run_key(video, 1), gallery="g", object=stored, chunks=spans, window=4, duration=CHUNK * chunks,
            width=1920, height=1080, frame_rate=25.0, created_at=NOW,
        )  # fmt: skip
        await self.servers.store.plans.insert(plan)

    async def received(self, *results: FacesEncoded) -> None:
        """These came, each as it would lie there; only the last one is handed to its handler."""
        for one in results[:-1]:
            key = f"{chunk_key(one.video_id, one.epoch, one.chunk)}:{one.part}"
            run, event = run_key(one.video_id, one.epoch), encode(one).decode()
            await self.servers.stored.chunks.insert(
                ChunkResultRecord(
                    id=key, run=run, chunk=one.chunk, part=one.part, parts=one.parts, tracks=len(one.tracks),
                    bytes=len(event), event=event, at=NOW,
                )
            )  # fmt: skip
        await self.deliver(results[-1])

    async def committed(self) -> None:
        """What is put together beside the stream, and the commits."""
        while await self.videos.long_videos.round():
            pass
        commits = self.servers.published("gallery.commits")
        await self.deliver(*commits)
        while await self.turns.round():
            pass

    async def deliver(self, *events: Event) -> None:
        """To their handlers; what never works becomes a dead letter."""
        for event in events:
            topic = topic_of(event)
            message = Message(topic.name, 0, 0, topic.key(event).encode(), encode(event))
            await deliver(message, topic, self.dispatch, self.servers.publisher)

    async def task(self, video: str) -> TaskRecord:
        """That of a video."""
        (task,) = [one for one in await self.servers.stored.tasks.find() if one.video_id == video]
        return task


def results(video: str, chunks: int, people: int, each: int, sightings: int) -> list[FacesEncoded]:
    """`people` for so many `chunks`, each of them in every `each`-th, in so many `sightings` there."""
    chance = np.random.default_rng(7)
    faces = chance.normal(0, 0.5, (people, 128)).astype("<f4")
    encodings = [base64.b64encode(face.tobytes()).decode() for face in faces]

    def track(chunk: int, n: int, who: int) -> values.Track:
        start = chunk * CHUNK
        box = Box(180 * (who % 10), 100 * (who // 10 % 10), 90, 90)
        moments = [start + CHUNK * i / sightings for i in range(sightings)]
        return values.Track(
            track=n,
            sightings=tuple(values.Sighting(time, box, 1.0) for time in moments),
            faces=(values.EncodedFace(start, box, 1.0, 0.9, encodings[who]),),
            crop=values.Crop(crop_key(video, 1, chunk, n), start, box, values.FrameSize(1920, 1080), 0.9),
        )

    return [
        FacesEncoded(
            event_id=event_id("FacesEncoded", video, chunk),
            occurred_at=NOW,
            video_id=video,
            epoch=1,
            gallery="g",
            chunk=chunk,
            frames=75,
            tracks=tuple(
                track(chunk, n, who) for n, who in enumerate(w for w in range(people) if (w + chunk) % each == 0)
            ),
        )
        for chunk in range(chunks)
    ]


async def largest_documents(servers: InMemory) -> dict[str, int]:
    """Of what is kept of people: the size of the largest document, as JSON."""
    tables = {
        "pending": servers.stored.pending,
        "persons": servers.stored.persons,
        "places": servers.stored.places,
        "appearances": servers.stored.appearances,
    }
    return {
        name: max((len(json.dumps(plain(one), default=str)) for one in await table.find()), default=0)  # type: ignore[attr-defined]
        for name, table in tables.items()
    }


CONFERENCE = (240, 25, 1, 75)
"""An hour with 25 tiles, everybody in the picture all the time: 25 person-hours."""
DAY = (5760, 200, 25, 3)
"""24 hours with 200 people, eight of them at a time: 46,080 tracks."""


@pytest.mark.parametrize(
    ("chunks", "people", "each", "sightings"),
    [pytest.param(*CONFERENCE, id="conference"), pytest.param(*DAY, id="day", marks=pytest.mark.faults)],
)
@pytest.mark.slow
async def test_many_people_for_many_hours_are_committed(chunks: int, people: int, each: int, sightings: int) -> None:
    """Everyone is found, and no document grows with the hours; a video of another gallery is done as well."""
    aggregator = Aggregator()
    await aggregator.put_in("long", chunks)
    await aggregator.put_in("short", 1)
    await aggregator.received(*results("long", chunks, people, each, sightings))
    await aggregator.received(*results("short", 1, 1, 1, 3))
    assert len(aggregator.servers.published("gallery.commits")) == 1  # nobody waits for the long one
    await aggregator.committed()
    assert (await aggregator.task("long")).error is None
    assert (await aggregator.task("long")).status == "done"
    assert await aggregator.servers.stored.profiles.count() == people
    assert max((await largest_documents(aggregator.servers)).values()) < MEGABYTE


@pytest.mark.slow
async def test_a_video_that_cannot_be_put_together_fails_its_task_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong about it: its task says so, its message is a dead letter, and the next video is done."""
    aggregator = Aggregator()
    for video in ("broken", "worse", "plain"):
        await aggregator.put_in(video, 1)

    def fails(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("profile_aggregator.videos.handlers.people_of_video", fails)
        await aggregator.received(*results("broken", 1, 2, 1, 3))
    with monkeypatch.context() as patch:
        patch.setattr("profile_aggregator.videos.handlers.encode", fails)
        await aggregator.received(*results("worse", 1, 2, 1, 3))
    await aggregator.received(*results("plain", 1, 2, 1, 3))
    await aggregator.committed()
    for video in ("broken", "worse"):
        task = await aggregator.task(video)
        assert (task.status, task.error and task.error.code) == ("failed", "internal")
    assert (await aggregator.task("plain")).status == "done"
    (letter,) = aggregator.servers.dead_letters()
    assert "MemoryError" in letter


@pytest.mark.slow
async def test_a_long_video_that_cannot_be_put_together_fails_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it in the stream, so nobody else could tell."""
    aggregator = Aggregator()
    monkeypatch.setattr(completion, "LONG", 0)
    await aggregator.put_in("broken", 1)
    await aggregator.received(*results("broken", 1, 2, 1, 3))
    assert (await aggregator.task("broken")).status == "processing"

    def fails(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("profile_aggregator.videos.handlers.people_of_video", fails)
    await aggregator.committed()
    task = await aggregator.task("broken")
    assert (task.status, task.error and task.error.code) == ("failed", "internal")


async def test_a_long_video_whose_doorbell_was_lost_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that heard it died: another one finds all chunks there when it looks at stalled tasks."""
    aggregator = Aggregator()
    monkeypatch.setattr(completion, "LONG", 0)
    await aggregator.put_in("long", 1)
    await aggregator.received(*results("long", 1, 2, 1, 3))
    other = Aggregator(aggregator.servers)
    await other.videos.complete("long", 1)  # as the reconciler does
    await other.committed()
    assert (await other.task("long")).status == "done"
