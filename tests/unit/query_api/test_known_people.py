"""Enrolling somebody by pictures: what is asked of the aggregator, what is kept, and what is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import numpy as np
import pytest

from castlist.adapters.memory import MemoryObjects
from castlist.api.objections import Objection
from castlist.contract.commands import EnrolPerson, RaiseObjection
from castlist.contract.ids import picture_key
from castlist.contract.vectors import decode_vector
from castlist.service.openapi import openapi
from castlist.service.operations import application
from castlist.store.records.change_history import ObjectionRecord
from castlist.store.records.pending import PendingCommand
from castlist.store.store import Store
from castlist.tasks.galleries import ensure_gallery
from castlist.tasks.video_objects import AllowedObjects
from query_api.app import API, endpoints
from query_api.command_outbox import CommandOutbox
from query_api.read_model import ReadModel
from query_api.record_changes import RecordChanges
from query_api.search.face_search import FaceSearch
from query_api.search.gallery_indexes import GalleryIndexes
from query_api.search.picture_children import PictureChildren
from testkit.stored import START, Stored
from unit.query_api.test_search import LARGEST, Inline, encodings, frame, jpeg

G = "newsroom"


class World:
    """A query-api with its own bucket."""

    def __init__(self, store: Store, objects: MemoryObjects, client: httpx2.AsyncClient) -> None:
        self.store, self.objects, self.client = store, objects, client

    async def enrol(self, *pictures: bytes, key: str | None = None, **fields: Any) -> httpx2.Response:
        """What is answered at once."""
        return await self.client.post(
            "/profiles",
            files=[("file", (f"{n}.jpg", picture)) for n, picture in enumerate(pictures)],
            data={"gallery": G, "name": "Ada"} | fields,
            headers={"Prefer": "respond-async"} | ({"Idempotency-Key": key} if key else {}),
        )

    async def asked(self) -> EnrolPerson:
        """The one command that waits."""
        (pending,) = await self.store.pending.find()
        assert isinstance(pending, PendingCommand)
        return EnrolPerson.model_validate(pending.command)


@asynccontextmanager
async def serving(store: Store, commands: CommandOutbox, *, installed: bool = True) -> AsyncIterator[World]:
    objects = MemoryObjects()
    search = FaceSearch(ReadModel(store), PictureChildren([Inline()]), GalleryIndexes(store, 2**30))
    allowed, tasks = AllowedObjects.told(objects.bucket, ""), RecordChanges(store.tasks)
    answering = endpoints(store, objects, allowed, commands, tasks, search if installed else None, LARGEST)
    app = application(openapi(API), answering, {}, ["test"])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield World(store, objects, client)


@pytest.fixture
async def world(store: Store, commands: CommandOutbox) -> AsyncIterator[World]:
    async with serving(store, commands) as made:
        yield made


def left() -> bytes:
    """One of the two alone."""
    return jpeg(frame()[:, :320])


async def test_a_picture_becomes_a_command_with_its_encoding_and_a_crop(world: World) -> None:
    """The gallery need not be there before; of the picture the crop is kept, and no upload of it is left over."""
    answer = await world.enrol(left())
    assert answer.status_code == 202, answer.text
    command = await world.asked()
    assert (answer.json()["kind"], answer.json()["id"]) == ("enrol", command.event_id)
    assert (command.name, command.gallery, len(command.pictures), command.cropped) == ("Ada", G, 1, True)
    distances = [np.linalg.norm(decode_vector(command.pictures[0].face.encoding) - one) for one in encodings()]
    assert distances[0] < 0.4 < distances[1]
    crop = await world.objects.get(picture_key(command.event_id, 0))
    assert crop.startswith(b"\xff\xd8")
    assert not await world.store.uploads.count()


async def test_the_same_request_again_is_answered_with_the_same_change(world: World) -> None:
    """By its Idempotency-Key; the same key with another name is refused, and leaves nothing behind."""
    first = await world.enrol(left(), key="k1")
    again = await world.enrol(left(), key="k1")
    assert first.json()["id"] == again.json().get("id"), again.text
    other = await world.enrol(left(), key="k1", name="Eve")
    assert (other.status_code, await world.store.pending.count()) == (422, 1)
    assert not await world.store.uploads.count()


@pytest.mark.parametrize(
    ("pictures", "status", "said"),
    [
        ([jpeg(frame())], 422, "Picture 1 of 1 shows 2 faces"),
        ([left(), jpeg(np.full((200, 200, 3), 90, np.uint8))], 422, "Picture 2 of 2 shows no faces"),
        ([b"GIF89a" + bytes(100)], 415, "Picture 1 of 1"),
        ([left()[:2_000]], 422, "Picture 1 of 1"),
        ([bytes(LARGEST + 1)], 413, "Picture 1 of 1 is larger"),
        ([left()] * 21, 422, "form"),
    ],
    ids=["two faces", "nobody", "no picture", "cut off", "too large", "too many"],
)
async def test_what_shows_nobody_or_more_than_one_is_refused(
    world: World, pictures: list[bytes], status: int, said: str
) -> None:
    """The answer names the picture; nothing is enrolled and nothing kept."""
    answer = await world.enrol(*pictures)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert not await world.store.pending.count()
    assert not await world.objects.list("")


async def test_a_nameless_person_is_not_enrolled(world: World) -> None:
    """Whom would one find?"""
    assert (await world.enrol(left(), name="")).status_code == 422


@pytest.mark.slow
async def test_an_objection_is_raised_by_a_picture_or_a_profile_and_withdrawn(world: World) -> None:
    """Of a picture nothing is kept but its encoding, in the command; who is not there is not found."""
    await ensure_gallery(world.store, G, START)
    path = f"/galleries/{G}/objections"
    at_once = {"Prefer": "respond-async"}
    answer = await world.client.post(path, files={"file": ("a.jpg", left())}, headers=at_once)
    assert (answer.status_code, answer.json()["kind"]) == (202, "objection"), answer.text
    (pending,) = await world.store.pending.find()
    assert isinstance(pending, PendingCommand)
    command = RaiseObjection.model_validate(pending.command)
    assert command.picture is not None
    assert command.profile_id is None
    assert not await world.objects.list("")
    stored = Stored(world.store, G)
    profile = await stored.profile([await stored.video()], None)
    answer = await world.client.post(path, json={"profile_id": profile}, headers=at_once)
    assert answer.status_code == 202
    assert (await world.client.post(path, json={"profile_id": "nobody"})).status_code == 404
    assert (await world.client.post(path, files={"file": ("a.jpg", jpeg(frame()))})).status_code == 422
    assert (await world.client.delete(f"{path}/nothing")).status_code == 404
    mean = np.zeros(128, "<f4").tobytes()
    await world.store.objections.insert(ObjectionRecord(id="o", gallery=G, mean=mean, at=START))
    listed = (await world.client.get(path)).json()["items"]
    Objection.model_validate(listed[0])
    assert listed == [{"id": "o", "at": "2026-01-02T03:04:05Z", "by": None}]
    withdrawn = await world.client.delete(f"{path}/o", headers=at_once)
    assert (withdrawn.status_code, withdrawn.json()["kind"]) == (202, "withdraw_objection")


async def test_where_pictures_are_not_looked_at_it_says_so(store: Store, commands: CommandOutbox) -> None:
    """The extra is not installed: 501."""
    async with serving(store, commands, installed=False) as world:
        assert (await world.enrol(left())).status_code == 501
