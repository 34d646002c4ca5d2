"""What goes in and is no good: a clear error for the client that sent it, and nothing else is touched."""

import contextlib
import random
import select
import socket
import uuid
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import pytest

from castlist.adapters import s3
from castlist.clock import now_utc
from castlist.contract import events, ids, values
from castlist.service.bounded_http import MOST_HALF_OPEN
from castlist.service.settings import Settings
from testkit import clips
from testkit.api import Api, new_gallery
from testkit.eventually import eventually
from testkit.running_stack import RunningStack, connected

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"I am not a video, whatever I am called.\n" * 50),
        ("picture.mp4", b"\x89PNG\r\n\x1a\n" + bytes(500)),
        ("page.mkv", b"<!doctype html><title>no</title>"),
    ],
)
def test_what_does_not_begin_like_a_video_is_refused_at_once(api: Api, tmp_path: Path, name: str, data: bytes) -> None:
    """415 with a reason, whatever the file is called; not even a gallery comes of it."""
    path = tmp_path / name
    path.write_bytes(data)
    gallery = new_gallery("bad")
    answer = api.upload(path, gallery)
    assert answer.status_code == 415, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/tasks", gallery=gallery).status_code == 404


def test_a_garbled_file_fails_with_its_reason(api: Api, tmp_path: Path) -> None:
    """It begins like an MP4, and the rest is noise."""
    path = tmp_path / "garbled.mp4"
    path.write_bytes(clips.sample("monday").read_bytes()[:32] + random.Random(1).randbytes(50_000))
    task = api.finished(api.submit(path, new_gallery("bad"))["task_id"])
    assert task["status"] == "failed"
    assert task["error"]["code"] in ("not_a_video", "no_video_stream", "unreadable")
    assert task["error"]["message"]


def test_sound_alone_has_no_video_stream(api: Api, tmp_path: Path) -> None:
    """An MP4 with nothing but audio in it."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", 44_100)
        for i in range(20):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts = 44_100, 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    task = api.finished(api.submit(path, new_gallery("bad"))["task_id"])
    assert (task["status"], task["error"]["code"]) == ("failed", "no_video_stream")


def test_a_truncated_video_gives_the_people_of_its_readable_part(api: Api, tmp_path: Path) -> None:
    """Cut off after its first person: done, one person, and a warning."""
    whole = clips.write(
        tmp_path / "whole.mp4", clips.two_people(2.0), container_options={"movflags": "faststart"}, gop=25
    )
    data = whole.read_bytes()
    path = tmp_path / "truncated.mp4"
    path.write_bytes(data[: int(len(data) * 0.45)])
    gallery = new_gallery("cut")
    task = api.finished(api.submit(path, gallery)["task_id"])
    assert (task["status"], task["people"]) == ("done", 1)
    assert "truncated" in [warning["code"] for warning in task["warnings"]]


@pytest.mark.parametrize("count", [1, 25])
def test_a_video_without_faces_is_done_without_people(api: Api, tmp_path: Path, count: int) -> None:
    """One frame or many: no error, no people."""
    path = clips.write(tmp_path / "faceless.mp4", clips.faceless(count))
    gallery = new_gallery("faceless")
    task = api.finished(api.submit(path, gallery)["task_id"])
    assert (task["status"], task["people"], task["error"]) == ("done", 0, None)
    assert api.profiles(gallery) == []


def announced(gallery: str, key: str, **changes: Any) -> events.VideoUploaded:
    video_id = f"announced-{uuid.uuid4().hex[:8]}"
    return events.VideoUploaded(
        event_id=uuid.uuid4().hex,
        occurred_at=now_utc(),
        video_id=video_id,
        gallery=gallery,
        object=values.StoredObject(bucket="castlist", key=key, **changes),
    )


async def test_an_announced_object_that_is_missing_fails_its_task(stack: RunningStack, api: Api) -> None:
    """Another system announces what is not there."""
    event = announced(new_gallery("missing"), "nowhere/at/all.mp4")
    async with connected(stack) as (_, publisher):
        await publisher.publish(event)
    task = api.finished(ids.task_id(event.video_id, 1))
    assert (task["status"], task["error"]["code"]) == ("failed", "object_missing")


async def test_an_object_that_is_another_than_announced_fails_its_task(stack: RunningStack, api: Api) -> None:
    """The ETag in the announcement is not that of the object."""
    event = announced(new_gallery("changed"), f"acme/{uuid.uuid4().hex}.mp4", etag="0" * 32)
    async with connected(stack) as (_, publisher), s3.connect(*Settings(s3_endpoint=stack.s3_endpoint).s3) as objects:
        await objects.put(event.object.key, clips.sample("monday").read_bytes(), "video/mp4")
        await publisher.publish(event)
    task = api.finished(ids.task_id(event.video_id, 1))
    assert (task["status"], task["error"]["code"]) == ("failed", "object_changed")


async def test_an_announced_picture_is_not_a_video(stack: RunningStack, api: Api) -> None:
    """ingest would have refused it; announced past ingest, the workers do."""
    event = announced(new_gallery("picture"), f"acme/{uuid.uuid4().hex}.jpg")
    async with connected(stack) as (_, publisher), s3.connect(*Settings(s3_endpoint=stack.s3_endpoint).s3) as objects:
        await objects.put(event.object.key, b"\xff\xd8\xff\xe0" + bytes(5000), "image/jpeg")
        await publisher.publish(event)
    task = api.finished(ids.task_id(event.video_id, 1))
    assert (task["status"], task["error"]["code"]) == ("failed", "not_a_video")


async def test_what_is_anothers_cannot_be_had_by_announcing_it(stack: RunningStack, api: Api) -> None:
    """An upload, a crop, another bucket: refused by ingest, and where it comes by Kafka its task fails. Neither is the
    file shown, nor does it go when that video is deleted; its own video is as it was."""
    mine = api.finished(api.submit(clips.sample("monday"), new_gallery("mine"))["task_id"])
    crop = api.profiles(mine["gallery"])[0]["appearances"][0]["crop"]["url"].removeprefix("/")
    async with connected(stack) as (store, publisher):
        video = await store.videos.get(mine["video_id"])
        assert video is not None
        theirs = new_gallery("theirs")
        places = [("castlist", video.object.key), ("castlist", crop), ("elsewhere", "film.mp4")]
        places += [("castlist", f"/{video.object.key}"), ("castlist", f"x/../{video.object.key}")]
        for bucket, key in places:
            body = {"object": {"bucket": bucket, "key": key}, "gallery": theirs}
            refused = api.http.post(f"{api.ingest}/videos", json=body)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "object"), refused.text
        forged = [announced(theirs, key) for _, key in places[:2]]
        await publisher.publish(*forged)
        for event in forged:
            task = api.finished(ids.task_id(event.video_id, 1))
            assert (task["status"], task["error"]["code"]) == ("failed", "object_not_allowed")
            assert "ALLOWED_OBJECTS" in task["error"]["message"]
            assert api.get(f"/videos/{event.video_id}/content").status_code == 404
            assert api.http.delete(f"{api.query}/videos/{event.video_id}").status_code == 200
        eventually(lambda: api.get("/videos", gallery=theirs).json()["items"] == [] and api.is_settled(theirs))
    content = api.get(f"/videos/{mine['video_id']}/content")
    assert content.content == clips.sample("monday").read_bytes()
    assert api.get(f"/{crop}").status_code == 200


async def test_the_same_id_for_another_object_is_a_dead_letter(stack: RunningStack, api: Api) -> None:
    """The first announcement stands, and is worked through."""
    first = api.submit(clips.sample("monday"), new_gallery("conflict"))
    task = api.finished(first["task_id"])
    event = announced(task["gallery"], "another/object.mp4").model_copy(update={"video_id": first["video_id"]})
    async with connected(stack) as (store, publisher):
        await publisher.publish(event)
        again = api.submit(clips.sample("tuesday"), task["gallery"])
        assert api.finished(again["task_id"])["status"] == "done"
        video = await store.videos.get(first["video_id"])
    assert video is not None
    assert video.object.key != "another/object.mp4"
    assert api.task(first["task_id"])["status"] == "done"


def test_a_page_of_another_site_puts_nothing_in_and_changes_nothing(api: Api) -> None:
    """Whatever a browser would send for it; a name of its own that leads here is no use to it either."""
    task = api.finished(api.submit(clips.sample("monday"), new_gallery("foreign"))["task_id"])
    profile = api.profiles(task["gallery"])[0]["id"]
    foreign = [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
    for headers in foreign:
        form = {"gallery": task["gallery"]}
        upload = api.http.post(f"{api.ingest}/videos", data=form, files={"file": ("x.mp4", b"x")}, headers=headers)
        changes = [
            api.http.post(f"{api.ingest}/tasks/{task['id']}/cancel", headers=headers),
            api.http.request("DELETE", f"{api.query}/videos/{task['video_id']}", headers=headers),
            api.http.patch(f"{api.query}/profiles/{profile}", json={"name": "Eve"}, headers=headers),
        ]
        assert [answer.status_code for answer in (upload, *changes)] == [403] * 4
    for url in (f"{api.query}/profiles", f"{api.query}/videos/{task['video_id']}/content", f"{api.ingest}/docs"):
        assert api.http.get(url, headers={"Host": "evil.example"}).status_code == 400
    assert api.task(task["id"])["status"] == "done"
    assert api.profiles(task["gallery"])[0]["name"] is None


def _few_are_kept(connections: list[socket.socket]) -> bool:
    closed, _, _ = select.select(connections, [], [], 0)  # or told that they are late
    return len(connections) - len(closed) <= MOST_HALF_OPEN


def test_a_head_without_end_is_refused_and_nobody_waits_for_it(api: Api) -> None:
    """A header of a hundred megabytes, and hundreds of requests that are never finished; others are answered."""
    for url in (api.ingest, api.query):
        where = urlsplit(url)
        assert where.hostname
        assert where.port
        half_open = [socket.create_connection((where.hostname, where.port), 5) for _ in range(300)]
        for one in half_open:
            with contextlib.suppress(ConnectionError):  # some have been closed to make room
                one.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ")
        taken = 0
        with contextlib.suppress(ConnectionError), half_open[-1] as one:
            while taken < 100_000_000:
                one.sendall(b"x" * 65_536)
                taken += 65_536
        assert taken < 10_000_000
        assert api.http.get(f"{url}/health/live").status_code == 200
        eventually(partial(_few_are_kept, half_open[:-1]))
        for one in half_open:
            one.close()
