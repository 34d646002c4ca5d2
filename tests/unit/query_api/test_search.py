"""Finding people by a picture, and by a person: what a client is answered."""

import base64
import io
import os
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from castlist.adapters.memory import MemoryObjects
from castlist.api.search import SearchResult, SimilarProfiles
from castlist.children.child import Bounds, Child, JobRunner, command
from castlist.children.messages import Job, JobMessage
from castlist.contract.ids import person_key
from castlist.contract.values import NEW_GALLERY, AnalysisSettings, GallerySettings
from castlist.contract.vectors import Vector, decode_vector
from castlist.service.openapi import openapi
from castlist.service.operations import application
from castlist.store.query import add, set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.persons import PersonRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
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
from query_api.search.picture_job import picture
from testkit import clips
from testkit.stored import PERSON, START, Stored

CACHE = Path(os.environ.get("CASTLIST_CACHE") or Path.home() / ".cache" / "castlist")
OPTIONS = {"cache": str(CACHE), "log_level": "ERROR"}
G = "g"
LARGEST = 4 * 2**20


@cache
def job() -> Job:
    """What a child does."""
    return picture(OPTIONS)[1]


class Inline(JobRunner):
    """A child in this process; `given` are its jobs."""

    cpu_seconds = 0.0

    def __init__(self) -> None:
        self.given: list[JobMessage] = []

    async def run(self, order: JobMessage, bounds: Bounds, progress: Callable[[float], None]) -> JobMessage:
        self.given.append(order)
        return job()(order, progress)

    async def kill(self) -> None:
        return None


def jpeg(colour: NDArray[np.uint8]) -> bytes:
    """As a client sends it."""
    file = io.BytesIO()
    Image.fromarray(colour).save(file, "JPEG", quality=92)
    return file.getvalue()


def frame(number: int = 10) -> NDArray[np.uint8]:
    """Two people side by side."""
    return clips.frames("wednesday")[number]


@cache
def encodings() -> tuple[Vector, ...]:
    """Theirs in another frame, the one at the left first."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as picture_file:
        picture_file.write(jpeg(frame(60)))
        picture_file.flush()
        order = {"path": picture_file.name, "settings": asdict(NEW_GALLERY.analysis)}
        found = job()(order, lambda _: None)["faces"]
    found.sort(key=lambda one: one["face"]["box"]["left"])
    return tuple(decode_vector(one["face"]["encoding"]) for one in found)


class World:
    """A query-api that finds people, and what lies in MongoDB."""

    def __init__(self, store: Store, client: httpx2.AsyncClient, child: Inline) -> None:
        self.store, self.client, self.child = store, client, child
        self.stored = Stored(store, G)

    async def person(self, mean: Vector, name: str | None = None, hidden: bool = False) -> str:
        """Somebody in a video of their own; the profile."""
        video = await self.stored.video()
        profile = await self.stored.profile([video], name)
        await self.store.profiles.update(with_id(profile), set_to(ProfileRecord.hidden, hidden))
        await self.store.persons.insert(
            PersonRecord(
                **{name: getattr(PERSON, name) for name in PERSON.__struct_fields__}
                | {
                    "id": person_key(video, 1, 0), "gallery": G, "video_id": video, "variance": 0.02,
                    "mean": np.asarray(mean, "<f4").tobytes(), "profile_id": profile,
                }
            )
        )  # fmt: skip
        return profile

    async def search(self, picture: bytes, **fields: Any) -> httpx2.Response:
        """What is answered."""
        return await self.client.post("/search", files={"file": ("face.jpg", picture)}, data={"gallery": G} | fields)

    async def faces(self, picture: bytes, **fields: Any) -> list[Any]:
        """The faces of an answer, which is as documented; the one at the left first."""
        answer = await self.search(picture, **fields)
        assert answer.status_code == 200, answer.text
        SearchResult.model_validate(answer.json())
        return sorted(answer.json()["faces"], key=lambda one: one["box"]["left"])


@asynccontextmanager
async def serving(store: Store, commands: CommandOutbox, child: JobRunner | None) -> AsyncIterator[httpx2.AsyncClient]:
    """The service; without a child it is one in which finding is not installed."""
    objects = MemoryObjects()
    search = None
    if child is not None:
        search = FaceSearch(ReadModel(store), PictureChildren([child]), GalleryIndexes(store, 2**30))
    allowed, tasks = AllowedObjects.told(objects.bucket, ""), RecordChanges(store.tasks)
    app = application(openapi(API), endpoints(store, objects, allowed, commands, tasks, search, LARGEST), {}, ["test"])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
async def world(store: Store, commands: CommandOutbox) -> AsyncIterator[World]:
    """A gallery without people."""
    await ensure_gallery(store, G, START)
    await store.galleries.update(with_id(G), set_to(GalleryRecord.version, 1) & set_to(GalleryRecord.told, 1))
    child = Inline()
    async with serving(store, commands, child) as client:
        yield World(store, client, child)


async def test_each_face_of_a_picture_is_found(world: World) -> None:
    """Two people in a picture, both known: each face leads to its profile, far more likely than to the other."""
    left, right = encodings()
    one, other = await world.person(left, "Ada"), await world.person(right)
    faces = await world.faces(jpeg(frame()))
    assert [face["matches"][0]["profile"]["id"] for face in faces] == [one, other]
    for face in faces:
        assert face["matches"][0]["distance"] < 0.35
        assert face["matches"][0]["likeness"] > 0.95
        assert all(match["likeness"] < 0.5 for match in face["matches"][1:])
        picture = base64.b64decode(face["crop"].removeprefix("data:image/jpeg;base64,"))
        assert Image.open(io.BytesIO(picture)).format == "JPEG"
    shown = faces[0]["matches"][0]["profile"]
    assert shown == (await world.client.get(f"/profiles/{one}")).json()


async def test_matches_are_as_many_and_as_near_as_is_asked(world: World) -> None:
    """The nearest first, no more than `limit`, none beyond `max_distance`."""
    left, right = encodings()
    for step in range(4):
        await world.person(left + np.float32(0.01 * step))
    await world.person(right)
    (face, _) = await world.faces(jpeg(frame()), limit=20, max_distance=5)
    distances = [match["distance"] for match in face["matches"]]
    assert distances == sorted(distances)
    assert len(distances) == 5
    (face, _) = await world.faces(jpeg(frame()), limit=2, max_distance=5)
    assert len(face["matches"]) == 2
    (face, _) = await world.faces(jpeg(frame()), limit=20, max_distance=distances[2] + 0.001)
    assert len(face["matches"]) == 3


async def test_hidden_profiles_are_left_out_and_take_nobodys_place(world: World) -> None:
    """However many of the nearest are hidden, as many others are shown as were asked for."""
    left, _ = encodings()
    for step in range(40):
        await world.person(left + np.float32(0.0005 * step), hidden=True)
    shown = [await world.person(left + np.float32(0.03)), await world.person(left + np.float32(0.031))]
    (face, _) = await world.faces(jpeg(frame()), limit=2, max_distance=5)
    assert [match["profile"]["id"] for match in face["matches"]] == shown


async def test_a_profile_that_went_meanwhile_is_not_shown(world: World) -> None:
    """Whatever the index says of it: it is merged away while the answer is put together."""
    left, right = encodings()
    goes, stays = await world.person(left), await world.person(right)
    await world.faces(jpeg(frame()))
    await world.store.profiles.delete(with_id(goes))
    faces = await world.faces(jpeg(frame()), limit=20, max_distance=5)
    assert [[match["profile"]["id"] for match in face["matches"]] for face in faces] == [[stays], [stays]]


async def test_a_picture_without_a_face_has_none(world: World) -> None:
    """It is no error: there is nobody in it."""
    assert await world.faces(jpeg(np.full((480, 640, 3), 120, np.uint8))) == []


async def test_an_empty_gallery_has_nobody(world: World) -> None:
    """The faces are there all the same."""
    assert [face["matches"] for face in await world.faces(jpeg(frame()))] == [[], []]


async def test_fifty_faces_are_answered(world: World) -> None:
    """A picture of a group."""
    left, right = encodings()
    one, other = await world.person(left), await world.person(right)
    faces = await world.faces(jpeg(np.tile(frame(), (5, 5, 1))))
    assert len(faces) == 50
    assert {face["matches"][0]["profile"]["id"] for face in faces} == {one, other}


async def test_the_gallerys_settings_say_how_faces_are_looked_for(world: World) -> None:
    """As those of its videos; another gallery has others."""
    settings = GallerySettings.of(AnalysisSettings(detector="hog", smallest_face=300), "auto")
    await world.store.galleries.update(with_id(G), set_to(GalleryRecord.settings, settings))
    assert await world.faces(jpeg(frame())) == []
    assert world.child.given[-1]["settings"] == asdict(settings.analysis)


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"gallery": "nowhere"}, 404, None),
        ({"gallery": "No such name"}, 422, "gallery"),
        ({"limit": "0"}, 422, "limit"),
        ({"limit": "21"}, 422, "limit"),
        ({"limit": "many"}, 422, "limit"),
        ({"max_distance": "-1"}, 422, "max_distance"),
        ({"max_distance": "nan"}, 422, "max_distance"),
        ({"colour": "blue"}, 422, "colour"),
        ({"file": "text"}, 422, "file"),
    ],
)
async def test_a_field_that_is_wrong_is_named(world: World, fields: dict[str, str], status: int, named: str) -> None:
    """Nothing is guessed, and nothing is ignored."""
    answer = await world.search(jpeg(frame()), **fields)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if named is not None:
        assert named in [error["field"] for error in answer.json()["errors"]]


async def test_what_is_no_form_with_a_picture_is_refused(world: World) -> None:
    """No file, two, another type of body, a form that is cut off."""
    picture = jpeg(frame())
    client = world.client
    assert (await client.post("/search", data={"gallery": G})).status_code == 415
    assert (await client.post("/search", files={"picture": picture})).status_code == 422
    two = await client.post("/search", files=[("file", picture), ("file", picture)])
    assert (two.status_code, two.json()["errors"][0]["field"]) == (422, "file")
    assert (await client.post("/search", json={"gallery": G})).status_code == 415
    assert (await client.post("/search", content=picture, headers={"content-type": "image/jpeg"})).status_code == 415
    broken = await client.post(
        "/search", content=b"nonsense", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert broken.status_code == 400


async def test_bad_pictures_are_a_problem_each(world: World) -> None:
    """Text, a picture that is cut off, one of a hundred megapixels, one of too many bytes."""
    for content, status, kind in [
        (b"hello", 415, "not-a-picture"),
        (b"", 415, "not-a-picture"),
        (jpeg(frame())[:-3000], 422, "undecodable"),
        (_claiming(10_000, 10_000), 413, "limits-exceeded"),
        (b"\xff\xd8\xff" + bytes(LARGEST + 100_000), 413, "too-large"),
    ]:
        answer = await world.search(content)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/docs/problems#{kind}"), answer.text


def _claiming(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


async def test_a_commit_between_two_searches_is_seen_by_the_second(world: World) -> None:
    """Who came since is found, and the log is what tells."""
    left, right = encodings()
    one = await world.person(left)
    assert [match["profile"]["id"] for match in (await world.faces(jpeg(frame())))[0]["matches"]] == [one]
    await world.person(right)
    await world.store.galleries.update(with_id(G), add(GalleryRecord.version, 1) & set_to(GalleryRecord.told, 2))
    faces = await world.faces(jpeg(frame()))
    assert all(face["matches"] for face in faces)


async def test_similar_profiles_are_the_nearest_others(world: World) -> None:
    """By D, with the likeness that a suggestion of the two would have; hidden ones are left out."""
    left, right = encodings()
    one, near = await world.person(left), await world.person(left + np.float32(0.02))
    far = await world.person(right)
    await world.person(left + np.float32(0.01), hidden=True)
    answer = await world.client.get(f"/profiles/{one}/similar", params={"max_distance": 5})
    assert answer.status_code == 200, answer.text
    SimilarProfiles.model_validate(answer.json())
    items = answer.json()["items"]
    assert [item["profile"]["id"] for item in items] == [near, far]
    assert items[0]["distance"] == pytest.approx(np.sqrt(128 * 0.02**2 + 0.04), abs=1e-3)
    assert items[0]["likeness"] > items[1]["likeness"]
    nearer = await world.client.get(f"/profiles/{one}/similar", params={"max_distance": 0.35, "limit": 1})
    assert [item["profile"]["id"] for item in nearer.json()["items"]] == [near]


async def test_similar_follows_an_id_that_was_merged_away(world: World) -> None:
    """As everything about a profile does; one that never was is unknown."""
    left, _ = encodings()
    one = await world.person(left)
    await world.store.redirects.insert(RedirectRecord(id="gone", gallery=G, founder=None, into=one))
    answer = await world.client.get("/profiles/gone/similar?limit=3")
    assert (answer.status_code, answer.headers["location"]) == (308, f"/profiles/{one}/similar?limit=3")
    assert (await world.client.get("/profiles/never/similar")).status_code == 404
    assert (await world.client.get(f"/profiles/{one}/similar?limit=1000")).status_code == 422


async def test_without_the_extra_finding_is_said_not_to_be_installed(store: Store, commands: CommandOutbox) -> None:
    """Everything else is answered as ever."""
    await ensure_gallery(store, G, START)
    async with serving(store, commands, None) as client:
        for answer in (
            await client.post("/search", files={"file": b"x"}),
            await client.get("/profiles/p/similar"),
        ):
            assert (answer.status_code, answer.json()["type"]) == (501, "/docs/problems#not-installed")
        assert (await client.get("/profiles", params={"gallery": G})).status_code == 200


async def test_a_real_child_looks_at_a_picture(store: Store, commands: CommandOutbox) -> None:
    """As the service starts it: the first search waits until its models are there."""
    await ensure_gallery(store, G, START)
    child = Child(command("query_api.search.child_main", "picture", **OPTIONS), lambda _: None)
    try:
        async with serving(store, commands, child) as client:
            assert child.pid is None
            answer = await client.post("/search", files={"file": jpeg(frame())}, data={"gallery": G})
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["faces"]) == 2
            assert child.pid is not None
    finally:
        await child.close()
