"""kill -9 of the aggregator again and again while a gallery is deleted: in the end all of it is gone."""

import httpx2
import pytest

from testkit.api import Api, new_gallery
from testkit.database import Database, are_done
from testkit.eventually import eventually
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, submit

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.slow]
OF_GALLERY = (
    "videos",
    "tasks",
    "persons",
    "profiles",
    "appearances",
    "redirects",
    "decisions",
    "suggestions",
    "pending",
)
KILLS, VIDEOS = 3, 12


async def test_a_gallery_is_deleted_whole_though_the_aggregator_is_killed(
    stack: RunningStack, api: Api, database: Database
) -> None:
    """Each time something more of it was gone; no step is lost, none is done to another gallery."""
    gallery, other = new_gallery("erased"), new_gallery("beside")
    videos = [SyntheticVideo(f"{gallery}-{n}", gallery, [[n, n + 100], [n + 200]]) for n in range(VIDEOS)]
    async with connected(stack) as (store, publisher):
        for video in (*videos, SyntheticVideo(other, other, [[1], [2]])):
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, VIDEOS) and are_done(database, other, 1), 90)
    named = api.profiles(gallery)[0]["id"]
    assert api.http.patch(f"{api.query}/profiles/{named}", json={"name": "Ada"}).status_code == 200
    beside = api.profiles(other)

    change = httpx2.delete(f"{api.query}/galleries/{gallery}", headers={"Prefer": "respond-async"}).json()["id"]
    left = much(database, gallery)
    for _ in range(KILLS):
        left = less(database, gallery, left)
        stack.wait_restarted("profile-aggregator", stack.kill("profile-aggregator"), 90)
    receipt = eventually(lambda: api.get(f"/changes/{change}").json()["receipt"], 120)
    assert (receipt["videos"], receipt["changes"] > 0) == (VIDEOS, True)
    assert much(database, gallery) == 0
    assert [one["_id"] for one in database.changes.find({"gallery": gallery})] == [change]
    assert api.get(f"/galleries/{gallery}").status_code == 404
    assert api.profiles(other) == beside


def less(database: Database, gallery: str, before: int) -> int:
    """How much is left, once that is less than before, or nothing."""
    eventually(lambda: much(database, gallery) < max(before, 1), 60, pause=0.002)
    return much(database, gallery)


def much(database: Database, gallery: str) -> int:
    """How many documents are of a gallery."""
    return sum(database[name].count_documents({"gallery": gallery}) for name in OF_GALLERY)
