"""Known people, over HTTP, on real servers: who is enrolled by pictures is found, in what is there and what comes."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.eventually import eventually

pytestmark = pytest.mark.stack


def enrol(api: Api, gallery: str, name: str, *pictures: bytes) -> httpx2.Response:
    """POST /profiles."""
    files = [("file", (f"{n}.jpg", picture)) for n, picture in enumerate(pictures)]
    return api.http.post(f"{api.query}/profiles", data={"gallery": gallery, "name": name}, files=files)


def submit(api: Api, gallery: str, clip: str) -> str:
    """A clip of the sample, worked through; its video."""
    accepted = api.submit(clips.sample(clip), gallery)
    assert api.finished(accepted["task_id"])["status"] == "done"
    return str(accepted["video_id"])


def crop_of(api: Api, profile: dict[str, Any]) -> bytes:
    """The crop of a profile's first appearance."""
    return api.get(profile["appearances"][0]["crop"]["url"]).content


def test_who_is_enrolled_is_found_in_videos_that_come_later_and_that_are_there(api: Api) -> None:
    """Enrolled in an empty gallery by a face of another one: the video that shows them joins the profile, and nobody
    else; where they are known already it is their profile that gets the name. Erased, the picture is gone."""
    elsewhere, gallery = new_gallery("elsewhere"), new_gallery("known")
    submit(api, elsewhere, "wednesday")
    both = api.profiles(elsewhere)
    assert len(both) == 2
    picture = crop_of(api, both[0])
    answer = enrol(api, gallery, "Ada", picture)
    assert answer.status_code == 200, answer.text
    change = answer.json()
    assert (change["kind"], change["status"], change["detail"]["pictures"]) == ("enrol", "applied", 1)
    (known,) = change["profiles"]
    (shown,) = api.profiles(gallery)
    assert (shown["id"], shown["name"], shown["video_count"], shown["appearances"]) == (known, "Ada", 0, [])
    url = shown["pictures"][0]["url"]
    assert api.get(url).content.startswith(b"\xff\xd8")

    video = submit(api, gallery, "wednesday")
    people = {one["id"]: one for one in api.profiles(gallery)}
    assert len(people) == 2
    assert [one["video_id"] for one in people[known]["appearances"]] == [video]
    assert (people[known]["video_count"], len(people[known]["pictures"])) == (1, 1)

    again = enrol(api, elsewhere, "Ada", picture).json()
    assert again["profiles"] == [both[0]["id"]]
    assert api.get(f"/profiles/{both[0]['id']}").json()["name"] == "Ada"

    assert api.http.delete(f"{api.query}/videos/{video}").status_code in (200, 202)
    eventually(lambda: [one["id"] for one in api.profiles(gallery)] == [known])
    erased = api.http.delete(f"{api.query}/profiles/{known}", params={"erase": "true"}).json()
    assert (erased["receipt"]["persons"], erased["receipt"]["crops"]) == (1, 1)
    assert api.http.get(f"{api.query}{url}").status_code == 404
    assert api.profiles(gallery) == []


def test_what_shows_more_than_one_is_refused_and_leaves_nothing(api: Api) -> None:
    """No profile, no gallery."""
    gallery = new_gallery("refused")
    submit(api, gallery, "monday")
    before = api.profiles(gallery)
    answer = enrol(api, gallery, "Ada", b"no picture at all")
    assert (answer.status_code, answer.json()["type"]) == (415, "/docs/problems#not-a-picture")
    assert api.profiles(gallery) == before


def test_who_objects_is_in_no_answer_whatever_comes(api: Api, tmp_path: Path) -> None:
    """By their profile; of the next video, which shows them and somebody else, only that other is told of. Withdrawn,
    they are known again in what comes then."""
    gallery = new_gallery("objecting")
    submit(api, gallery, "monday")
    submit(api, gallery, "wednesday")
    people = sorted(api.profiles(gallery), key=lambda one: -one["video_count"])
    who = people[0]
    assert who["video_count"] == 2
    answer = api.http.post(f"{api.query}/galleries/{gallery}/objections", json={"profile_id": who["id"]})
    assert answer.status_code in (200, 202), answer.text
    objection = answer.json()["id"]
    eventually(lambda: api.get(f"/changes/{objection}").json()["receipt"], 90)
    assert api.http.get(f"{api.query}{who['appearances'][0]['crop']['url']}").status_code == 404
    left = {one["id"] for one in api.profiles(gallery)}
    assert left == {one["id"] for one in people[1:]}
    later = clips.in_other_bytes(clips.sample("wednesday").read_bytes(), tmp_path / "later.mp4")
    task = api.finished(api.submit(later, gallery)["task_id"])
    assert (task["status"], task["people"]) == ("done", 1)
    assert len(api.profiles(gallery)) == len(left)
    assert [one["id"] for one in api.get(f"/galleries/{gallery}/objections").json()["items"]] == [objection]
    withdrawn = api.http.delete(f"{api.query}/galleries/{gallery}/objections/{objection}")
    assert withdrawn.json()["status"] == "applied"
    again = clips.in_other_bytes(later.read_bytes(), tmp_path / "again.mp4")
    assert api.finished(api.submit(again, gallery)["task_id"])["people"] == 2
