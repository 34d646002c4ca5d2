"""Who is on screen, where a person was seen in the course of time, and how much there is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from castlist.contract.ids import appearance_key
from castlist.contract.values import Segment
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from query_api.http.webvtt import Cue, webvtt
from testkit.stored import Stored

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


async def seen(store: Store, profile: str, video: str, *segments: tuple[float, float]) -> None:
    """When the profile is on screen there."""
    change = set_to(AppearanceRecord.segments, [Segment(*one) for one in segments])
    change &= set_to(AppearanceRecord.first_seen, segments[0][0])
    await store.appearances.update(with_id(appearance_key(profile, video)), change)


async def test_who_is_on_screen_when(client: httpx2.AsyncClient, store: Store) -> None:
    """In the order in which they are seen first, with their stretches; hidden ones where asked for."""
    stored = Stored(store, "g")
    video = await stored.video()
    late, early = await stored.profile([video], name="Ada"), await stored.profile([video])
    hidden = await stored.profile([video], hidden=True)
    await seen(store, late, video, (5.0, 6.0), (9.0, 9.5))
    await seen(store, early, video, (1.0, 2.0))
    await seen(store, hidden, video, (0.0, 2.0))
    timeline = (await client.get(f"/videos/{video}/timeline")).json()
    assert timeline["video_id"] == video
    assert [(one["profile_id"], one["name"], one["label"]) for one in timeline["people"]] == [
        (early, None, f"Person {early[:8]}"),
        (late, "Ada", "Ada"),
    ]
    assert timeline["people"][1]["segments"] == [{"start": 5.0, "end": 6.0}, {"start": 9.0, "end": 9.5}]
    for choice, shown in (("true", [hidden]), ("any", [hidden, early, late])):
        people = (await client.get(f"/videos/{video}/timeline", params={"hidden": choice})).json()["people"]
        assert [one["profile_id"] for one in people] == shown


async def test_two_without_a_name_are_told_apart(client: httpx2.AsyncClient, store: Store) -> None:
    """By as many letters as that takes."""
    stored = Stored(store, "g")
    video = await stored.video()
    for id in ("c0d1f1a4-11", "c0d1f1a4-12", "c0d1f1a4-2"):
        made = await stored.profile([video])
        profile = await store.profiles.get(made)
        (appearance,) = await store.appearances.find(eq(AppearanceRecord.profile_id, made))
        assert profile is not None
        await store.profiles.insert(replace(profile, id=id))
        await store.profiles.delete(with_id(made))
        await store.appearances.insert(replace(appearance, id=appearance_key(id, video), profile_id=id))
        await store.appearances.delete(with_id(appearance.id))
    people = (await client.get(f"/videos/{video}/timeline")).json()["people"]
    assert sorted(one["label"] for one in people) == [
        "Person c0d1f1a4-11",
        "Person c0d1f1a4-12",
        "Person c0d1f1a4-2",
    ]


async def test_names_as_webvtt(client: httpx2.AsyncClient, store: Store) -> None:
    """A cue for each stretch, in the order of time, that a player can read whatever somebody is called."""
    stored = Stored(store, "g")
    video = await stored.video()
    odd = await stored.profile([video], name="A<i> & --> Co\nNOTE")
    await seen(store, odd, video, (3599.9996, 3600.5), (2.0, 2.0))
    answer = await client.get(f"/videos/{video}/timeline.vtt")
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.text == (
        "WEBVTT\n\n"
        f"{odd}-2\n00:00:02.000 --> 00:00:02.001\nA&lt;i&gt; &amp; --&gt; Co NOTE\n\n"
        f"{odd}-1\n01:00:00.000 --> 01:00:00.500\nA&lt;i&gt; &amp; --&gt; Co NOTE\n"
    )


def test_what_lies_before_the_start_is_cut_off() -> None:
    """A player's clock begins at 0."""
    cues = [Cue(-2.0, -1.0, "a", "gone"), Cue(-1.0, 0.5, "b", "cut")]
    assert webvtt(cues) == "WEBVTT\n\nb\n00:00:00.000 --> 00:00:00.500\ncut\n"
    assert webvtt([]) == "WEBVTT\n"


async def test_a_life_in_the_order_of_time(client: httpx2.AsyncClient, store: Store) -> None:
    """By when the videos were recorded, or else came; page by page, both ways."""
    stored = Stored(store, "g")
    moments = {await stored.video(recorded_at=NOW - n * DAY if n % 2 else None): n for n in range(7)}
    profile = await stored.profile([*moments])
    records = {video: await store.videos.get(video) for video in moments}
    expected = sorted(moments, key=lambda video: _moment(records[video]))
    for sort, wanted in (("at", expected), ("-at", expected[::-1])):
        got: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            asked: dict[str, Any] = {"sort": sort, "limit": 3, **cursor}
            page = (await client.get(f"/profiles/{profile}/timeline", params=asked)).json()
            got += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert [one["video_id"] for one in got] == wanted
        assert [datetime.fromisoformat(one["at"]) for one in got] == [_moment(records[one]) for one in wanted]


def _moment(video: VideoRecord | None) -> datetime:
    assert video is not None
    return video.recorded_at or video.created_at


async def test_a_merged_profile_leads_to_the_timeline_of_its_people(client: httpx2.AsyncClient, store: Store) -> None:
    """As everywhere."""
    stored = Stored(store, "g")
    into = await stored.profile([await stored.video()])
    gone = await stored.retired(None, into)
    answer = await client.get(f"/profiles/{gone}/timeline?limit=2")
    assert (answer.status_code, answer.headers["location"]) == (308, f"/profiles/{into}/timeline?limit=2")
    assert (await client.get("/profiles/none/timeline")).status_code == 404
    assert (await client.get("/videos/none/timeline")).status_code == 404
    assert (await client.get("/videos/none/timeline.vtt")).status_code == 404


async def test_how_much_there_is(client: httpx2.AsyncClient, store: Store) -> None:
    """Of this gallery alone."""
    stored, other = Stored(store, "g"), Stored(store, "h")
    videos = [await stored.video(status="done"), await stored.video(status="failed"), await stored.video("queued")]
    await other.profile([await other.video()], name="Eve")
    await store.videos.update(with_id(videos[0]), set_to(VideoRecord.duration, 31.25))
    await stored.profile(videos[:2], name="Ada")
    await stored.profile(videos[:1])
    await stored.profile(videos[:1], hidden=True)
    await store.galleries.update(with_id("g"), set_to(GalleryRecord.faces_skipped, {"too_small": 3}))
    assert (await client.get("/galleries/g/stats")).json() == {
        "id": "g",
        "videos": 3,
        "video_seconds": 31.25,
        "people": 3,
        "named": 1,
        "unnamed": 2,
        "hidden": 1,
        "appearances": 4,
        "screen_seconds": pytest.approx(4 * 11.9),
        "faces_skipped": {"too_small": 3},
        "tasks": {"queued": 0, "processing": 0, "done": 2, "failed": 1, "cancelled": 0},
    }
    assert (await client.get("/galleries/none/stats")).status_code == 404
    await stored.profile(videos[:1], name="Bo")
    await store.galleries.update(with_id("g"), set_to(GalleryRecord.version, 5))  # as the commit does that made them
    assert (await client.get("/galleries/g/stats")).json()["named"] == 2
