"""After an erasure every collection, bucket and topic is read from its beginning through its client, and what workers
keep: none has an encoding, a crop or a name."""

import json
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from castlist.adapters import s3
from castlist.contract.topics import FACE_ENCODINGS, PROFILE_EVENTS, TOPICS
from castlist.contract.values import StoredObject
from castlist.service.settings import Settings
from frame_workers.object_cache import place_of
from testkit import clips
from testkit.api import Api, new_gallery
from testkit.database import Database
from testkit.eventually import eventually
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack


def name_in(gallery: str) -> str:
    """Of somebody in it: nobody else has it."""
    return f"Unmistakable {gallery.rpartition('-')[2][::-1]}"


def copies(stack: RunningStack, stored: StoredObject) -> list[Path]:
    """What workers keep of an object."""
    return list((stack.home / "fetched").glob(f"{place_of(stored)}*"))


class Traces:
    """What must not be found any more: encodings, as they lie in MongoDB and in messages, and the name."""

    def __init__(self, database: Database, gallery: str, name: str, said: Sequence[tuple[str, bytes]]) -> None:
        videos = list(database.videos.find({"gallery": gallery}))
        self.objects = [StoredObject(**video["object"]) for video in videos]
        self.crops = tuple(f"crops/{video['_id']}/" for video in videos)
        means = [bytes(person["mean"]) for person in database.persons.find({"gallery": gallery})]
        events = (json.loads(data) for where, data in said if where.startswith(f"{FACE_ENCODINGS.name}:"))
        tracks = (track for event in events if event.get("gallery") == gallery for track in event.get("tracks", ()))
        encodings = [face["encoding"].encode() for track in tracks for face in track["faces"]]
        assert means
        assert encodings
        self._bytes = [name.encode(), *means, *encodings]

    def are_in(self, data: bytes) -> bool:
        """Whether anything of it is."""
        return any(one in data for one in self._bytes)


def documents(database: Database) -> Iterator[tuple[str, bytes]]:
    """Every document of every collection."""
    for name in database.list_collection_names():
        for document in database[name].find():
            yield f"{name} {document['_id']}", bson.encode(document)


async def objects(stack: RunningStack) -> dict[str, bytes]:
    """Every object of the bucket."""
    settings = Settings(s3_endpoint=stack.s3_endpoint)
    async with s3.connect(*settings.s3) as bucket:
        return {info.key: await bucket.get(info.key) for info in await bucket.list("")}


@asynccontextmanager
async def administration(stack: RunningStack) -> AsyncIterator[AIOKafkaAdminClient]:
    """Of the stack's Kafka."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def partitions(admin: AIOKafkaAdminClient, names: Iterable[str]) -> list[TopicPartition]:
    """All of these topics."""
    described = await admin.describe_topics(sorted(names))
    return [TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]]


async def messages(stack: RunningStack) -> list[tuple[str, bytes]]:
    """Every message of every topic and its dead letters, from the beginning."""
    async with administration(stack) as admin:
        names = {name for name in await admin.list_topics() if not name.startswith("__")}
        places = await partitions(admin, names)
    assert {name for topic in TOPICS for name in (topic.name, topic.dead)} <= names
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    found: list[tuple[str, bytes]] = []
    try:
        firsts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in (place for place in places if firsts[place] < ends[place]):
            consumer.assign([place])
            consumer.seek(place, firsts[place])
            while await consumer.position(place) < ends[place]:
                for batch in (await consumer.getmany(place, timeout_ms=1000)).values():
                    for message in batch:
                        found.append((f"{place.topic}:{place.partition}:{message.offset}", message.value or b""))
    finally:
        await consumer.stop()
    return found


async def end_retention(stack: RunningStack, topic: str) -> None:
    """What a year does: the messages that are there now are gone."""
    async with administration(stack) as admin:
        places = await partitions(admin, [topic])
        await admin.delete_records({place: RecordsToDelete(before_offset=-1) for place in places})


def receipt_of(api: Api, answer: Any) -> dict[str, Any]:
    """What a change that was answered says is gone, once it does."""
    assert answer.status_code in (200, 202), answer.text

    def said() -> Any:
        return api.get(f"/changes/{answer.json()['id']}").json()["receipt"]

    return dict(eventually(said, 90))


@pytest.fixture
def gallery(api: Api, tmp_path: Path) -> str:
    """With two videos, in which somebody has a name: of a brightness of their own, as the encodings of the sample's
    clips are in other galleries, too."""
    made = new_gallery("erased")
    assert api.http.post(f"{api.query}/galleries", json={"id": made}).status_code == 201
    brightness = random.uniform(0.9, 0.99)
    for day in ("monday", "tuesday"):
        images = [(image * brightness).astype(np.uint8) for image in clips.frames(day)]
        video = clips.write(tmp_path / f"{day}.mp4", images)
        assert api.finished(api.submit(video, made)["task_id"])["status"] == "done"
    somebody = api.profiles(made)[0]["id"]
    card = {"name": name_in(made), "notes": f"{name_in(made)}."}
    assert api.http.patch(f"{api.query}/profiles/{somebody}", json=card).status_code == 200
    return made


async def test_after_a_gallery_was_deleted_nothing_of_it_is_found(
    api: Api, stack: RunningStack, database: Database, gallery: str
) -> None:
    """In MongoDB, S3, Kafka and the workers' copies. The names that events have said go with their retention."""
    traces = Traces(database, gallery, name_in(gallery), await messages(stack))
    keys = {*(stored.key for stored in traces.objects)}
    before = await objects(stack)
    assert [key for key in before if key.startswith(traces.crops)]
    assert keys <= before.keys()
    assert all(copies(stack, stored) for stored in traces.objects)
    gone = receipt_of(api, api.http.delete(f"{api.query}/galleries/{gallery}"))
    assert (gone["videos"], gone["objects"], gone["crops"] > 0) == (2, 2, True)
    assert [one["where"] for one in gone["stays"]][:1] == [PROFILE_EVENTS.name], gone
    assert [where for where, data in documents(database) if traces.are_in(data)] == []
    left = await objects(stack)
    assert [key for key in left if key in keys or key.startswith(traces.crops)] == []
    assert [key for key, data in left.items() if traces.are_in(data)] == []
    said = {where.split(":")[0] for where, data in await messages(stack) if traces.are_in(data)}
    assert said <= {PROFILE_EVENTS.name}
    await end_retention(stack, PROFILE_EVENTS.name)
    assert [where for where, data in await messages(stack) if traces.are_in(data)] == []
    eventually(lambda: not any(copies(stack, stored) for stored in traces.objects), 10)
    assert api.get(f"/galleries/{gallery}").status_code == 404
    assert api.http.get(f"{api.query}/profiles", params={"gallery": gallery}).status_code == 404


async def test_a_gallery_that_was_deleted_is_used_again(api: Api, gallery: str) -> None:
    """Its people are new ones, without names."""
    before = {person["id"] for person in api.profiles(gallery)}
    receipt_of(api, api.http.delete(f"{api.query}/galleries/{gallery}"))
    assert api.http.delete(f"{api.query}/galleries/{gallery}").status_code == 404
    assert api.finished(api.submit(clips.sample("monday"), gallery)["task_id"])["status"] == "done"
    people = api.profiles(gallery)
    assert people
    assert before.isdisjoint(person["id"] for person in people)
    assert {person["name"] for person in people} == {None}


async def test_after_a_video_was_erased_its_people_are_not_found(api: Api, database: Database, gallery: str) -> None:
    """Who is in another one too stays, with the name."""
    videos = {one["name"]: one["id"] for one in api.get("/videos", gallery=gallery).json()["items"]}
    gone = receipt_of(api, api.http.delete(f"{api.query}/videos/{videos['monday.mp4']}", params={"erase": True}))
    assert (gone["videos"], gone["objects"]) == (1, 1)
    left = {str(one["_id"]) for one in database.persons.find({"gallery": gallery})}
    assert {key.split(":")[0] for key in left} == {videos["tuesday.mp4"]}
    assert api.get(f"/videos/{videos['monday.mp4']}").status_code == 404
