"""What people do by hand: name a person, delete a video, change settings. Over HTTP, until it took effect."""

import pytest

from castlist.api.change_history import Change
from castlist_client.client import Client
from testkit import clips
from testkit.api import Api, new_gallery
from testkit.eventually import eventually

pytestmark = pytest.mark.stack


def test_a_name_stays_and_a_deleted_video_goes(api: Api) -> None:
    """A profile keeps its name through further videos; without its last video it goes, with the file and the crops."""
    gallery = new_gallery("commands")
    here = f"/galleries/{gallery}"
    clip = api.submit(clips.sample("monday"), gallery)
    assert api.finished(clip["task_id"])["status"] == "done"
    first = api.profiles(gallery)[0]
    answer = api.http.patch(f"{api.query}/profiles/{first['id']}", json={"name": "Ada Müller"})
    assert answer.status_code == 200, answer.text
    outcome = api.get(answer.headers["location"]).json()
    assert outcome == answer.json()
    assert (outcome["kind"], outcome["status"], outcome["profiles"]) == ("rename", "applied", [first["id"]])
    assert api.get(f"/profiles/{first['id']}").json()["name"] == "Ada Müller"
    assert [one["id"] for one in api.get("/profiles", gallery=gallery, name="Ada Müller").json()["items"]] == [
        first["id"]
    ]

    again = api.http.post(f"{api.ingest}/videos", data={"gallery": gallery, "again": "true"}, files={
        "file": ("again.mp4", clips.sample("monday").read_bytes()),
    })  # fmt: skip
    assert api.finished(again.json()["task_id"])["status"] == "done"
    assert api.get(f"/profiles/{first['id']}").json()["name"] == "Ada Müller"

    crop = api.get(f"/profiles/{first['id']}").json()["appearances"][0]["crop"]["url"]
    assert api.get(crop).status_code == 200
    answer = api.http.delete(f"{api.query}/videos/{clip['video_id']}")
    assert answer.status_code == 200, answer.text
    eventually(lambda: api.is_settled(gallery))
    assert api.get(here).json() == {"id": gallery, "videos": 0, "profiles": 0, "tasks_open": 0, "settled": True}
    assert api.get(f"/profiles/{first['id']}").status_code == 404
    assert api.get(f"/videos/{clip['video_id']}").status_code == 404
    eventually(lambda: api.get(crop).status_code == 404)


async def told(api: Api, command: str) -> Change:
    """What our client says of a change."""
    async with Client(api.ingest, api.query) as castlist:
        return await castlist.change(command)


def test_settings_hold_from_the_next_task_on(api: Api) -> None:
    """The changed ones are shown once they took effect, the others stay; a video is looked through by them.

    Each task shows those it ran with, the earlier one for good.
    """
    gallery = new_gallery("settings")
    clip = api.submit(clips.sample("monday"), gallery)
    api.finished(clip["task_id"])
    path = f"/galleries/{gallery}/settings"
    before = api.get(path).json()
    of_the_gallery = ("across_video_distance", "retention")
    first = {name: value for name, value in before.items() if name not in of_the_gallery}
    assert set(first) == {
        "detector", "samples_per_second", "smallest_face", "in_video_distance", "minimum_sightings",
        "identify",
    }  # fmt: skip
    assert api.task(clip["task_id"])["settings"] == first
    # A person who is seen less often than this is left out.
    changes = {"minimum_sightings": 100, "samples_per_second": 2.0, "smallest_face": 90, "in_video_distance": 0.35}
    answer = api.http.patch(f"{api.query}{path}", json=changes)
    assert answer.status_code == 200, answer.text
    eventually(lambda: api.is_settled(gallery))
    assert api.get(path).json() == before | changes
    other = api.submit(clips.sample("tuesday"), gallery)
    task = api.finished(other["task_id"])
    assert (task["status"], task["people"]) == ("done", 0)
    assert task["settings"] == first | changes
    assert api.task(clip["task_id"])["settings"] == first
