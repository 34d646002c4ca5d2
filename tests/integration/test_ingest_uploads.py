"""Uploading and announcing videos, on the real MongoDB and S3."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from castlist.clock import now_utc
from castlist.contract import events, ids
from castlist.contract.values import StoredObject
from castlist.store.query import eq
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.tasks import lifecycle
from testkit.api import new_gallery
from testkit.eventually import eventually_async
from testkit.own_ingest import QUERY, OwnIngest, own_ingest, sha256, video
from testkit.own_storage import own_database, unfinished_uploads
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack
MB = 1024 * 1024


@pytest.fixture(scope="module")
def database(stack: RunningStack) -> Iterator[str]:
    with own_database(stack, "ingest") as name:
        yield name


@pytest.fixture
async def ingest(stack: RunningStack, database: str) -> AsyncIterator[OwnIngest]:
    async with own_ingest(stack, database) as running:
        yield running


def form(data: bytes, gallery: str) -> tuple[bytes, bytes]:
    """The body of an upload in two halves, and its type is `multipart/form-data; boundary=line`."""
    head = f'--line\r\nContent-Disposition: form-data; name="gallery"\r\n\r\n{gallery}\r\n--line\r\n'.encode()
    head += b'Content-Disposition: form-data; name="file"; filename="lobby.mp4"\r\n\r\n'
    middle = len(data) // 2
    return head + data[:middle], data[middle:] + b"\r\n--line--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=line"}


# --- uploads ----------------------------------------------------------------------------------------------------------


async def test_an_upload_is_stored_recorded_and_put_into_the_outbox(ingest: OwnIngest) -> None:
    """202 with the task's address; the object has the same bytes, its event says which object it is."""
    gallery, data = new_gallery("upload"), video()
    answer = await ingest.upload(data, gallery, "lobby.mp4", external_id="acme-1", recorded_at="2024-05-01T10:00:00Z")
    told = answer.json()
    assert answer.status_code == 202
    video_id = ids.uploaded_video_id(gallery, sha256(data))
    task_id = ids.task_id(video_id, 1)
    assert told == {
        "video_id": video_id,
        "task_id": task_id,
        "gallery": gallery,
        "name": "lobby.mp4",
        "bytes": len(data),
        "sha256": sha256(data),
        "status": "queued",
        "duplicate": False,
    }
    assert answer.headers["location"] == f"{QUERY}/tasks/{task_id}"
    stored = await ingest.store.videos.get(video_id)
    assert stored is not None
    assert await ingest.objects.get(stored.object.key) == data
    assert stored.object.etag == (await ingest.objects.head(stored.object.key)).etag
    entry = await ingest.store.outbox.get(ids.event_id("VideoUploaded", video_id, 1))
    assert entry is not None
    event = events.VideoUploaded.model_validate_json(entry.value)
    assert event.object == stored.object
    assert (event.external_id, event.bytes, event.gallery) == ("acme-1", len(data), gallery)
    assert await ingest.left() == (1, 0, 0)


async def test_a_large_body_of_unknown_length_arrives_whole(ingest: OwnIngest) -> None:
    """Chunked, several parts, the fields behind the file."""
    data = video(21 * MB + 12_345)
    gallery = new_gallery("chunked")

    async def body() -> AsyncIterator[bytes]:
        yield b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for start in range(0, len(data), 300_001):
            yield data[start : start + 300_001]
        yield f'\r\n--line\r\nContent-Disposition: form-data; name="gallery"\r\n\r\n{gallery}\r\n--line--'.encode()

    answer = await ingest.client.post("/videos", content=body(), headers=FORM)
    assert (answer.status_code, answer.json()["gallery"], answer.json()["sha256"]) == (202, gallery, sha256(data))
    stored = await ingest.store.videos.get(answer.json()["video_id"])
    assert stored is not None
    assert sha256(await ingest.objects.get(stored.object.key)) == sha256(data)


async def test_the_same_bytes_in_the_same_gallery_are_the_same_video(ingest: OwnIngest) -> None:
    """200 with the task that there is, whatever the file is called; another gallery has its own video."""
    gallery, data = new_gallery("same"), video()
    first = await ingest.upload(data, gallery)
    second = await ingest.upload(data, gallery, "renamed.mp4")
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json() == {**first.json(), "duplicate": True}
    assert second.headers["location"] == first.headers["location"]
    assert await ingest.left() == (1, 0, 0)
    elsewhere = await ingest.upload(data, new_gallery("same"))
    assert elsewhere.status_code == 202
    assert elsewhere.json()["video_id"] != first.json()["video_id"]


async def test_the_same_bytes_four_times_at_once_are_one_video(ingest: OwnIngest) -> None:
    """All four are half received before any goes on; one task, one object, and all are told of it."""
    gallery, data = new_gallery("at-once"), video()
    first, second = form(data, gallery)
    half = asyncio.Barrier(5)

    async def body() -> AsyncIterator[bytes]:
        yield first
        await half.wait()
        yield second

    async def all_began() -> bool:
        return await ingest.store.uploads.count() == 4

    async with httpx2.AsyncClient(base_url=ingest.url, timeout=60) as client:
        uploads = [asyncio.create_task(client.post("/videos", content=body(), headers=FORM)) for _ in range(4)]
        await eventually_async(all_began)
        await half.wait()
        answers = await asyncio.gather(*uploads)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False, True, True, True]
    assert await ingest.store.tasks.count(eq(TaskRecord.gallery, gallery)) == 1
    stored = await ingest.store.videos.get(answers[0].json()["video_id"])
    assert stored is not None
    assert [info.key for info in await ingest.objects.list("")] == [stored.object.key]
    assert await ingest.left() == (1, 0, 0)


async def test_again_makes_a_new_task_once_the_last_one_ended(ingest: OwnIngest) -> None:
    """An open task is returned as it is; a finished one is not run again unasked."""
    gallery, data = new_gallery("again"), video()
    first = (await ingest.upload(data, gallery)).json()
    still_open = await ingest.upload(data, gallery, again="true")
    assert (still_open.status_code, still_open.json()["task_id"]) == (200, first["task_id"])
    await lifecycle.finish(ingest.store, first["video_id"], 1, lifecycle.DONE, now_utc())
    unasked = await ingest.upload(data, gallery)
    assert (unasked.status_code, unasked.json()["task_id"], unasked.json()["status"]) == (200, first["task_id"], "done")
    asked = await ingest.upload(data, gallery, again="true")
    assert (asked.status_code, asked.json()["status"]) == (202, "queued")
    assert asked.json()["task_id"] == ids.task_id(first["video_id"], 2)
    assert await ingest.store.outbox.get(ids.event_id("VideoUploaded", first["video_id"], 2)) is not None
    assert await ingest.left() == (1, 0, 0)


@pytest.mark.parametrize("end", [lifecycle.FAILED, lifecycle.CANCELLED])
async def test_an_upload_after_a_task_that_came_to_nothing_is_a_new_task(
    ingest: OwnIngest, end: lifecycle.FinalStatus
) -> None:
    """A client that uploads it again wants it done."""
    gallery, data = new_gallery("revived"), video()
    first = (await ingest.upload(data, gallery)).json()
    await lifecycle.finish(ingest.store, first["video_id"], 1, end, now_utc(), TaskError("internal", "for the test"))
    second = await ingest.upload(data, gallery)
    assert second.status_code == 202
    assert second.json()["video_id"] == first["video_id"]
    assert second.json()["task_id"] == ids.task_id(first["video_id"], 2)


async def test_an_upload_brings_back_an_object_that_was_lost(ingest: OwnIngest) -> None:
    """S3 does not have the video's object any more, and its last task said so: the new task is on the new one."""
    gallery, data = new_gallery("lost"), video()
    first = (await ingest.upload(data, gallery)).json()
    stored = await ingest.store.videos.get(first["video_id"])
    assert stored is not None
    await ingest.objects.delete(stored.object.key)
    missing = TaskError("object_missing", "for the test")
    await lifecycle.finish(ingest.store, first["video_id"], 1, lifecycle.FAILED, now_utc(), missing)
    second = await ingest.upload(data, gallery)
    assert (second.status_code, second.json()["task_id"]) == (202, ids.task_id(first["video_id"], 2))
    entry = await ingest.store.outbox.get(ids.event_id("VideoUploaded", first["video_id"], 2))
    assert entry is not None
    event = events.VideoUploaded.model_validate_json(entry.value)
    assert await ingest.objects.get(event.object.key) == data
    assert (await ingest.upload(data, gallery)).json()["task_id"] == second.json()["task_id"]
    assert await ingest.left() == (1, 0, 0)


# --- refusals ---------------------------------------------------------------------------------------------------------


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    """The problem document, held to its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(answer.json())
    assert body["status"] == status
    assert body["type"].startswith("/docs/problems#")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"I am not a video, whatever I am called.\n" * 999, "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99_999), "a PNG picture"),
    ],
)
async def test_what_does_not_begin_like_a_video_is_refused(ingest: OwnIngest, data: bytes, reason: str) -> None:
    """415 says what it seems to be; its name is not believed, nothing is stored."""
    gallery = new_gallery("refused")
    assert reason in problem(await ingest.upload(data, gallery, "really.mp4"), 415)["detail"]
    assert await ingest.left() == (0, 0, 0)
    assert await ingest.store.videos.count(eq(VideoRecord.gallery, gallery)) == 0


async def test_a_file_over_the_limit_is_refused_while_it_streams(stack: RunningStack, database: str) -> None:
    """413 in the middle of a body of unknown length, after parts of it went to S3; nothing remains."""
    limit = 18 * MB
    async with own_ingest(stack, database, max_upload_bytes=limit) as ingest:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            yield form(video(), "default")[0]
            for _ in range(40):
                yield bytes(MB)
                sent += MB

        problem(await ingest.client.post("/videos", content=body(), headers=FORM), 413)
        assert sent >= limit
        assert await ingest.left() == (0, 0, 0)
        exact = video(limit - 12)
        assert len(exact) == limit
        assert (await ingest.upload(exact, new_gallery("exact"))).status_code == 202


async def test_a_length_over_the_limit_is_refused_before_it_is_stored(stack: RunningStack, database: str) -> None:
    """What a client says of its body is enough to refuse it."""
    async with own_ingest(stack, database, max_upload_bytes=MB) as ingest:
        problem(await ingest.upload(video(3 * MB), "default"), 413)
        assert await ingest.left() == (0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"colour": "red"}, "colour"), ({"gallery": "No Such!"}, "gallery"), ({"again": "perhaps"}, "again")],
)
async def test_fields_that_are_unknown_or_wrong_are_refused(
    ingest: OwnIngest, fields: dict[str, str], named: str
) -> None:
    """422 names the field, before the file and after it; nothing is stored."""
    before = await ingest.client.post("/videos", data=fields, files={"file": ("a.mp4", video())})
    assert [error["field"] for error in problem(before, 422)["errors"]] == [named]
    after = b"".join(
        f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    head, tail = form(video(), "default")
    body = head.replace(b'name="gallery"', b'name="name"') + tail.replace(b"--line--\r\n", after + b"--line--\r\n")
    late = await ingest.client.post("/videos", content=body, headers=FORM)
    assert [error["field"] for error in problem(late, 422)["errors"]] == [named]
    assert await ingest.left() == (0, 0, 0)


async def test_requests_that_are_no_upload_are_refused(ingest: OwnIngest) -> None:
    """Query parameters, other types, broken JSON, missing files, unknown paths: each a problem document."""
    client = ingest.client
    problem(await client.post("/videos?gallery=default", files={"file": ("a.mp4", video())}), 422)
    problem(await client.post("/videos", content=video(), headers={"Content-Type": "video/mp4"}), 415)
    problem(await client.post("/videos", content=b"{", headers={"Content-Type": "application/json"}), 400)
    problem(await client.post("/videos", content=b"[" * 60_000, headers={"Content-Type": "application/json"}), 400)
    problem(await client.post("/videos", content=b"--nothing", headers=FORM), 400)
    problem(await client.post("/videos", content=b"", headers={"Content-Type": "multipart/form-data"}), 400)
    problem(await client.post("/videos", files={"movie": ("a.mp4", video())}), 422)
    problem(await client.get("/nowhere"), 404)
    problem(await client.delete("/videos"), 405)
    assert await ingest.left() == (0, 0, 0)


async def test_a_client_that_goes_away_leaves_nothing(ingest: OwnIngest) -> None:
    """In the middle of the file, after some of its parts went to S3."""
    host = urlsplit(ingest.url)
    _, writer = await asyncio.open_connection(host.hostname, host.port)
    first, _ = form(video(60 * MB, seed=1), "default")
    writer.write(b"POST /videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n")
    writer.write(f"Content-Type: {FORM['Content-Type']}\r\n\r\n".encode() + first)

    async def nothing_left() -> bool:
        return await ingest.left() == (0, 0, 0)

    await eventually_async(lambda: unfinished_uploads(ingest.objects))
    assert (await ingest.left())[2] == 1
    writer.transport.abort()
    await eventually_async(nothing_left)


async def test_an_upload_that_stands_still_is_given_up(stack: RunningStack, database: str) -> None:
    """408, and nothing remains: a connection that the client never closes must not hold its parts for ever."""

    async def body() -> AsyncIterator[bytes]:
        yield form(video(20 * MB, seed=1), "default")[0]
        await asyncio.sleep(5)
        yield b"too late"

    async with own_ingest(stack, database, upload_idle_seconds=0.5) as ingest:
        problem(await ingest.client.post("/videos", content=body(), headers=FORM), 408)
        assert await ingest.left() == (0, 0, 0)


# --- announcements ----------------------------------------------------------------------------------------------------


async def test_an_object_that_is_in_s3_is_announced(ingest: OwnIngest) -> None:
    """202 once, then 200; the object stays where it is, and its etag is held on to."""
    gallery = new_gallery("announced")
    info = await ingest.objects.put("films/lobby one.mp4", video(), "video/mp4")
    first = await ingest.announce(info.key, gallery)
    assert first.status_code == 202
    told = first.json()
    assert (told["name"], told["bytes"], told["sha256"]) == ("lobby one.mp4", info.bytes, None)
    stored = await ingest.store.videos.get(told["video_id"])
    assert stored is not None
    assert stored.object == StoredObject(ingest.objects.bucket, info.key, info.etag)
    again = await ingest.announce(info.key, gallery)
    assert (again.status_code, again.json()) == (200, {**told, "duplicate": True})
    assert (await ingest.announce(info.key, new_gallery("announced"))).json()["video_id"] != told["video_id"]
    assert len(await ingest.objects.list("")) == 1


async def test_an_announced_id_stands_for_one_object_in_one_gallery(ingest: OwnIngest) -> None:
    """409 for another object, another gallery, and other bytes under the same key."""
    gallery, mine = new_gallery("own-id"), f"acme-{new_gallery('id')}"
    one = await ingest.objects.put("films/one.mp4", video(), "video/mp4")
    two = await ingest.objects.put("films/two.mp4", video(), "video/mp4")
    first = await ingest.announce(one.key, gallery, video_id=mine, name="One")
    assert (first.status_code, first.json()["video_id"], first.json()["name"]) == (202, mine, "One")
    problem(await ingest.announce(two.key, gallery, video_id=mine), 409)
    problem(await ingest.announce(one.key, new_gallery("own-id"), video_id=mine), 409)
    await ingest.objects.put(one.key, video(), "video/mp4")
    problem(await ingest.announce(one.key, gallery, video_id=mine), 409)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"object": {"bucket": "BUCKET", "key": "no/such"}}, "object"),
        ({"object": {"bucket": "no-such-bucket", "key": "no/such"}}, "object"),
        ({"object": {"bucket": "arn:aws:s3:::elsewhere", "key": "a"}}, "object.bucket"),
        ({"object": {"bucket": "BUCKET", "key": ""}}, "object.key"),
        ({"object": {"bucket": "BUCKET"}}, "object.key"),
        ({"object": {"bucket": "BUCKET", "key": "a", "version": "1"}}, "object.version"),
        ({"object": {"bucket": "BUCKET", "key": "a"}, "video_id": "a:b"}, "video_id"),
        ({"object": {"bucket": "BUCKET", "key": "a"}, "colour": "red"}, "colour"),
        ({}, "object"),
        ([], "body"),
    ],
)
async def test_announcements_that_name_no_object_are_refused(ingest: OwnIngest, body: Any, named: str) -> None:
    """422 names the field."""
    if isinstance(body, dict) and body.get("object", {}).get("bucket") == "BUCKET":
        body["object"]["bucket"] = ingest.objects.bucket
    answer = problem(await ingest.client.post("/videos", json=body), 422)
    assert [error["field"] for error in answer["errors"]] == [named]
