"""frame-workers on the real servers, told what others would tell it: plans, chunks, cancels, strikes."""

import asyncio
import contextlib
import itertools
import os
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from castlist.adapters import s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.subscription import listen
from castlist.adapters.s3 import S3Objects
from castlist.clock import now_utc
from castlist.contract import commands, events, ids, values
from castlist.contract.codec import decode, encode
from castlist.contract.topics import FACE_ENCODINGS, VIDEO_CHUNKS, VIDEO_UPLOADED, Topic
from castlist.service.settings import Settings
from castlist.store.query import set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.runs import AttemptsRecord, ChunkResultRecord, ChunkSpan, PlanRecord
from castlist.store.store import Store
from castlist.tasks import cancels, galleries, lifecycle, registration
from castlist_vision.faces.encoder import make_encoder
from testkit import clips
from testkit.api import new_gallery
from testkit.eventually import eventually_async
from testkit.running_stack import RunningStack, connected, whole_topic

pytestmark = [pytest.mark.stack, pytest.mark.services]
GROUPS = {VIDEO_UPLOADED: "frame-workers.plan", VIDEO_CHUNKS: "frame-workers"}
# Every frame is looked at for the tiniest faces: seconds of video take minutes.
SLOW = values.GallerySettings(samples_per_second=30, smallest_face=20)


@dataclass
class World:
    """The servers, and what was said on `face.encodings` and `video.chunks` since the test began."""

    stack: RunningStack
    store: Store
    publisher: KafkaPublisher
    objects: S3Objects
    heard: list[Any] = field(default_factory=list)

    def of(self, kind: type[events.Event], video: str) -> list[Any]:
        """What was heard about a video."""
        return [event for event in self.heard if isinstance(event, kind) and getattr(event, "video_id", None) == video]

    async def upload(self, data: bytes, gallery: str = "workers", **changes: Any) -> events.VideoUploaded:
        """Put an object, and announce it with `changes`."""
        video = f"w-{uuid.uuid4().hex}"
        info = await self.objects.put(f"acme/{video}", data, "video/mp4")
        stored = values.StoredObject(bucket=self.objects.bucket, key=f"acme/{video}", etag=info.etag)
        uploaded = events.VideoUploaded(
            event_id=video, occurred_at=now_utc(), video_id=video, gallery=gallery, object=stored
        ).model_copy(update=changes)
        await self.publisher.publish(uploaded)
        return uploaded

    async def slow_gallery(self) -> str:
        gallery = new_gallery("slow")
        await galleries.ensure_gallery(self.store, gallery, now_utc())
        await self.store.galleries.update(with_id(gallery), set_to(GalleryRecord.settings, SLOW))
        return gallery

    async def acknowledged(self, topic: Topic) -> None:
        """Wait until everything in `topic` is done with."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka_bootstrap)
        await admin.start()
        try:
            records = await whole_topic(self.stack, topic.name)
            ends = {record.partition: record.offset + 1 for record in records}

            async def done() -> bool:
                found = await admin.list_consumer_group_offsets(GROUPS[topic])
                offsets = {tp.partition: value.offset for tp, value in found.items() if tp.topic == topic.name}
                return all(offsets.get(partition, 0) >= end for partition, end in ends.items())

            await eventually_async(done)
        finally:
            await admin.close()

    def children(self) -> set[int]:
        """The pids of the processes behind the slots."""
        return {child.pid for child in self.stack.slots()}

    async def attempts(self, video: str, chunk: int = 0) -> AttemptsRecord | None:
        """What is on record of the attempts at a chunk."""
        return await self.store.attempts.get(ids.chunk_key(video, 1, chunk))


@pytest.fixture
async def world(stack: RunningStack) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as resources:
        enter = resources.enter_async_context
        store, publisher = await enter(connected(stack))
        objects = await enter(s3.connect(*Settings().s3))
        world = World(stack, store, publisher, objects)
        listeners = []
        for topic in (FACE_ENCODINGS, VIDEO_CHUNKS):
            messages = await enter(listen(stack.kafka_bootstrap, "", topic))
            listeners.append(asyncio.create_task(_hear(messages, topic, world.heard)))
        yield world
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)


async def _hear(messages: AsyncIterator[Any], topic: Topic, heard: list[Any]) -> None:
    async for message in messages:
        if message.value and message.value.startswith(b"{"):
            heard.append(decode(topic, message.value))


@pytest.fixture(scope="module")
def people() -> bytes:
    """Two people, one after the other."""
    return clips.clip("libx264", ".mp4").read_bytes()


@pytest.fixture(scope="module")
def half_a_minute(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two chunks without a face."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    pictures = clips.faceless(25)
    return clips.write(path, [pictures[i % 25] for i in range(32 * 5)], rate=5, gop=5).read_bytes()


async def test_a_video_is_planned_and_each_chunk_told_once(world: World, people: bytes) -> None:
    """The plan is stored with the object's etag, tracks carry encodings, and their crops lie in S3."""
    uploaded = await world.upload(people)
    video = uploaded.video_id
    await eventually_async(lambda: world.of(events.FacesEncoded, video))
    (planned,) = world.of(events.VideoPlanned, video)
    assert (planned.chunks, planned.width, planned.height, planned.warnings) == (1, 640, 480, ())
    (found,) = world.of(events.FacesEncoded, video)
    assert found.frames > 20
    assert len(found.tracks) >= 2
    for track in found.tracks:
        assert (await world.objects.get(track.crop.key)).startswith(b"\xff\xd8")
    plan = await world.store.plans.get(ids.run_key(video, 1))
    assert plan is not None
    assert plan.object == uploaded.object
    await world.acknowledged(VIDEO_CHUNKS)
    assert await world.attempts(video) is None
    assert len(world.of(events.FacesEncoded, video)) == 1


async def test_metrics_and_log_say_what_encodes(world: World) -> None:
    """What make_encoder chooses on this machine, and nothing beside it, once all children are ready."""
    chosen = make_encoder("onnx", Settings().castlist_cache).name
    encoder, _, provider = chosen.partition("-")
    async with httpx2.AsyncClient(base_url=world.stack.processes()["frame-workers"]["address"]) as http:
        assert (await http.get("/health/ready")).status_code == 200
        shown = (await http.get("/metrics")).text
    said = [line for line in shown.splitlines() if line.startswith("castlist_encoder_info")]
    assert said == [f'castlist_encoder_info{{encoder="{encoder}",provider="{provider or "cpu"}"}} 1.0']
    assert {line["encoder"] for line in world.stack.logged("frame-workers", "encoder_chosen")} == {chosen}
    ready = [line["facts"] for line in world.stack.logged("frame-workers", "child_ready")]
    assert {facts["encoder"] for facts in ready if "encoder" in facts} == {chosen}


async def test_events_that_come_again_change_nothing(world: World, half_a_minute: bytes) -> None:
    """A redo says the same, under the same ids."""
    uploaded = await world.upload(half_a_minute)
    video = uploaded.video_id

    def results() -> set[int]:
        return {event.chunk for event in world.of(events.FacesEncoded, video)}

    await eventually_async(lambda: results() == {0, 1})
    before = {event.event_id: event.model_copy(update={"occurred_at": None}) for event in world.of(events.Event, video)}
    plan = await world.store.plans.get(ids.run_key(video, 1))
    await world.publisher.publish(uploaded, *world.of(events.ChunkPlanned, video))
    await world.acknowledged(VIDEO_UPLOADED)
    await world.acknowledged(VIDEO_CHUNKS)
    for event in world.of(events.Event, video):
        if not isinstance(event, events.ChunkProgressed):
            assert event.model_copy(update={"occurred_at": None}) == before[event.event_id]
    assert await world.store.plans.get(ids.run_key(video, 1)) == plan


async def test_what_is_stored_already_is_not_worked_on_again(world: World, people: bytes) -> None:
    """But its successor, a window further on, is handed out: the worker that stored the result may have died before."""
    gallery = new_gallery("window")
    uploaded = await world.upload(people, gallery)
    video = f"{uploaded.video_id}-cut"
    other, run = uploaded.model_copy(update={"video_id": video, "event_id": video}), ids.run_key(video, 1)
    await registration.register(world.store, other, now_utc())
    edges = [None, 0.4, 0.8, 1.2, 1.6, None]
    await world.store.plans.insert(
        PlanRecord(
            id=run, gallery=gallery, object=other.object, window=2, duration=2.4, width=640, height=480,
            chunks=tuple(ChunkSpan(a, b) for a, b in itertools.pairwise(edges)), frame_rate=25.0, created_at=now_utc(),
        )
    )  # fmt: skip
    empty = events.FacesEncoded(
        event_id=f"{run}:0:0", occurred_at=now_utc(), video_id=video, epoch=1, gallery=gallery, chunk=0,
        frames=10, tracks=(),
    )  # fmt: skip
    await world.store.chunks.insert(
        ChunkResultRecord(
            id=empty.event_id, run=run, chunk=0, part=0, parts=1, event=encode(empty).decode(), at=now_utc()
        )
    )
    first = events.ChunkPlanned(
        event_id=f"{run}:0", occurred_at=now_utc(), video_id=video, epoch=1, gallery=gallery,
        object=other.object, chunk=0, chunks=5, start=None, end=0.4, window=2,
    )  # fmt: skip
    await world.publisher.publish(first)
    await eventually_async(lambda: {e.chunk for e in world.of(events.FacesEncoded, video)} == {2, 4})
    assert [e.chunk for e in world.of(events.ChunkPlanned, video)][:3] == [0, 2, 4]


async def test_a_video_cancelled_before_it_came_is_left_alone(world: World, people: bytes) -> None:
    """No plan, no chunk, nothing said."""
    video = f"w-{uuid.uuid4().hex}"
    await cancels.cancel(world.store, video, 1, now_utc())
    await world.upload(people, video_id=video)
    await world.acknowledged(VIDEO_UPLOADED)
    assert world.of(events.Event, video) == []
    assert await world.store.plans.get(ids.run_key(video, 1)) is None


async def test_a_cancel_kills_the_child_that_works_on_it(world: World, half_a_minute: bytes, people: bytes) -> None:
    """At once, and the slot is free for others; nothing of the chunk is told or kept."""
    before = await eventually_async(lambda: children if len(children := world.children()) >= 2 else None)
    uploaded = await world.upload(half_a_minute, await world.slow_gallery())
    video = uploaded.video_id
    await eventually_async(lambda: world.of(events.ChunkProgressed, video))
    cancel = commands.CancelVideo(event_id=uuid.uuid4().hex, occurred_at=now_utc(), video_id=video)
    await world.publisher.publish(cancel)
    await eventually_async(lambda: before - world.children(), 10)
    await cancels.cancel(world.store, video, 1, now_utc())  # the aggregator's part
    await world.acknowledged(VIDEO_CHUNKS)
    assert world.of(events.FacesEncoded, video) == []
    assert world.of(events.ChunkFailed, video) == []
    assert await world.objects.list(ids.crops_prefix(video, 1)) == []
    assert await world.attempts(video) is None
    following = await world.upload(people)
    await eventually_async(lambda: world.of(events.FacesEncoded, following.video_id))


async def test_three_strikes_and_a_chunk_has_failed(world: World, half_a_minute: bytes, people: bytes) -> None:
    """Its message is among the dead letters with the reason; the same video is not tried again; others are."""
    video = f"w-{uuid.uuid4().hex}"
    await world.upload(half_a_minute, await world.slow_gallery(), video_id=video)
    for strike in range(3):

        async def at_work(strike: int = strike) -> bool:
            records = [await world.attempts(video, chunk) for chunk in (0, 1)]
            return all(record and record.running and record.strikes == strike for record in records)

        await eventually_async(at_work)
        world.heard.clear()  # the record comes before the work: wait for a sign of life of each child
        await eventually_async(lambda: {e.chunk for e in world.of(events.ChunkProgressed, video)} == {0, 1})
        for pid in world.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    failed = await eventually_async(lambda: world.of(events.ChunkFailed, video))
    assert failed[0].code == "decoder_crashed"
    assert "crashed" in failed[0].message
    await world.acknowledged(VIDEO_CHUNKS)
    letters = [one for one in await whole_topic(world.stack, VIDEO_CHUNKS.dead) if video.encode() in one.value]
    assert letters
    assert dict(letters[0].headers)["error"].startswith(b"decoder_crashed")
    assert world.of(events.FacesEncoded, video) == []
    following = await world.upload(people)
    await eventually_async(lambda: world.of(events.FacesEncoded, following.video_id))


@pytest.mark.parametrize(("vanished", "fails"), [(0, False), (8, False), (9, True)])
async def test_owners_that_vanished_count_apart(world: World, people: bytes, vanished: int, fails: bool) -> None:
    """A record that still says `running` under another owner is one; the tenth is too many."""
    video = f"w-{uuid.uuid4().hex}"
    await world.store.attempts.insert(
        AttemptsRecord(id=ids.chunk_key(video, 1, 0), owner="gone", running=True, vanished=vanished, strikes=2)
    )
    await world.upload(people, video_id=video)
    await eventually_async(lambda: world.of(events.FacesEncoded, video) + world.of(events.ChunkFailed, video))
    assert [event.code for event in world.of(events.ChunkFailed, video)] == (["worker_vanished"] if fails else [])


async def test_an_object_that_is_not_there_or_not_allowed_or_not_the_one_announced(world: World, people: bytes) -> None:
    """Rejected, each with its code; without an etag any object is the one announced."""
    missing = values.StoredObject(bucket="castlist", key=f"acme/{uuid.uuid4().hex}")
    nowhere = values.StoredObject(bucket="no-such-bucket", key="acme/1")
    impossible = values.StoredObject(bucket="not a bucket", key="acme/1")
    others = values.StoredObject(bucket="castlist", key=ids.upload_key(uuid.uuid4().hex))
    expected = {(await world.upload(people, object=missing)).video_id: "object_missing"}
    for stored in (nowhere, impossible, others):
        expected[(await world.upload(people, object=stored)).video_id] = "object_not_allowed"
    key = f"acme/{uuid.uuid4().hex}"
    info = await world.objects.put(key, people, "video/mp4")
    other = values.StoredObject(bucket="castlist", key=key, etag="0" * 32)
    expected[(await world.upload(people, object=other)).video_id] = "object_changed"
    anything = await world.upload(people, object=replace(other, etag=None))
    await eventually_async(lambda: all(world.of(events.VideoRejected, video) for video in expected))
    for video, code in expected.items():
        (rejected,) = world.of(events.VideoRejected, video)
        assert rejected.code == code, rejected
        assert rejected.message
    await eventually_async(lambda: world.of(events.FacesEncoded, anything.video_id))
    plan = await world.store.plans.get(ids.run_key(anything.video_id, 1))
    assert plan is not None
    assert plan.object.etag == info.etag


async def test_an_object_that_changes_under_its_plan_fails_the_chunk(world: World, people: bytes) -> None:
    """A chunk of one version is never mixed with chunks of another."""
    uploaded = await world.upload(people, object=values.StoredObject(bucket="castlist", key="acme/none"))
    await eventually_async(lambda: world.of(events.VideoRejected, uploaded.video_id))
    video = f"w-{uuid.uuid4().hex}"
    await world.objects.put(f"acme/{video}", people, "video/mp4")
    chunk = events.ChunkPlanned(
        event_id=video, occurred_at=now_utc(), video_id=video, epoch=1, gallery="workers", chunk=0, chunks=1,
        object=values.StoredObject(bucket="castlist", key=f"acme/{video}", etag="0" * 32),
        start=None, end=None, window=4,
    )  # fmt: skip
    await world.publisher.publish(chunk)
    (failed,) = await eventually_async(lambda: world.of(events.ChunkFailed, video))
    assert failed.code == "object_changed"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "not_a_video"), (b"only text\n" * 100, "not_a_video"), (b"\x00\x00\x00\x18ftypmp42" + bytes(5000), None)],
)
async def test_what_is_not_a_video_is_rejected(world: World, data: bytes, code: str | None) -> None:
    """With a code of the contract and a sentence, after one look."""
    uploaded = await world.upload(data)
    (rejected,) = await eventually_async(lambda: world.of(events.VideoRejected, uploaded.video_id))
    assert rejected.code == code if code else rejected.code in lifecycle.ERROR_CODES
    assert rejected.message
    await world.acknowledged(VIDEO_UPLOADED)
    assert await world.store.attempts.get(ids.plan_key(uploaded.video_id, 1)) is None


async def test_messages_that_are_no_events_stop_nothing(world: World, people: bytes) -> None:
    """Chunks that cannot be read become dead letters with the reason; of uploads the aggregator keeps one each."""
    marker = uuid.uuid4().hex
    bad = [b"not JSON " + marker.encode(), b'{"event":"ChunkPlanned","version":99,"m":"' + marker.encode() + b'"}']
    for value in bad:
        for topic in (VIDEO_CHUNKS, VIDEO_UPLOADED):
            await world.publisher.publish_raw(topic.name, b"key", value)
    uploaded = await world.upload(people)
    await eventually_async(lambda: world.of(events.FacesEncoded, uploaded.video_id))
    await world.acknowledged(VIDEO_CHUNKS)
    await world.acknowledged(VIDEO_UPLOADED)
    chunks = await whole_topic(world.stack, VIDEO_CHUNKS.dead)
    reasons = [dict(letter.headers)["error"] for letter in chunks if letter.value in bad]
    assert len(reasons) == 2
    assert any(reason.startswith(b"not JSON") for reason in reasons)
    assert any(b"version 99" in reason for reason in reasons)

    async def uploads_kept() -> bool:
        letters = await whole_topic(world.stack, VIDEO_UPLOADED.dead)
        return sum(letter.value in bad for letter in letters) == 2

    await eventually_async(uploads_kept)
