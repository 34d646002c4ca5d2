"""Galleries that are asked for, and settings that are only tried."""

import httpx2

from castlist.contract.values import NEW_GALLERY
from castlist.store.store import Store
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
