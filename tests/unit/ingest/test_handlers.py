"""Uploads, announcements, cancels and retries in memory: whatever fails, dies or comes twice, each ends the same."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from castlist.adapters.memory.objects import PART
from castlist.contract.bounds import WHOLE
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import uploaded_video_id
from castlist.contract.values import StoredObject
from castlist.ports.errors import UnavailableError
from castlist.service.openapi import openapi
from castlist.service.operations import application
from castlist.store.query import ANY, set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import DeletedVideoRecord, UploadRecord
from castlist.tasks import lifecycle
from castlist.tasks.registration import register
from ingest.acceptance import Acceptance
from ingest.app import API
from ingest.endpoints.tasks import Tasks
from ingest.endpoints.videos import Videos
from ingest.settings import Settings
from ingest.upload_stream import Uploads
from ingest.upload_sweeper import ABANDONED, sweep_uploads
from ingest.video_details import Details
from testkit.faults import Faults, at_every_moment
from testkit.in_memory import InMemory

VIDEO = b"\0\0\0\x18ftypisom" + bytes(5000)
DOCUMENT = openapi(API)
DAY = timedelta(days=1)


class Ingest:
    """The service on servers in memory, and a client that repeats what was not answered."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.servers = InMemory(faults)
        self.settings = Settings(public_query_url="http://query.example", allowed_objects="castlist,archive")
        self.relay = self.servers.relay()

    async def request(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """One request to a process of its own."""
        store, objects, clock = self.servers.store, self.servers.objects, self.servers.clock
        acceptance = Acceptance(store, clock)
        videos = Videos(
            self.settings,
            objects,
            Uploads(store, objects, clock, self.settings.max_upload_bytes),
            acceptance,
            self.relay,
        )
        tasks = Tasks(store, acceptance, self.relay, self.settings.public_query_url)
        transport = httpx2.ASGITransport(application(DOCUMENT, [videos, tasks], {}, ["test"]))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **given)

    async def answered(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The answer to a request that is repeated until there is one."""

        async def once() -> dict[str, Any]:
            answer = await self.request(method, path, **given)
            if answer.status_code == 503:
                raise UnavailableError(answer.text)
            assert answer.status_code < 300, answer.text
            body: dict[str, Any] = answer.json()
            return body

        answer: dict[str, Any] = await self.servers.repeat(once)
        return answer

    async def upload(self, data: bytes = VIDEO, **fields: str) -> dict[str, Any]:
        """POST /videos with a file, until it is answered."""
        form = {"gallery": "g", **fields}
        return await self.answered("POST", "/videos", data=form, files={"file": ("lobby.mp4", data)})

    async def sweep(self) -> None:
        """Sweep until it succeeds, long after."""
        await self.servers.repeat(
            lambda: sweep_uploads(self.servers.store, self.servers.objects, self.servers.clock() + DAY)
        )

    async def left(self) -> dict[str, Any]:
        """What there is when all is swept and published."""
        await self.sweep()
        await self.servers.repeat(lambda: self.relay.sweep(timedelta(0)))
        return await self.servers.left()


async def test_an_upload_ends_the_same_whatever_fails() -> None:
    """One object, one video, one task, one event: after any number of tries, and a sweep of what they left."""

    async def scenario(faults: Faults) -> Any:
        ingest = Ingest(faults)
        faults.begin()
        accepted = await ingest.upload()
        left = await ingest.left()
        (video,) = await ingest.servers.stored.videos.find()
        assert [video.object.key] == [info.key for info in await ingest.servers.bucket.list("")]
        assert await ingest.servers.bucket.get(video.object.key) == VIDEO
        assert left["documents"]["uploads"] == {}
        return left, accepted["video_id"], accepted["task_id"]

    assert await at_every_moment(scenario)


async def test_the_same_bytes_at_once_are_one_video() -> None:
    """Whichever transaction is first; the objects of the others are removed."""
    ingest = Ingest()
    answers = await asyncio.gather(*(ingest.upload() for _ in range(4)))
    assert len({answer["task_id"] for answer in answers}) == 1
    left = await ingest.left()
    assert len(left["objects"]) == 1
    assert len(left["events"]["video.uploaded"]) == 1


async def test_an_announcement_ends_the_same_whatever_fails() -> None:
    """The object stays where it is."""

    async def scenario(faults: Faults) -> Any:
        ingest = Ingest(faults)
        ingest.servers.bucket.store("2026/cam.mp4", VIDEO, "video/mp4", bucket="archive")
        faults.begin()
        body = {"object": {"bucket": "archive", "key": "2026/cam.mp4"}, "gallery": "g", "video_id": "cam"}
        await ingest.answered("POST", "/videos", json=body)
        return await ingest.left()

    assert await at_every_moment(scenario)


async def test_a_cancel_ends_the_same_whatever_fails() -> None:
    """The task is cancelled, the run's cancel is remembered, and every process is told."""

    async def scenario(faults: Faults) -> Any:
        ingest = Ingest(faults)
        accepted = await ingest.upload()
        faults.begin()
        await ingest.answered("POST", f"/tasks/{accepted['task_id']}/cancel")
        left = await ingest.left()
        assert [one["status"] for one in left["documents"]["tasks"].values()] == ["cancelled"]
        assert len(left["events"]["video.control"]) == 1
        return left

    assert await at_every_moment(scenario)


async def test_a_retry_ends_the_same_whatever_fails() -> None:
    """One new task, however often it was asked for."""

    async def scenario(faults: Faults) -> Any:
        ingest = Ingest(faults)
        accepted = await ingest.upload()
        error = TaskError("internal", "A bug.")
        await lifecycle.finish(
            ingest.servers.stored, accepted["video_id"], 1, lifecycle.FAILED, ingest.servers.clock(), error
        )
        faults.begin()
        retried = [await ingest.answered("POST", f"/tasks/{accepted['task_id']}/retry") for _ in range(2)]
        assert retried[0]["task_id"] == retried[1]["task_id"] != accepted["task_id"]
        left = await ingest.left()
        assert len(left["documents"]["tasks"]) == 2
        return left

    assert await at_every_moment(scenario)


async def test_a_video_at_its_last_epoch_is_not_run_again() -> None:
    """Another system may take moments for epochs, and the largest there is: what cannot be asked for is a 409."""
    ingest = Ingest()
    accepted = await ingest.upload()
    stored = ingest.servers.stored
    await stored.tasks.update(ANY, set_to(TaskRecord.epoch, WHOLE) & set_to(TaskRecord.status, lifecycle.FAILED))
    again = await ingest.request("POST", f"/tasks/{accepted['task_id']}/retry")
    assert (again.status_code, "epoch" in again.json()["detail"]) == (409, True)
    await stored.videos.delete(ANY)
    await stored.deleted.insert(DeletedVideoRecord(id=accepted["video_id"], latest_epoch=WHOLE, at=ingest.servers.now))
    anew = await ingest.request("POST", "/videos", data={"gallery": "g"}, files={"file": ("lobby.mp4", VIDEO)})
    assert (anew.status_code, "epoch" in anew.json()["detail"]) == (409, True)


async def test_bytes_that_s3_lost_are_brought_back_by_the_next_upload() -> None:
    """The video refers to the new object; a field that a newer version added to the old one's reference is no
    obstacle."""

    async def scenario(faults: Faults) -> Any:
        ingest = Ingest(faults)
        accepted = await ingest.upload()
        store, bucket = ingest.servers.stored, ingest.servers.bucket
        video, now = accepted["video_id"], ingest.servers.clock()
        (known,) = await store.videos.find()
        await bucket.delete(known.object.key)
        await ingest.servers.documents.update("videos", {"_id": video}, {"$set": {"object.of_the_future": 1}})
        await lifecycle.finish(store, video, 1, lifecycle.FAILED, now, TaskError("object_missing", "It is gone."))
        faults.begin()
        await ingest.upload()
        left = await ingest.left()
        (restored,) = await store.videos.find()
        assert restored.latest_epoch == 2
        assert await bucket.get(restored.object.key) == VIDEO
        assert len(left["objects"]) == 1
        return left

    assert await at_every_moment(scenario)


# --- uploads that come to nothing -------------------------------------------------------------------------------------


async def test_what_is_refused_leaves_nothing() -> None:
    """Neither an object nor a record of the upload."""
    ingest = Ingest()
    for data, status in ((b"#!/bin/sh\n" + bytes(5000), 415), (VIDEO, 422)):
        fields = {"gallery": "g"} if status == 415 else {"gallery": "no/gallery"}
        answer = await ingest.request("POST", "/videos", data=fields, files={"file": ("x.mp4", data)})
        assert answer.status_code == status
    left = await ingest.servers.left()
    assert left["objects"] == []
    assert not any(left["documents"].values())


async def test_a_sweep_ends_the_same_whatever_fails() -> None:
    """The object of an upload that died goes, that of a video stays, and one that is being written is left alone."""

    async def scenario(faults: Faults) -> Any:
        ingest = Ingest(faults)
        store, bucket, now = ingest.servers.stored, ingest.servers.bucket, ingest.servers.clock()
        await ingest.upload()
        (video,) = await store.videos.find()
        moments = {"dead": now - DAY, "alive": now, video.object.key: now - DAY}
        for key, touched in moments.items():
            bucket.store(key, VIDEO, "video/mp4")
            await store.uploads.insert(UploadRecord(id=key, started_at=now - DAY, touched_at=touched))
        faults.begin()
        await ingest.servers.repeat(
            lambda: sweep_uploads(ingest.servers.store, ingest.servers.objects, ingest.servers.clock(), ABANDONED)
        )
        assert {info.key for info in await bucket.list("")} == {"alive", video.object.key}
        assert await store.uploads.ids() == ["alive"]
        return await ingest.servers.left()

    assert await at_every_moment(scenario)


async def test_parts_of_a_dead_upload_go_while_an_older_one_lives() -> None:
    """By its record: S3 cannot tell its parts from those of the upload that began before it."""
    servers = Ingest().servers
    store, now = servers.stored, servers.clock()
    moments = {"videos/old-and-alive": (now - DAY, now), "videos/dead": (now - DAY / 2, now - DAY / 2)}
    async with AsyncExitStack() as killed:
        alive, dead = [await killed.enter_async_context(servers.bucket.upload(key, "video/mp4")) for key in moments]
        for upload in (alive, dead):
            await upload.write(bytes(PART))
        for key, (started, touched) in moments.items():
            await store.uploads.insert(UploadRecord(id=key, started_at=started, touched_at=touched))
        assert await sweep_uploads(servers.store, servers.objects, now, ABANDONED) == 1
        assert servers.bucket.uploads == {alive}
        assert await store.uploads.ids() == ["videos/old-and-alive"]


async def test_an_upload_that_was_swept_away_is_not_accepted() -> None:
    """It took so long that its object is gone: the client is told to try again, not that all is well."""
    ingest = Ingest()
    servers = ingest.servers
    uploads = Uploads(servers.store, servers.objects, servers.clock, 10**9)

    async def slowly() -> AsyncIterator[bytes]:
        yield VIDEO
        await ingest.sweep()
        yield VIDEO

    with pytest.raises(UnavailableError):
        await uploads.receive(slowly())
    await ingest.sweep()
    assert (await servers.left())["objects"] == []
    assert await servers.stored.uploads.find() == []


async def test_lost_bytes_that_come_several_times_at_once_are_brought_back_once() -> None:
    """One upload puts its object there with the new task, the objects of the others go."""
    ingest = Ingest()
    accepted = await ingest.upload()
    store, bucket = ingest.servers.stored, ingest.servers.bucket
    (video,) = await store.videos.find()
    await bucket.delete(video.object.key)
    lost = TaskError("object_missing", "It is gone.")
    await lifecycle.finish(store, accepted["video_id"], 1, lifecycle.FAILED, ingest.servers.clock(), lost)
    answers = await asyncio.gather(*(ingest.upload() for _ in range(4)))
    assert len({answer["task_id"] for answer in answers}) == 1
    left = await ingest.left()
    (video,) = await store.videos.find()
    assert [info.key for info in await bucket.list("")] == [video.object.key]
    assert len(left["documents"]["tasks"]) == 2


async def test_an_upload_that_was_swept_before_its_transaction_is_not_accepted() -> None:
    """Its process stood still while others swept: no video may refer to an object that is gone."""
    ingest = Ingest()
    servers = ingest.servers
    uploads, acceptance = (
        Uploads(servers.store, servers.objects, servers.clock, 10**9),
        Acceptance(servers.store, servers.clock),
    )

    async def body() -> AsyncIterator[bytes]:
        yield VIDEO

    received = await uploads.receive(body())
    await ingest.sweep()
    with pytest.raises(UnavailableError):
        await acceptance.uploaded(received, "castlist", Details(gallery="g"))
    assert await servers.stored.videos.find() == []
    assert (await servers.left())["objects"] == []
    assert (await ingest.upload())["status"] == "queued"


# --- what may be announced --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [("castlist", "videos/theirs"), ("castlist", "crops/v/1/0-0.jpg"), ("castlist", "/videos/theirs"), ("other", "a")],
)
async def test_what_is_anothers_cannot_be_announced(place: tuple[str, str]) -> None:
    """422, whether it is there or not, and nothing comes of it."""
    ingest = Ingest()
    bucket, key = place
    body = {"object": {"bucket": bucket, "key": key}, "gallery": "g"}
    answers = [await ingest.request("POST", "/videos", json=body)]
    ingest.servers.bucket.store(key, VIDEO, "video/mp4", bucket=bucket)
    answers.append(await ingest.request("POST", "/videos", json=body))
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json() == answers[1].json()
    assert not any((await ingest.servers.left())["documents"].values())


async def test_an_id_that_was_taken_by_a_forged_announcement_is_given_back() -> None:
    """Whoever uploads the bytes that an id stands for gets them looked through."""
    ingest = Ingest()
    store, clock = ingest.servers.stored, ingest.servers.clock
    video_id = uploaded_video_id("g", hashlib.sha256(VIDEO).hexdigest())
    forged = VideoUploaded(
        event_id="f",
        occurred_at=clock(),
        video_id=video_id,
        gallery="g",
        object=StoredObject("castlist", "videos/theirs"),
    )
    await register(store, forged, clock())
    refused = TaskError("object_not_allowed", "It may not.")
    await lifecycle.finish(store, video_id, 1, lifecycle.FAILED, clock(), refused)
    accepted = await ingest.upload()
    (video,) = await store.videos.find()
    assert (accepted["video_id"], accepted["status"], video.uploaded) == (video_id, "queued", True)
    assert await ingest.servers.bucket.get(video.object.key) == VIDEO


async def test_what_is_put_into_a_gallery_that_is_being_deleted_is_refused() -> None:
    """A new video, one that is there, and a retry: 409, and why. Once it is gone, an upload begins it anew."""
    ingest = Ingest()
    accepted = await ingest.upload()
    store = ingest.servers.stored
    await ingest.answered("POST", f"/tasks/{accepted['task_id']}/cancel")
    await store.galleries.update(with_id("g"), set_to(GalleryRecord.deletion, "change"))
    tasks = sorted(await store.tasks.ids())
    for answer in (
        await ingest.request("POST", "/videos", data={"gallery": "g"}, files={"file": ("new.mp4", VIDEO + b"new")}),
        await ingest.request("POST", "/videos", data={"gallery": "g"}, files={"file": ("lobby.mp4", VIDEO)}),
        await ingest.request("POST", f"/tasks/{accepted['task_id']}/retry"),
    ):
        assert (answer.status_code, "being deleted" in answer.json()["detail"]) == (409, True)
    assert sorted(await store.tasks.ids()) == tasks
    gone = set_to(GalleryRecord.deletion, None) & set_to(GalleryRecord.deleted_at, ingest.servers.now)
    await store.galleries.update(with_id("g"), gone)
    await ingest.upload(VIDEO + b"new")
    again = await store.galleries.get("g")
    assert again is not None
    assert again.deleted_at is None
