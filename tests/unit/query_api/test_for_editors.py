"""What editors are given: timecode, EDL and OpenTimelineIO of a video and of a person."""

import csv
import io
import json
from typing import Any

import httpx2
import pytest

from castlist.store.query import set_to, with_id
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from query_api.http.timecode import FrameClock
from testkit.stored import Stored


@pytest.fixture
async def stored(store: Store) -> Stored:
    """A gallery."""
    return Stored(store, "cut")


async def film(stored: Stored, name: str, rate: float | None = 25.0) -> str:
    """A video of so many frames a second, of half a minute."""
    video = await stored.video(name)
    facts = set_to(VideoRecord.frame_rate, rate) & set_to(VideoRecord.duration, 31.2)
    await stored.store.videos.update(with_id(video), facts)
    return video


@pytest.mark.parametrize(
    ("rate", "seconds", "timecode"),
    [
        (25.0, 0.0, "00:00:00:00"),
        (25.0, 61.52, "00:01:01:13"),
        (24000 / 1001, 60.06, "00:01:00:00"),
        (30000 / 1001, 3603.6, "01:00:00:00"),
        (50.0, 0.98, "00:00:00:49"),
        (None, 0.04, "00:00:00:01"),
        (90000.0, 0.04, "00:00:00:01"),
        (25.0, -3.0, "00:00:00:00"),
        (25.0, 25 * 3600.0, "01:00:00:00"),
    ],
)
def test_timecode_counts_frames(rate: float | None, seconds: float, timecode: str) -> None:
    """Each, at the next whole number of them a second; what is no frame rate is the usual one."""
    clock = FrameClock.of(rate)
    assert clock.timecode(clock.frames(seconds)) == timecode


def test_a_timecode_is_read_back() -> None:
    """And refused where it has frames that there are not."""
    clock = FrameClock.of(25.0)
    assert clock.timecode(clock.counted("10:20:30:24")) == "10:20:30:24"
    with pytest.raises(ValueError, match="no timecode at 25"):
        clock.counted("10:20:30:25")


async def test_a_video_is_marked_where_somebody_is_on_screen(client: httpx2.AsyncClient, stored: Stored) -> None:
    """In the order of time, each person in one colour; with `profile`, that one alone."""
    video = await film(stored, "lobby\n|one.mp4")
    ada, other = await stored.profile([video], "Ada | L."), await stored.profile([video])
    await stored.profile([video], "Hidden", hidden=True)
    answer = await client.get(f"/videos/{video}/timeline.edl")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''lobby%20%7Cone.mp4.edl"
    lines = answer.text.split("\r\n")
    assert lines[:3] == ["TITLE: lobby /one.mp4", "FCM: NON-DROP FRAME", ""]
    assert lines[3] == "001  001      V     C        01:00:00:10 01:00:00:11 01:00:00:10 01:00:00:11"
    marked = [line for line in lines if line.startswith(" |C:")]
    people = {ada: "Ada / L.", other: f"Person {other[:8]}"}
    colours = {text: {line.partition("|M:")[0] for line in marked if f"|M:{text} " in line} for text in people.values()}
    assert [len(of_one) for of_one in colours.values()] == [1, 1]
    assert len(set().union(*colours.values())) == 2
    assert [line.rpartition("|D:")[2] for line in marked] == ["218", "218", "80", "80"]
    alone = await client.get(f"/videos/{video}/timeline.edl", params={"profile": other, "begin": "00:00:10:00"})
    assert f"|M:{people[other]} " in alone.text
    assert "Ada" not in alone.text
    assert "00:00:10:10 00:00:10:11" in alone.text
    cues = (await client.get(f"/videos/{video}/timeline.vtt", params={"profile": ada})).text
    assert (cues.count("-->"), cues.count("Ada")) == (2, 2)


async def test_a_video_is_a_clip_with_markers(client: httpx2.AsyncClient, stored: Stored) -> None:
    """In the schemas that OpenTimelineIO documents, in frames of the video."""
    video = await film(stored, "lobby one.mp4", 30000 / 1001)
    ada = await stored.profile([video], "Ada")
    answer = await client.get(f"/videos/{video}/timeline.otio")
    assert answer.headers["content-type"] == "application/x-opentimelineio"
    timeline = answer.json()
    assert timeline["OTIO_SCHEMA"] == "Timeline.1"
    (track,) = timeline["tracks"]["children"]
    (clip,) = track["children"]
    assert (track["OTIO_SCHEMA"], track["kind"], clip["OTIO_SCHEMA"]) == ("Track.1", "Video", "Clip.2")
    reference = clip["media_references"][clip["active_media_reference_key"]]
    assert (reference["OTIO_SCHEMA"], reference["target_url"]) == ("ExternalReference.1", "lobby%20one.mp4")
    assert frames(clip["source_range"]) == (0, 935, 30000 / 1001)
    first, second = clip["markers"]
    assert (first["OTIO_SCHEMA"], first["name"], first["metadata"]) == (
        "Marker.2", "Ada", {"castlist": {"profile_id": ada}},
    )  # fmt: skip
    assert (frames(first["marked_range"])[:2], frames(second["marked_range"])[:2]) == ((12, 261), (833, 96))


def frames(span: Any) -> tuple[float, float, float]:
    """From which one on how many, at which rate."""
    assert span["OTIO_SCHEMA"] == "TimeRange.1"
    assert span["start_time"]["rate"] == span["duration"]["rate"]
    return span["start_time"]["value"], span["duration"]["value"], span["duration"]["rate"]


async def test_a_persons_stretches_are_cut_together(client: httpx2.AsyncClient, stored: Stored) -> None:
    """Of all videos, the oldest first, one behind the other."""
    first, second = await film(stored, "first.mp4"), await film(stored, "second.mp4", None)
    ada = await stored.profile([first, second], "Ada")
    text = (await client.get(f"/profiles/{ada}/timeline.edl")).text
    events = [line for line in text.split("\r\n") if line[:3].isdecimal()]
    assert events == [
        "001  AX       V     C        00:00:00:10 00:00:09:03 01:00:00:00 01:00:08:18",
        "002  AX       V     C        00:00:27:20 00:00:31:00 01:00:08:18 01:00:11:23",
        "003  AX       V     C        00:00:00:10 00:00:09:03 01:00:11:23 01:00:20:16",
        "004  AX       V     C        00:00:27:20 00:00:31:00 01:00:20:16 01:00:23:21",
    ]
    assert [line for line in text.split("\r\n") if "CLIP" in line] == [
        *["* FROM CLIP NAME: first.mp4"] * 2, *["* FROM CLIP NAME: second.mp4"] * 2,
    ]  # fmt: skip
    timeline = (await client.get(f"/profiles/{ada}/timeline.otio")).json()
    clips = timeline["tracks"]["children"][0]["children"]
    assert [clip["metadata"]["castlist"]["video_id"] for clip in clips] == [first, first, second, second]
    assert [frames(clip["source_range"])[:2] for clip in clips] == [(10, 218), (695, 80)] * 2


async def test_whoever_was_merged_away_is_found_where_they_are(client: httpx2.AsyncClient, stored: Stored) -> None:
    """And nobody is not found; a timecode that there is not is refused."""
    video = await film(stored, "first.mp4")
    ada = await stored.profile([video], "Ada")
    gone = await stored.retired(None, ada)
    for kind in ("edl", "otio"):
        moved = await client.get(f"/profiles/{gone}/timeline.{kind}")
        assert (moved.status_code, moved.headers["location"]) == (308, f"/profiles/{ada}/timeline.{kind}")
        assert (await client.get(f"/profiles/nobody/timeline.{kind}")).status_code == 404
        assert (await client.get(f"/videos/none/timeline.{kind}")).status_code == 404
    for begin in ("01:00:00:25", "25:00:00:00", "soon"):
        assert (await client.get(f"/videos/{video}/timeline.edl", params={"begin": begin})).status_code == 422


# --- tables -----------------------------------------------------------------------------------------------------------


async def test_a_gallery_is_a_table_of_appearances(
    client: httpx2.AsyncClient, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CSV and as JSON Lines, whatever the number of pages; who is hidden only where asked for."""
    monkeypatch.setattr("query_api.endpoints.galleries.appearance_tables._PAGE", 2)
    videos = [await film(stored, name) for name in ("a, b.mp4", '=HYPERLINK("x")', "c.mp4")]
    ada = await stored.profile(videos, "Ada")
    nobody = await stored.profile(videos[:1])
    hidden = await stored.profile(videos[:1], "Hidden", hidden=True)
    lines = [line_of(line) for line in (await client.get("/galleries/cut/appearances.jsonl")).text.splitlines()]
    assert sorted((line["profile_id"], line["video_name"]) for line in lines) == sorted(
        [(ada, "a, b.mp4"), (ada, '=HYPERLINK("x")'), (ada, "c.mp4"), (nobody, "a, b.mp4")]
    )
    (one,) = [line for line in lines if line["profile_id"] == nobody]
    assert (one["name"], one["faces"], one["segments"][0]) == (None, 57, {"start": 0.4, "end": 9.1})
    answer = await client.get("/galleries/cut/appearances.csv", params={"hidden": "any"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *rows = rows_of(answer.text)
    assert head[:3] == ["gallery", "profile_id", "name"]
    assert {row[1] for row in rows} == {ada, nobody, hidden}
    assert {row[4] for row in rows} == {"a, b.mp4", """'=HYPERLINK("x")""", "c.mp4"}
    assert {row[11] for row in rows} == {"0.400-9.100 27.800-31.000"}
    assert (await client.get("/galleries/none/appearances.csv")).status_code == 404


def line_of(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))
