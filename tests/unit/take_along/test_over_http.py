"""Out and in over HTTP: ranges of an archive, and what an import is answered with."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from castlist.contract.topics import GALLERY_COMMITS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.openapi import openapi
from castlist.service.operations import application
from castlist.tasks.video_objects import AllowedObjects
from query_api.app import API, endpoints
from query_api.command_outbox import CommandOutbox
from query_api.record_changes import RecordChanges
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.moved_gallery import known

LARGEST = 200_000


@pytest.fixture
async def gallery() -> CorrectedGallery:
    """Two people, one with a name."""
    made = CorrectedGallery()
    for video, value in (("a", 0.0), ("b", 0.05), ("x", 5.0)):
        await made.video(video, {0: value})
    await made.card(await made.of("a"), name="Ann")
    for one in await made.servers.stored.persons.find():
        assert one.crop is not None
        made.servers.bucket.store(one.crop.key, one.id.encode() * 100, "image/jpeg")
    return made


def asking(world: CorrectedGallery) -> httpx2.AsyncClient:
    """query-api on the same servers; nobody commits while it answers."""
    servers = world.servers
    relay = OutboxRelay(servers.store, servers.publisher, servers.clock, [GALLERY_COMMITS])
    commands = CommandOutbox(servers.store, relay, RecordChanges(servers.store.changes), 0.0)
    allowed, tasks = AllowedObjects.told("castlist", "castlist"), RecordChanges(servers.store.tasks)
    answering = endpoints(servers.store, servers.bucket, allowed, commands, tasks, None, 0, LARGEST)
    app = application(openapi(API), answering, {}, ["test"])
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")


@pytest.fixture
async def client(gallery: CorrectedGallery) -> AsyncIterator[httpx2.AsyncClient]:
    async with asking(gallery) as client:
        yield client


async def test_whoever_was_cut_off_goes_on_where_that_was(client: httpx2.AsyncClient) -> None:
    """Any range is that of the whole, as long as the gallery is as it was."""
    whole = await client.get(f"/galleries/{G}/export", headers={"Accept-Encoding": "gzip"})
    assert (whole.status_code, whole.headers["content-type"]) == (200, "application/x-tar")
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["content-disposition"] == 'attachment; filename="g.castlist.tar"'
    etag = whole.headers["etag"]
    for start, end in ((0, 1), (700, 5_000), (len(whole.content) - 3, len(whole.content))):
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Range": etag}
        part = await client.get(f"/galleries/{G}/export", headers=headers)
        assert (part.status_code, part.content) == (206, whole.content[start:end])
    head = await client.head(f"/galleries/{G}/export")
    assert (head.status_code, head.headers["etag"], head.content) == (200, etag, b"")
    unchanged = await client.get(f"/galleries/{G}/export", headers={"If-None-Match": etag})
    assert unchanged.status_code == 304


async def test_a_gallery_that_has_changed_is_sent_from_its_beginning(
    gallery: CorrectedGallery, client: httpx2.AsyncClient
) -> None:
    """Whoever asks for the rest of what it was before gets all of what it is."""
    etag = (await client.head(f"/galleries/{G}/export")).headers["etag"]
    await gallery.card(await gallery.of("x"), name="Bea")
    again = await client.get(f"/galleries/{G}/export", headers={"Range": "bytes=9-", "If-Range": etag})
    assert again.status_code == 200
    assert again.headers["etag"] != etag


@pytest.mark.parametrize("path", ["/galleries/none/export", "/galleries/g/export?videos=all"])
async def test_what_cannot_be_exported(client: httpx2.AsyncClient, path: str) -> None:
    """A gallery that is not there, and a wish that is none."""
    assert (await client.get(path)).status_code == (404 if "none" in path else 422)


async def test_an_archive_is_imported_once_however_it_comes(
    gallery: CorrectedGallery, client: httpx2.AsyncClient
) -> None:
    """As the body, or in S3, where it was put by others; each import of the same bytes is the same change."""
    archive = (await client.get(f"/galleries/{G}/export")).content
    world = CorrectedGallery()
    async with asking(world) as there:
        accepted = await there.post("/galleries/new/import", content=archive)
        assert (accepted.status_code, accepted.json()["kind"]) == (202, "import")
        await world.commit("new")
        applied = await there.get(accepted.headers["location"])
        assert applied.json()["status"] == "applied", applied.text
        world.servers.bucket.store("shelf/g.tar", archive, "application/x-tar")
        named = {"object": {"bucket": "castlist", "key": "shelf/g.tar"}}
        for again in (
            await there.post("/galleries/new/import", content=archive, headers={"Idempotency-Key": "1"}),
            await there.post("/galleries/new/import", json=named),
        ):
            assert (again.status_code, again.json()) == (200, applied.json())
        assert len(await world.servers.stored.changes.find()) == 2
        assert [one.key for one in await world.servers.bucket.list("archives/")] == []
        assert (await known(world.servers, "new"))["profiles"].keys() == (await known(gallery.servers))[
            "profiles"
        ].keys()
        refused = await there.post("/galleries/other/import", content=archive)
        await world.commit("other")
        outcome = (await there.get(refused.headers["location"])).json()
        assert (outcome["status"], outcome["error"]["status"]) == ("failed", 409)
        # What has failed can be asked for again.
        third = await there.post("/galleries/other/import", content=archive)
        assert (third.status_code, third.headers["location"] == refused.headers["location"]) == (202, False)


async def test_what_is_no_import(gallery: CorrectedGallery, client: httpx2.AsyncClient) -> None:
    """A form, too much, a name that is none, an object that is not there, one that nobody may read: nothing is kept."""
    gallery.servers.bucket.store("videos/secret", b"secret", "video/mp4")

    def named(bucket: str, key: str) -> dict[str, Any]:
        return {"object": {"bucket": bucket, "key": key}}

    form = await client.post("/galleries/new/import", files={"file": b"tar"})
    large = await client.post("/galleries/new/import", content=bytes(LARGEST + 1))
    assert (form.status_code, large.status_code) == (415, 413)
    assert (await client.post("/galleries/New/import", content=b"tar")).status_code == 422
    for body in (
        named("castlist", "none"),
        named("castlist", "videos/secret"),
        named("other", "x"),
        dict[str, Any](object={}),
    ):
        answer = await client.post("/galleries/new/import", json=body)
        assert answer.status_code == 422, body
    assert [one.key for one in await gallery.servers.bucket.list("archives/")] == []
    assert await gallery.servers.stored.galleries.get("new") is None


async def test_the_same_gallery_gives_the_same_bytes(client: httpx2.AsyncClient) -> None:
    """Also when it is asked for again: so that an import of it is known."""
    digests = {
        hashlib.sha256((await client.get(f"/galleries/{G}/export")).content).hexdigest() for _ in range(2)
    }  # fmt: skip
    assert len(digests) == 1
