"""Putting right what the machine got wrong, over HTTP, on real servers: each answer is a change that took effect."""

from typing import Any

import pytest

from testkit import clips
from testkit.api import Api, new_gallery

pytestmark = pytest.mark.stack


@pytest.fixture
def two(api: Api) -> tuple[str, str, str]:
    """A gallery, one who is in monday.mp4 alone, and one who is in tuesday.mp4, too."""
    gallery = new_gallery("corrected")
    for day in ("monday", "tuesday"):
        assert api.finished(api.submit(clips.sample(day), gallery)["task_id"])["status"] == "done"
    found = sorted(api.profiles(gallery), key=lambda person: int(person["video_count"]))
    assert [person["video_count"] for person in found] == [1, 1, 2]
    *seen_once, other = found
    (one,) = (each for each in seen_once if each["appearances"][0]["video_name"] == "monday.mp4")
    return gallery, one["id"], other["id"]


def change(api: Api, method: str, path: str, **said: Any) -> dict[str, Any]:
    """A change that took effect."""
    answer = api.http.request(method, f"{api.query}{path}", **said)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document["status"] == "applied"
    assert api.get(f"/changes/{document['id']}").json() == document
    return document


def test_a_day_of_corrections(api: Api, two: tuple[str, str, str]) -> None:
    """Named, merged, taken back, hidden, deleted and back again; everything is in the gallery's history."""
    gallery, one, other = two
    assert one != other
    before = {person["id"]: person for person in api.profiles(gallery)}
    named = change(api, "PATCH", f"/profiles/{one}", json={"name": "Ada", "tags": ["guest"]})
    shown = api.http.get(f"{api.query}/profiles/{one}")
    assert (shown.json()["name"], shown.json()["tags"]) == ("Ada", ["guest"])
    merged = change(api, "POST", f"/profiles/{one}/merge", json={"profiles": [other]})
    assert {one, other} <= set(merged["profiles"])
    followed = api.http.get(f"{api.query}/profiles/{other}", follow_redirects=False)
    assert (followed.status_code, followed.headers["location"]) == (308, f"/profiles/{one}")
    undone = change(api, "POST", f"/changes/{merged['id']}/undo")
    assert undone["undoes"] == merged["id"]
    assert api.get(f"/changes/{merged['id']}").json()["undone_by"] == undone["id"]
    after = {person["id"]: person for person in api.profiles(gallery)}
    assert {id: person["video_count"] for id, person in after.items()} == {
        id: person["video_count"] for id, person in before.items()
    }
    both = api.get(f"/profiles/{other}").json()["appearances"]
    (elsewhere,) = (each["video_id"] for each in both if each["video_name"] == "tuesday.mp4")
    there = change(api, "POST", f"/profiles/{one}/presences", json={"video_id": elsewhere, "start": 0.5, "end": 2.0})
    by_hand = {each["video_id"]: each for each in api.get(f"/profiles/{one}").json()["appearances"]}[elsewhere]
    assert (by_hand["manual"], by_hand["faces"], by_hand["crop"]) == (True, 0, None)
    assert by_hand["segments"] == [{"start": 0.5, "end": 2.0}]
    hidden = change(api, "PATCH", f"/profiles/{other}", json={"hidden": True})
    deleted = change(api, "DELETE", f"/profiles/{one}")
    assert api.get(f"/profiles/{one}").status_code == 404
    back = change(api, "POST", f"/changes/{deleted['id']}/undo")
    assert api.get(f"/profiles/{one}").json()["name"] == "Ada"
    history = [entry["id"] for entry in api.get(f"/galleries/{gallery}/changes").json()["items"]]
    assert history == [entry["id"] for entry in (back, deleted, hidden, there, undone, merged, named)]
    crop = api.get(f"/profiles/{other}").json()["appearances"][0]["crop"]["url"]
    erased = change(api, "DELETE", f"/profiles/{other}", params={"erase": "true"})
    assert (erased["kind"], erased["receipt"]["persons"]) == ("erase", 2)
    assert erased["receipt"]["crops"] >= 1
    assert api.get(crop).status_code == 404
    twice = api.http.post(f"{api.query}/changes/{deleted['id']}/undo")
    assert (twice.status_code, twice.json()["changes"]) == (409, [back["id"]])


def test_what_is_not_meant_is_refused(api: Api, two: tuple[str, str, str]) -> None:
    """A clear problem each, and nothing is changed."""
    gallery, one, _ = two
    stranger = api.profiles(gallery)[-1]["id"]
    video = api.get(f"/profiles/{one}").json()["appearances"][0]["video_id"]
    for expected, method, path, body in (
        (404, "PATCH", "/profiles/nobody", {"name": "No"}),
        (422, "PATCH", f"/profiles/{one}", {}),
        (422, "POST", f"/profiles/{one}/merge", {"profiles": [one]}),
        (404, "POST", f"/profiles/{one}/merge", {"profiles": ["nobody"]}),
        (422, "POST", f"/profiles/{one}/split", {}),
        (404, "POST", f"/profiles/{one}/split", {"videos": ["nothing"]}),
        (404, "POST", f"/profiles/{one}/reject", {"video_id": "nothing", "reason": "not_a_face"}),
        (422, "POST", f"/profiles/{one}/reject", {"video_id": video, "reason": "ugly"}),
        (404, "PATCH", f"/profiles/{one}", {"cover": {"video_id": "nothing"}}),
        (404, "POST", "/changes/nothing/undo", {}),
        (404, "POST", f"/galleries/{gallery}/suggestions/nothing", {"answer": "same"}),
        (404, "POST", "/galleries/nowhere/suggestions/nothing", {"answer": "same"}),
    ):
        answer = api.http.request(method, f"{api.query}{path}", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (expected, "application/problem+json"), path
    old = api.get(f"/profiles/{stranger}")
    change(api, "PATCH", f"/profiles/{stranger}", json={"notes": "N."})
    slower = {"If-Match": old.headers.get("etag", '"0"')}
    answer = api.http.patch(f"{api.query}/profiles/{stranger}", json={"notes": "M."}, headers=slower)
    assert answer.status_code == 412
