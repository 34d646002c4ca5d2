"""Which objects may be announced as videos."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from castlist.contract.events import VideoUploaded
from castlist.contract.ids import uploaded_video_id
from castlist.contract.values import StoredObject
from castlist.service.settings import Settings
from castlist.store.query import with_id
from castlist.store.records.videos import VideoRecord
from castlist.tasks.registration import register
from castlist.tasks.video_objects import AllowedObjects, remove_upload
from testkit.in_memory import InMemory

SHA256 = "a" * 64
DEFAULT = AllowedObjects.told("castlist", "")


@pytest.mark.parametrize("key", ["lobby.mp4", "acme/2026/lobby.mp4", "videos2/a", "acme/videos/a", "a//b", "crops.mp4"])
def test_our_bucket_is_open_but_for_what_we_wrote(key: str) -> None:
    """Without a setting: whoever can write there may announce it."""
    assert DEFAULT.announceable("castlist", key)
    assert not DEFAULT.announceable("elsewhere", key)


@pytest.mark.parametrize(
    "key",
    [
        "videos/0123",
        "crops/v/1/0-0.jpg",
        "/videos/0123",
        "//videos//0123",
        "./videos/0123",
        "x/../videos/0123",
        "..",
        ".",
    ],
)
@pytest.mark.parametrize("told", ["", "castlist", "castlist/videos", "castlist/crops,castlist", "castlist/x"])
def test_what_we_wrote_is_never_announceable(key: str, told: str) -> None:
    """Whatever the setting says, and however the key is written."""
    assert not AllowedObjects.told("castlist", told).announceable("castlist", key)


def test_places_are_buckets_and_folders() -> None:
    """A folder ends at its slash; our own bucket is among them only where it is named. Elsewhere no prefix is ours."""
    allowed = AllowedObjects.told("castlist", " archive, castlist/acme/ ,other/a/b")
    may = {("archive", "any/thing"), ("archive", "videos/a"), ("castlist", "acme/a"), ("other", "a/b/c")}
    may_not = {
        ("castlist", "a"),
        ("castlist", "acme2/a"),
        ("castlist", "acme"),
        ("other", "a/c"),
        ("other", "a/bc"),
        ("x", "y"),
    }
    assert {place for place in may | may_not if allowed.announceable(*place)} == may


@pytest.mark.parametrize("told", ["not a bucket", "castlist,,archive", "../x", "arn:aws:s3:eu:1:accesspoint/x", "a..b"])
def test_a_setting_that_names_no_bucket_is_refused(told: str) -> None:
    """At the start, and not at the first announcement."""
    with pytest.raises(ValidationError, match="is not the name of a bucket"):
        Settings(allowed_objects=told)


@pytest.mark.parametrize(
    ("id", "key", "uploaded", "readable"),
    [
        ("acme-1", "videos/one", True, True),
        ("acme-1", "videos/one", False, False),
        ("acme-1", "videos/one", None, False),
        (uploaded_video_id("g", SHA256), "videos/one", None, True),
        (uploaded_video_id("g", SHA256), "videos/one", False, False),
        (uploaded_video_id("g", SHA256), "crops/v/1/0-0.jpg", None, False),
        ("acme-1", "acme/one", False, True),
    ],
)
def test_an_upload_is_read_for_its_own_video_alone(id: str, key: str, uploaded: bool | None, readable: bool) -> None:
    """Of videos of before, the id tells whether ingest wrote their object."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    video = VideoRecord(
        id=id, gallery="g", name="lobby.mp4", bytes=1, sha256=SHA256, object=StoredObject("castlist", key),
        recorded_at=None, external_id=None, created_at=now, latest_epoch=1, latest_task_id="t", uploaded=uploaded,
    )  # fmt: skip
    assert DEFAULT.readable(video) == readable
    assert not AllowedObjects.told("another", "archive").readable(video)


async def test_a_file_goes_with_the_last_video_that_names_it() -> None:
    """And only where ingest wrote it: what was announced stays, also under our prefix in a bucket of others."""
    servers = InMemory()
    places = {
        "mine": ("castlist", "videos/mine"), "alias": ("castlist", "videos/mine"),
        "abroad": ("elsewhere", "videos/abroad"), "announced": ("castlist", "acme/film.mp4"),
    }  # fmt: skip
    servers.bucket.store("videos/abroad", b"ours of the same name", "video/mp4")
    for id, (bucket, key) in places.items():
        servers.bucket.store(key, b"film", "video/mp4", bucket=bucket)
        uploaded = VideoUploaded(
            event_id=id, occurred_at=servers.clock(), video_id=id, gallery="g", object=StoredObject(bucket, key)
        )
        await register(servers.stored, uploaded, servers.clock())

    async def left_without(*ids: str) -> set[tuple[str, str]]:
        for id in ids:
            await servers.stored.videos.delete(with_id(id))
            await remove_upload(servers.stored, servers.bucket, StoredObject(*places[id]))
        return {(bucket, key) for bucket, there in servers.bucket.buckets.items() for key in there}

    all_of_them = {*places.values(), ("castlist", "videos/abroad")}
    assert await left_without("alias", "abroad", "announced") == all_of_them
    assert await left_without("mine") == all_of_them - {("castlist", "videos/mine")}
