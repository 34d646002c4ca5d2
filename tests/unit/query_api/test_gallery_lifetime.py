"""Galleries that are asked for, and settings that are only tried."""

from typing import Any

import httpx2
import pytest

from castlist.clock import now_utc
from castlist.contract.values import NEW_GALLERY
from castlist.store.query import set_to, with_id
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.store import Store
from castlist.tasks.commands import apply_in
from testkit.stored import Stored


async def test_a_gallery_is_made_with_settings_of_its_own(client: httpx2.AsyncClient, store: Store) -> None:
    """Those that are not named are a new gallery's; it is there and empty, and there is one of that name."""
    made = await client.post("/galleries", json={"id": "news", "settings": {"smallest_face": 60}})
    assert (made.status_code, made.headers["location"]) == (201, "/galleries/news")
    shown = {"id": "news", "videos": 0, "profiles": 0, "tasks_open": 0, "settled": True}
    assert made.json() == shown == (await client.get("/galleries/news")).json()
    settings = (await client.get("/galleries/news/settings")).json()
    assert (settings["smallest_face"], settings["detector"]) == (60, NEW_GALLERY.detector)
    again = await client.post("/galleries", json={"id": "news"})
    assert again.status_code == 409
    assert (await client.get("/galleries/news/settings")).json() == settings


async def test_a_gallery_that_was_used_is_there_already(client: httpx2.AsyncClient, store: Store) -> None:
    """By an upload, say."""
    await Stored(store, "used").video()
    assert (await client.post("/galleries", json={"id": "used"})).status_code == 409


async def test_a_creation_that_is_sent_again_is_one(client: httpx2.AsyncClient) -> None:
    """Under its key it is answered as it was; another one under it has not made this gallery."""
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        assert (await client.post("/galleries", json={"id": "news"}, headers=key)).status_code == 201
    other = {"id": "news", "settings": {"smallest_face": 60}}
    assert (await client.post("/galleries", json=other, headers=key)).status_code == 409


async def test_what_no_gallery_can_be_is_refused(client: httpx2.AsyncClient, store: Store) -> None:
    """A name that is none, a setting that is unknown or out of range: each is named, and nothing is made."""
    for body, field in (
        ({"id": "No Name"}, "id"),
        ({"id": "g", "settings": {"smallest_face": 1}}, "settings.smallest_face"),
        ({"id": "g", "settings": {"unknown": 1}}, "settings.unknown"),
        ({"id": "g", "more": 1}, "more"),
        ({}, "id"),
    ):
        refused = await client.post("/galleries", json=body)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert await store.galleries.ids() == []


async def test_settings_that_are_tried_change_nothing(client: httpx2.AsyncClient, store: Store) -> None:
    """The trial is a change that is followed; what is set next does not build on it."""
    await client.post("/galleries", json={"id": "news"})
    tried = await client.patch(
        "/galleries/news/settings", params={"dry_run": True}, json={"across_video_distance": 0.6}
    )
    assert (tried.status_code, tried.json()["kind"]) == (202, "preview_settings")
    (preview,) = await store.previews.find()
    assert (preview.id, preview.settings.across_video_distance) == (tried.json()["id"], 0.6)
    assert preview.settings.smallest_face == NEW_GALLERY.smallest_face
    assert await store.pending.ids() == []
    await client.patch("/galleries/news/settings", json={"smallest_face": 60})
    (waiting,) = await store.pending.find()
    assert waiting.command["across_video_distance"] == "auto"  # type: ignore[attr-defined]
    assert (await client.get("/galleries/news")).json()["settled"] is False


async def going(store: Store, gallery: str, **how: Any) -> None:
    """A gallery that is being deleted, or was."""
    await Stored(store, gallery).video()
    change = set_to(GalleryRecord.deletion, how.get("deletion")) & set_to(GalleryRecord.deleted_at, how.get("at"))
    await store.galleries.update(with_id(gallery), change)


async def test_a_gallery_is_deleted_by_one_change(client: httpx2.AsyncClient, store: Store) -> None:
    """However often it is asked for while it goes on; one that is not there is unknown."""
    await Stored(store, "news").video()
    deleted = await client.delete("/galleries/news")
    assert (deleted.status_code, deleted.json()["kind"]) == (202, "delete_gallery")
    await store.galleries.update(with_id("news"), set_to(GalleryRecord.deletion, deleted.json()["id"]))
    again = await client.delete("/galleries/news")
    assert (again.status_code, again.json()["id"]) == (202, deleted.json()["id"])
    assert len(await store.changes.ids()) == 1
    assert (await client.delete("/galleries/other")).status_code == 404


async def test_an_erasure_is_not_done_before_its_receipt(client: httpx2.AsyncClient, store: Store) -> None:
    """It took effect before that: 202 until then."""
    video = await Stored(store, "news").video()
    erased = (await client.delete(f"/videos/{video}", params={"erase": True})).json()
    assert erased["kind"] == "erase_video"
    await apply_in(store, erased["id"], now_utc(), 2)
    assert (await client.delete(f"/videos/{video}", params={"erase": True})).status_code == 202
    await store.changes.update(with_id(erased["id"]), set_to(ChangeRecord.receipt, {"videos": 1}))
    done = await client.delete(f"/videos/{video}", params={"erase": True})
    assert (done.status_code, done.json()["receipt"]) == (200, {"videos": 1})


@pytest.mark.parametrize("how", [{"deletion": "c"}, {"at": now_utc()}])
async def test_what_is_deleted_is_not_shown(client: httpx2.AsyncClient, store: Store, how: dict[str, Any]) -> None:
    """In no list and by no path, from the moment on it begins to go."""
    await going(store, "news", **how)
    await client.post("/galleries", json={"id": "other"})
    assert [one["id"] for one in (await client.get("/galleries")).json()["items"]] == ["other"]
    for path in ("", "/settings", "/suggestions", "/changes", "/stats"):
        assert (await client.get(f"/galleries/news{path}")).status_code == 404


async def test_what_is_being_deleted_takes_nothing(client: httpx2.AsyncClient, store: Store) -> None:
    """No creation, and no correction of what is still there: the answer says why."""
    stored = Stored(store, "news")
    profile = await stored.profile([await stored.video()])
    await store.galleries.update(with_id("news"), set_to(GalleryRecord.deletion, "c"))
    for answer in (
        await client.post("/galleries", json={"id": "news"}),
        await client.patch(f"/profiles/{profile}", json={"name": "Ada"}),
    ):
        assert (answer.status_code, "being deleted" in answer.json()["detail"]) == (409, True)


async def test_a_gallery_that_was_deleted_can_be_made_anew(client: httpx2.AsyncClient, store: Store) -> None:
    """With the settings that are asked for then; its version goes on."""
    await going(store, "news", at=now_utc())
    before = await store.galleries.get("news")
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        made = await client.post("/galleries", json={"id": "news", "settings": {"smallest_face": 60}}, headers=key)
        assert made.status_code == 201
    after = await store.galleries.get("news")
    assert before is not None
    assert after is not None
    assert (after.version, after.deleted_at) == (before.version, None)
    assert (await client.get("/galleries/news/settings")).json()["smallest_face"] == 60
