"""Where people are in a video, for a player."""

import httpx2
import numpy as np
import pytest
from msgspec.structs import replace

from castlist.api.videos import VideoTracks
from castlist.contract.box import Box
from castlist.contract.values import LeftOutFace, Sighting
from castlist.store import packed_tracks
from castlist.store.packed_tracks import kept, packed
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.persons import LeftOutRecord, PersonRecord, TracksRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from testkit.stored import Stored


async def video_with_tracks(store: Store) -> tuple[str, dict[int, str]]:
    """A video whose third run was committed: the tracks of three persons in it, the last one hidden; and whose."""
    stored = Stored(store, "g")
    video = await stored.video()
    await store.videos.update(with_id(video), set_to(VideoRecord.committed_epoch, 3))
    profiles = {n: await stored.profile([video], hidden=n == 2) for n in range(3)}
    key = await stored.person(video, profiles[0])
    person = await store.persons.get(key)
    assert person is not None
    for n, profile in profiles.items():
        tracks = np.array([(0, n), (1, n)], "<u4").tobytes()
        await store.persons.insert(
            replace(person, id=f"{video}:3:{n}", epoch=3, n=n, tracks=tracks, profile_id=profile)
        )
    found = [
        kept(chunk, n, [Sighting(15 * chunk + n + 0.25 * k, Box(n, 2, 30, 40), 1.25) for k in range(3)])
        for chunk in range(2)
        for n in range(3)
    ]
    for number, part in enumerate(packed(one for one in found if one)):
        await store.tracks.insert(
            TracksRecord(id=f"{video}:3:{number:05}", start=part.start, end=part.end, tracks=part.tracks)
        )
    old = TracksRecord(id=f"{video}:2:00000", start=0.0, end=1.0, tracks=b"not to be read")
    await store.tracks.insert(old)
    faces = (LeftOutFace(1.5, Box(1, 2, 20, 20), "too_small"), LeftOutFace(9.0, Box(1, 2, 50, 50), "low_score"))
    await store.left_out.insert(LeftOutRecord(id=f"{video}:3", faces=faces))
    return video, profiles


@pytest.mark.parametrize("part_bytes", [1, 1_000_000])
async def test_where_people_are(
    client: httpx2.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    """Each track with whose it is, the first seen first, in however many documents they lie; and what was left out."""
    monkeypatch.setattr(packed_tracks, "PART_BYTES", part_bytes)
    video, profiles = await video_with_tracks(store)
    answer = await client.get(f"/videos/{video}/tracks")
    assert answer.headers["content-type"] == "application/json"
    shown = answer.json()
    VideoTracks.model_validate(shown)
    assert [(one["id"], one["profile_id"]) for one in shown["tracks"]] == [
        (f"{video}:3:{chunk}:{n}", profiles[n]) for chunk in range(2) for n in range(2)
    ]
    assert shown["tracks"][1] == {
        "id": f"{video}:3:0:1",
        "profile_id": profiles[1],
        "start": 1.0,
        "end": 1.5,
        "boxes": [[1.0, 1, 2, 30, 40, 1.25], [1.25, 1, 2, 30, 40, 1.25], [1.5, 1, 2, 30, 40, 1.25]],
    }
    assert shown["left_out"] == {"too_small": [[1.5, 1, 2, 20, 20]], "low_score": [[9.0, 1, 2, 50, 50]]}
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await client.get(f"/videos/{video}/tracks", headers=known)).status_code == 304
    await store.persons.update(eq(PersonRecord.profile_id, profiles[1]), set_to(PersonRecord.profile_id, profiles[0]))
    moved = await client.get(f"/videos/{video}/tracks", headers=known)
    assert [one["profile_id"] for one in moved.json()["tracks"]] == 4 * [profiles[0]]


async def test_a_player_asks_for_what_it_shows(client: httpx2.AsyncClient, store: Store) -> None:
    """Whole tracks that are on screen from `start` on and before `end`; hidden people where they are asked for."""
    video, _ = await video_with_tracks(store)

    async def shown(**asked: str | float) -> list[str]:
        page = (await client.get(f"/videos/{video}/tracks", params=asked)).json()
        return [one["id"].removeprefix(f"{video}:3:") for one in page["tracks"]]

    assert await shown(start=1.5) == ["0:1", "1:0", "1:1"]
    assert await shown(start=0.6, end=1.5) == ["0:1"]
    assert await shown(end=1.0) == ["0:0"]
    assert await shown(hidden="true") == ["0:2", "1:2"]
    assert await shown(hidden="any", end=3) == ["0:0", "0:1", "0:2"]
    left_out = (await client.get(f"/videos/{video}/tracks", params={"start": 2})).json()["left_out"]
    assert left_out.keys() == {"low_score"}


async def test_a_video_of_before_has_no_tracks(client: httpx2.AsyncClient, store: Store) -> None:
    """Nor has one that is not done yet; one that is not there is a problem."""
    stored = Stored(store, "g")
    before, queued = await stored.video(), await stored.video(status="queued")
    await store.videos.update(with_id(before), set_to(VideoRecord.committed_epoch, 1))
    await stored.person(before, await stored.profile([before]))
    for video in (before, queued):
        assert (await client.get(f"/videos/{video}/tracks")).json() == {"tracks": [], "left_out": {}}
    assert (await client.get("/videos/none/tracks")).status_code == 404
    assert (await client.get(f"/videos/{before}/tracks?start=x")).status_code == 422
