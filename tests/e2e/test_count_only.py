"""People who are counted, and not matched with other videos, in a running stack."""

import pytest

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.database import Database

pytestmark = pytest.mark.stack


def test_people_of_an_upload_that_is_only_counted_are_nobody_elsewhere(api: Api, database: Database) -> None:
    """The two of each clip are somebody of their own in it, done again too, and no encoding of theirs is kept; those of
    an upload that may be identified are matched with each other, and with none of them."""
    gallery = new_gallery("counted")
    for _ in range(2):
        for day in ("monday", "wednesday"):
            accepted = api.submit(clips.sample(day), gallery, identify="false", again="true")
            task = api.finished(accepted["task_id"])
            assert (task["status"], task["people"], task["settings"]["identify"]) == ("done", 2, False)
    counted = api.profiles(gallery)
    assert [one["video_count"] for one in counted] == [1, 1, 1, 1]
    assert all(one["appearances"][0]["crop"] for one in counted)
    stored = list(database.persons.find({"gallery": gallery}))
    assert [one["mean"] for one in stored] == [b""] * 4
    assert api.finished(api.submit(clips.sample("tuesday"), gallery)["task_id"])["status"] == "done"
    people = {one["id"]: one["video_count"] for one in api.profiles(gallery)}
    assert len(people) > 4
    assert set(people.values()) == {1}
