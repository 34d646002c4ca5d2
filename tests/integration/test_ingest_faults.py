"""Servers that are away and processes that die around an upload: accepted for good, or nothing is left of it."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.s3 import S3Objects
from castlist.clock import now_utc
from castlist.contract import events, ids, topics
from castlist.contract.values import StoredObject
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.service.periodic import in_background
from castlist.service.problems import Problem
from castlist.store.query import ANY, eq, one_of, set_to, with_id, with_ids
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.videos import UploadRecord
from castlist.store.store import Store
from castlist.tasks import registration
from ingest.acceptance import Acceptance, Accepted
from ingest.upload_stream import Received, Uploads
from ingest.upload_sweeper import ABANDONED, sweep_uploads
from ingest.video_details import Details
from testkit.api import new_gallery
from testkit.eventually import eventually_async
from testkit.own_ingest import OwnIngest, own_ingest, sha256, video
from testkit.own_service import NOWHERE, OwnService, own_service
from testkit.own_storage import own_bucket, own_database, own_store, unfinished_uploads
from testkit.running_stack import RunningStack, whole_topic

pytestmark = pytest.mark.stack
MB = 1024 * 1024
OURS = [topics.VIDEO_UPLOADED, topics.VIDEO_CONTROL]
FORM = {"Content-Type": "multipart/form-data; boundary=line"}


@pytest.fixture(scope="module")
def database(stack: RunningStack) -> Iterator[str]:
    with own_database(stack, "ingest") as name:
        yield name


async def said_of(stack: RunningStack, topic: str, video_id: str) -> list[Any]:
    return [record for record in await whole_topic(stack, topic) if record.key == video_id.encode()]


# --- servers that are away --------------------------------------------------------------------------------------------


async def test_kafka_being_away_is_no_reason_to_refuse(stack: RunningStack, database: str) -> None:
    """Uploads and cancels are answered at once; another ingest, where Kafka is there, publishes them."""
    async with own_ingest(stack, database) as ingest:
        first = (await ingest.upload(video(), new_gallery("no-kafka"))).json()
        second = (await ingest.upload(video(), new_gallery("no-kafka"))).json()
        assert (await ingest.client.post(f"/tasks/{second['task_id']}/cancel")).status_code == 202
        left = eq(OutboxRecord.published_at, None) & one_of(OutboxRecord.topic, [topic.name for topic in OURS])
        unpublished = await ingest.store.outbox.find(left)
        assert {entry.key for entry in unpublished} >= {first["video_id"], second["video_id"]}

        publisher = KafkaPublisher(stack.kafka_bootstrap)
        relay = OutboxRelay(ingest.store, publisher, now_utc, OURS)

        async def all_published() -> bool:
            return await ingest.store.outbox.count(with_ids(entry.id for entry in unpublished) & left) == 0

        async with in_background(relay.run()):
            await eventually_async(all_published)
        await publisher.close()
    assert len(await said_of(stack, "video.uploaded", first["video_id"])) == 1
    assert len(await said_of(stack, "video.uploaded", second["video_id"])) == 1
    control = await said_of(stack, "video.control", second["video_id"])
    assert [record.key.decode() for record in control] == [second["video_id"]]


async def test_an_upload_is_published_under_its_videos_key(stack: RunningStack, database: str) -> None:
    """Once, marked in the outbox, and readable as the event of the topic."""
    async with own_ingest(stack, database, kafka_bootstrap=stack.kafka_bootstrap) as ingest:
        told = (await ingest.upload(video(), new_gallery("published"))).json()
        event_id = ids.event_id("VideoUploaded", told["video_id"], 1)

        async def published() -> bool:
            entry = await ingest.store.outbox.get(event_id)
            return entry is not None and entry.published_at is not None

        await eventually_async(published)
    (record,) = await said_of(stack, topics.VIDEO_UPLOADED.name, told["video_id"])
    event = events.VideoUploaded.model_validate_json(record.value)
    assert (event.event_id, event.sha256, event.epoch) == (event_id, told["sha256"], 1)


@pytest.mark.parametrize("away", ["s3_endpoint", "mongo_url"])
async def test_without_s3_or_mongodb_an_upload_is_to_be_tried_later(
    stack: RunningStack, database: str, away: str
) -> None:
    """503 with Retry-After, for uploads small and large; readiness names who is missing."""
    nowhere = {"s3_endpoint": f"http://{NOWHERE}", "mongo_url": f"mongodb://{NOWHERE}"}[away]
    async with own_ingest(stack, database, **{away: nowhere}) as ingest:
        for size in (1000, 20 * MB):
            answer = await ingest.upload(video(size, seed=1), new_gallery("away"))
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == "application/problem+json"
        ready = await ingest.client.get("/health/ready")
        states = ready.json()["dependencies"]
        down = [name for name, state in states.items() if state != "up"]
        assert (ready.status_code, down) == (503, [{"s3_endpoint": "s3", "mongo_url": "mongodb"}[away]])
        assert (await ingest.client.get("/health/live")).status_code == 200
        assert await ingest.objects.list("") == []


# --- deaths in between ------------------------------------------------------------------------------------------------


AGES_AGO = datetime(2026, 1, 2, tzinfo=UTC)


class Steps:
    """The steps of an upload by themselves, so that a test can die between any two of them."""

    def __init__(self, ingest: OwnIngest) -> None:
        self.ingest = ingest
        self.uploads = Uploads(ingest.store, ingest.objects, now_utc, 1 << 30)
        self.acceptance = Acceptance(ingest.store, now_utc)
        self.details = Details(gallery=new_gallery("steps"), name="lobby.mp4")

    async def receive(self, data: bytes) -> Received:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        return await self.uploads.receive(chunks())

    def video_id(self, received: Received) -> str:
        return ids.uploaded_video_id(self.details.gallery, received.sha256)

    async def sweep(self, minutes: float) -> int:
        later = now_utc() + timedelta(minutes=minutes)
        return await sweep_uploads(self.ingest.store, self.ingest.objects, later)


@pytest.fixture
async def steps(stack: RunningStack, database: str) -> AsyncIterator[Steps]:
    async with own_ingest(stack, database) as ingest:
        yield Steps(ingest)


async def test_an_object_without_its_transaction_is_swept(steps: Steps) -> None:
    """A crash after the object was completed: gone after ten minutes."""
    await steps.receive(video())
    assert await steps.ingest.left() == (1, 0, 1)
    assert await steps.sweep(9) == 0
    assert await steps.ingest.left() == (1, 0, 1)
    assert await steps.sweep(11) == 1
    assert await steps.ingest.left() == (0, 0, 0)


async def test_the_object_of_an_accepted_video_is_kept(steps: Steps) -> None:
    """A crash right after the transaction: it was no upload any more."""
    received = await steps.receive(video())
    await steps.acceptance.uploaded(received, steps.ingest.objects.bucket, steps.details)
    assert await steps.sweep(11) == 0
    assert await steps.ingest.left() == (1, 0, 0)


async def test_the_object_of_an_earlier_versions_video_is_kept(steps: Steps) -> None:
    """Its upload was recorded still when its process ended, after the transaction."""
    received = await steps.receive(video())
    await steps.acceptance.uploaded(received, steps.ingest.objects.bucket, steps.details)
    long_ago = now_utc() - timedelta(days=1)
    await steps.ingest.store.uploads.insert(
        UploadRecord(id=received.object.key, started_at=long_ago, touched_at=long_ago)
    )
    assert await steps.sweep(11) == 1
    assert await steps.ingest.left() == (1, 0, 0)


async def test_the_object_of_a_duplicate_is_not_kept(steps: Steps) -> None:
    """The same crash, where the video had these bytes already."""
    data = video()
    first, second = await steps.receive(data), await steps.receive(data)
    for received in (first, second):
        await steps.acceptance.uploaded(received, steps.ingest.objects.bucket, steps.details)
    assert await steps.sweep(11) == 1
    assert [info.key for info in await steps.ingest.objects.list("")] == [first.object.key]


async def test_an_upload_that_was_swept_before_its_transaction_is_not_accepted(steps: Steps) -> None:
    """Its process stood still for ten minutes in between: a video must not refer to what is gone, or is going."""
    gone, going = await steps.receive(video()), await steps.receive(video())
    await steps.ingest.store.uploads.update(with_id(going.object.key), set_to(UploadRecord.condemned, True))
    await steps.ingest.store.uploads.update(with_id(gone.object.key), set_to(UploadRecord.touched_at, AGES_AGO))
    assert await steps.sweep(0) == 1
    for received in (gone, going):
        with pytest.raises(UnavailableError):
            await steps.acceptance.uploaded(received, steps.ingest.objects.bucket, steps.details)
        assert await steps.ingest.store.videos.get(steps.video_id(received)) is None


async def test_a_sweep_beside_a_transaction_takes_nothing_from_a_video(steps: Steps) -> None:
    """Whichever is first: the object is there and a video's, or is gone and no video's."""
    for _ in range(20):
        received = await steps.receive(video(1000))
        await steps.ingest.store.uploads.update(ANY, set_to(UploadRecord.touched_at, AGES_AGO))
        accepting = steps.acceptance.uploaded(received, steps.ingest.objects.bucket, steps.details)
        _, accepted = await asyncio.gather(steps.sweep(0), accepting, return_exceptions=True)
        assert isinstance(accepted, Accepted | UnavailableError)
        kept = {info.key for info in await steps.ingest.objects.list("")}
        assert (received.object.key in kept) == isinstance(accepted, Accepted)


async def test_a_long_upload_is_left_alone(steps: Steps) -> None:
    """Begun hours ago and still receiving: neither its parts nor its record are touched; dead parts are removed, except
    those of other systems in the bucket."""
    objects, store = steps.ingest.objects, steps.ingest.store
    more = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield video(20 * MB, seed=1)
        await more.wait()
        yield b"the end"

    receiving = asyncio.create_task(steps.uploads.receive(chunks()))
    await eventually_async(lambda: unfinished_uploads(objects))
    await store.uploads.update(ANY, set_to(UploadRecord.touched_at, now_utc() + ABANDONED))
    assert await sweep_uploads(store, objects, now_utc(), older=timedelta(0)) == 0
    assert len(await unfinished_uploads(objects)) == 1
    more.set()
    received = await receiving
    assert received.object.bytes == 20 * MB + 12 + len(b"the end")
    await steps.uploads.discard(received.object.key)
    for key in ("videos/dead", "acme/not-ours"):
        await objects._client.create_multipart_upload(Bucket=objects.bucket, Key=key)
    await asyncio.sleep(1)
    await sweep_uploads(store, objects, now_utc(), older=timedelta(0))
    assert [one["Key"] for one in await unfinished_uploads(objects)] == ["acme/not-ours"]


async def test_a_transaction_that_fails_leaves_its_object_to_the_sweep(steps: Steps) -> None:
    """Whether it was committed may be unknown: removing the object at once could take it from an accepted video."""
    ingest = steps.ingest
    gallery, data = new_gallery("unknown"), video()
    id, elsewhere = ids.uploaded_video_id(gallery, sha256(data)), StoredObject("elsewhere", "lobby.mp4")
    taken = events.VideoUploaded(
        event_id=id, occurred_at=now_utc(), video_id=id, gallery=new_gallery("another"), object=elsewhere
    )
    await registration.register(ingest.store, taken, now_utc())
    refused = await ingest.upload(data, gallery)
    assert refused.status_code == 409
    assert await ingest.left() == (1, 0, 1)


async def test_what_the_chunks_raise_leaves_nothing(steps: Steps) -> None:
    """A form that turns out wrong at its very end."""

    async def chunks() -> AsyncIterator[bytes]:
        yield video(20 * MB, seed=1)
        raise Problem(422, "wrong after all")

    with pytest.raises(Problem):
        await steps.uploads.receive(chunks())
    assert await steps.ingest.left() == (0, 0, 0)


# --- a process of its own ---------------------------------------------------------------------------------------------


@pytest.fixture
async def store(stack: RunningStack, database: str) -> AsyncIterator[Store]:
    """Without what earlier tests recorded of their uploads."""
    async with own_store(stack, database) as store:
        await store.uploads.delete(ANY)
        yield store


@pytest.fixture
async def bucket(stack: RunningStack) -> AsyncIterator[S3Objects]:
    async with own_bucket(stack) as objects:
        yield objects


@pytest.fixture
def ingest(database: str, bucket: S3Objects) -> Iterator[OwnService]:
    """`python -m ingest` on both, without Kafka."""
    where = {"MONGO_DATABASE": database, "S3_BUCKET": bucket.bucket, "KAFKA_BOOTSTRAP": NOWHERE}
    with own_service("ingest", "INGEST_PORT", LOG_LEVEL="ERROR", **where) as service:
        yield service


def peak(pid: int) -> int:
    """The most memory that was resident in the process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


async def test_memory_does_not_grow_with_the_file(ingest: OwnService) -> None:
    """300 MB of unknown length go through; resident memory grows by less than 100 MB."""
    block = video(MB, seed=1)[:MB]

    async def body() -> AsyncIterator[bytes]:
        yield b'--line\r\nContent-Disposition: form-data; name="file"; filename="long.mp4"\r\n\r\n'
        for _ in range(300):
            yield block
        yield b"\r\n--line--\r\n"

    before = peak(ingest.process.pid)
    async with httpx2.AsyncClient(base_url=ingest.url, timeout=240) as client:
        answer = await client.post("/videos", content=body(), headers=FORM)
    assert (answer.status_code, answer.json()["bytes"]) == (202, 300 * MB)
    assert peak(ingest.process.pid) - before < 100 * MB


async def test_a_killed_ingest_leaves_nothing_for_good(ingest: OwnService, store: Store, bucket: S3Objects) -> None:
    """kill -9 in the middle of the file, after parts of it went to S3: swept by the next one."""

    async def body() -> AsyncIterator[bytes]:
        yield b'--line\r\nContent-Disposition: form-data; name="file"; filename="long.mp4"\r\n\r\n'
        yield video(30 * MB, seed=1)
        await asyncio.sleep(60)

    async with httpx2.AsyncClient(base_url=ingest.url, timeout=60) as client:
        upload = asyncio.create_task(client.post("/videos", content=body(), headers=FORM))
        await eventually_async(lambda: unfinished_uploads(bucket))
        ingest.process.send_signal(signal.SIGKILL)
        with pytest.raises(httpx2.TransportError):
            await upload
    assert await store.uploads.count() == 1
    await asyncio.sleep(1)
    assert await sweep_uploads(store, bucket, now_utc(), older=timedelta(0)) == 1
    assert (await unfinished_uploads(bucket), await bucket.list("")) == ([], [])
    assert await store.uploads.count() == 0


async def test_a_terminated_ingest_finishes_what_it_is_receiving(
    ingest: OwnService, store: Store, bucket: S3Objects
) -> None:
    """SIGTERM in the middle of an upload that ends soon: it is still accepted, then the process ends."""
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + video()
        await go_on.wait()
        yield b"\r\n--line--\r\n"

    async def began() -> bool:
        return await store.uploads.count() == 1

    async with httpx2.AsyncClient(base_url=ingest.url, timeout=60) as client:
        upload = asyncio.create_task(client.post("/videos", content=body(), headers=FORM))
        await eventually_async(began)
        ingest.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        go_on.set()
        assert (await upload).status_code == 202
    assert await asyncio.to_thread(ingest.process.wait, 20) == 0
    assert len(await bucket.list("")) == 1


async def test_a_terminated_ingest_gives_up_what_takes_long(
    ingest: OwnService, store: Store, bucket: S3Objects
) -> None:
    """SIGTERM in the middle of an upload that does not end: 503, and nothing remains of it when the process is gone."""
    gone = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        yield video(30 * MB, seed=1)
        await gone.wait()

    async with httpx2.AsyncClient(base_url=ingest.url, timeout=60) as client:
        upload = asyncio.create_task(client.post("/videos", content=body(), headers=FORM))
        await eventually_async(lambda: unfinished_uploads(bucket))
        ingest.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(ingest.process.wait, 20) == 0
        gone.set()  # this client looks at the answer only then
        answer = await upload
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (await unfinished_uploads(bucket), await store.uploads.count()) == ([], 0)
