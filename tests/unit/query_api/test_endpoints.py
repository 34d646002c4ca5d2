"""What clients are told while the data changes under them, and about what does not exist."""

from typing import Any

import httpx2
import msgspec
import pytest

from castlist.adapters.memory import MemoryDocuments, MemoryObjects
from castlist.contract.values import StoredObject
from castlist.ports.documents import Document
from castlist.store.query import eq
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.profiles import RedirectRecord
from castlist.store.store import Store
from testkit.stored import Stored


async def test_a_profile_merged_away_while_a_page_is_read_is_not_shown_without_appearances(
    client: httpx2.AsyncClient, documents: MemoryDocuments, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list leaves it out; asked for alone, it leads to the one it was merged into."""
    stored = Stored(store, "g")
    video = await stored.video()
    stays, goes = await stored.profile([video]), await stored.profile([video])
    profile, find = await documents.get("profiles", goes), documents.find
    appearances = await store.appearances.find(eq(AppearanceRecord.profile_id, goes))

    async def merging_meanwhile(collection: str, *arguments: Any, **options: Any) -> list[Document]:
        if collection == "appearances" and await documents.delete("profiles", {"_id": goes}):
            await store.appearances.delete(eq(AppearanceRecord.profile_id, goes))
            await store.redirects.insert(RedirectRecord(id=goes, gallery="g", founder=None, into=stays))
        return await find(collection, *arguments, **options)

    monkeypatch.setattr(documents, "find", merging_meanwhile)
    page = (await client.get("/profiles", params={"gallery": "g"})).json()
    assert [one["id"] for one in page["items"]] == [stays]

    assert profile is not None
    await documents.delete("redirects", {})
    await documents.insert("profiles", profile)
    await store.appearances.insert_many(appearances)
    answer = await client.get(f"/profiles/{goes}")
    assert (answer.status_code, answer.headers.get("location")) == (308, f"/profiles/{stays}")


@pytest.mark.parametrize(
    "path",
    [
        "/profiles?gallery=nowhere",
        "/videos?gallery=nowhere",
        "/tasks?gallery=nowhere",
        "/galleries/nowhere",
        "/galleries/nowhere/settings",
        "/galleries/nowhere/suggestions",
    ],
)
async def test_a_gallery_that_does_not_exist_is_said_to_be_unknown(
    client: httpx2.AsyncClient, store: Store, path: str
) -> None:
    """It is not the same as an empty one: a misspelt name would look like a gallery without people."""
    await Stored(store, "somewhere").video()
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no gallery nowhere.")
    assert (await client.get(path.replace("nowhere", "somewhere"))).status_code == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/profiles/one", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/videos/one", {"GET", "HEAD", "DELETE"}),
        ("/galleries/g/settings", {"GET", "HEAD", "PATCH"}),
        ("/tasks", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_told_all_that_it_has(
    client: httpx2.AsyncClient, path: str, allowed: set[str]
) -> None:
    """405, with every method in Allow."""
    answer = await client.request("PUT", path)
    assert (answer.status_code, answer.json()["type"]) == (405, "/docs/problems#method-not-allowed")
    assert {one.strip() for one in answer.headers["allow"].split(",")} == allowed


async def test_a_file_is_shown_for_its_own_video_alone(
    client: httpx2.AsyncClient, store: Store, objects: MemoryObjects
) -> None:
    """A video of before that names what ingest wrote for another, or another bucket's object, has no content."""
    stored = Stored(store, "g")
    mine = await stored.video()
    video = await store.videos.get(mine)
    assert video is not None
    objects.store(video.object.key, b"film", "video/mp4")
    objects.store("film.mp4", b"film", "video/mp4", bucket="elsewhere")
    objects.store("acme/film.mp4", b"film", "video/mp4")
    places = [video.object, StoredObject("elsewhere", "film.mp4"), StoredObject("castlist", "acme/film.mp4")]
    for number, place in enumerate(places):
        await store.videos.insert(msgspec.structs.replace(video, id=f"v{number}", object=place, uploaded=False))
    statuses = [(await client.get(f"/videos/{id}/content")).status_code for id in (mine, "v0", "v1", "v2")]
    assert statuses == [200, 404, 404, 200]
