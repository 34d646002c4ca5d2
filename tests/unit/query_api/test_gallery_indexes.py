"""The face indexes of galleries: as MongoDB is, whatever was committed since, without reading everybody again."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.adapters.memory import MemoryDocuments, MemoryLog
from castlist.contract import values
from castlist.contract.box import Box
from castlist.contract.commands import DeleteVideo
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import is_by_hand
from castlist.contract.values import Crop, FrameSize, Segment
from castlist.ports.documents import Document
from castlist.ports.errors import UnavailableError
from castlist.store.query import ANY, eq, set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.records.pending import PendingVideo
from castlist.store.store import Store
from castlist.tasks.commands import stage
from castlist.tasks.registration import register
from castlist_identity.domain import VideoPerson
from castlist_identity.search.face_index import FaceIndex
from profile_aggregator.commits import commit_documents
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.videos.found_people import keep_people
from query_api.search import gallery_indexes
from query_api.search.gallery_indexes import GalleryIndexes
from testkit.corrected_gallery import CorrectedGallery

NOW = datetime(2026, 1, 2, tzinfo=UTC)
G = "g"
ROOM = 2**30


class Documents(MemoryDocuments):
    """Counts the persons that are read, and can commit in the midst of it."""

    def __init__(self) -> None:
        super().__init__()
        self.persons_read = 0
        self.meanwhile: Any = None

    async def find(self, collection: str, where: Any, **options: Any) -> list[Document]:
        found = await super().find(collection, where, **options)
        if collection == "persons" and "mean" in options.get("fields", ()) and "variance" in options["fields"]:
            self.persons_read += len(found)
            if self.meanwhile is not None and len(options["fields"]) == 3:
                step, self.meanwhile = self.meanwhile, None
                await step()
        return found


class World:
    """An aggregator that commits, and the indexes of a query-api."""

    def __init__(self) -> None:
        self.documents = Documents()
        self.store = Store(self.documents)
        said = GalleryLog(self.store, MemoryLog().publisher(), lambda: NOW)
        self.committer = Committer(self.store, said, GalleryCache(self.store), lambda: NOW, 10)
        self.indexes = GalleryIndexes(self.store, ROOM)

    async def commit(self, video: str, *where: float, epoch: int = 1) -> None:
        """A video with people at these places of a line."""
        stored = values.StoredObject(bucket="castlist", key=video)
        uploaded = VideoUploaded(
            event_id=f"{video}:{epoch}", occurred_at=NOW, video_id=video, epoch=epoch, gallery=G, object=stored
        )
        await register(self.store, uploaded, NOW)
        crop = Crop(f"crops/{video}/{epoch}/0-0.jpg", 0.0, Box(0, 0, 80, 80), FrameSize(640, 480), 0.9)
        people = [
            VideoPerson(n, mean_at(x), 0.0, 3, (Segment(0.0, 1.0),), 1.0, 0.0, 1.0, crop, (), ())
            for n, x in enumerate(where)
        ]
        await keep_people(self.store, people, G, video, epoch)
        await self.store.pending.insert(
            PendingVideo(
                id=f"{video}:{epoch}", gallery=G, created_at=NOW, video_id=video, epoch=epoch, people=len(people)
            )
        )
        await self.commit_all()

    async def delete(self, video: str) -> None:
        """The video goes, with whoever is in no other."""
        command = DeleteVideo(event_id=f"delete-{video}", occurred_at=NOW, gallery=G, video_id=video)
        await stage(self.store, command, NOW)
        await self.commit_all()

    async def commit_all(self) -> None:
        """All that is pending."""
        while await self.committer.commit(G):
            pass

    async def profiles(self) -> dict[str, set[str]]:
        """Who is whose in MongoDB: the persons of each profile."""
        found: dict[str, set[str]] = {}
        for one in await self.store.persons.find():
            if one.profile_id is not None:
                found.setdefault(one.profile_id, set()).add(one.id)
        return found

    async def indexed(self, indexes: GalleryIndexes | None = None) -> dict[str, set[str]]:
        """The same by an index."""
        async with (indexes or self.indexes).current(G) as index:
            return held_by(index)


def held_by(index: FaceIndex) -> dict[str, set[str]]:
    """The persons of each profile."""
    found: dict[str, set[str]] = {}
    for key in index._persons.number:
        profile = index.profile_of(key)
        assert profile is not None
        found.setdefault(profile, set()).add(key)
    return found


def mean_at(x: float) -> Any:
    """An encoding at a place of a line."""
    mean = np.zeros(128, dtype=np.float32)
    mean[0] = x
    return mean


@pytest.fixture
def world() -> World:
    """Nothing is there yet."""
    return World()


async def test_nobody_who_has_gone_is_found_after_the_commit(world: World) -> None:
    """A commit between two searches: who was deleted is found no more, and who stayed is."""
    await world.commit("first", 0.0, 5.0)
    await world.commit("second", 0.1)
    async with world.indexes.current(G) as index:
        assert len(index.nearest(mean_at(0.0), 5, 1.0)) == 1
        (gone,) = index.nearest(mean_at(5.0), 5, 1.0)
    await world.delete("first")
    async with world.indexes.current(G) as index:
        assert index.nearest(mean_at(5.0), 5, 1.0) == []
        (stays,) = index.nearest(mean_at(0.0), 5, 1.0)
        assert stays.distance == pytest.approx(0.1, abs=1e-5)
    assert gone.profile not in await world.profiles()


async def test_nobody_is_found_where_they_were_before_they_moved(world: World) -> None:
    """Two profiles that a third video joins: they are one in the next search, under the id that lives."""
    await world.commit("first", 0.0)
    await world.commit("second", 0.6)
    assert len(await world.indexed()) == 2
    await world.commit("third", 0.3)
    assert await world.indexed() == await world.profiles()
    assert len(await world.indexed()) == 1


async def test_a_commit_costs_what_it_changed(world: World) -> None:
    """Only persons that are new are read, however many there are."""
    for n in range(20):
        await world.commit(f"v{n}", 10.0 * n, 10.0 * n + 5)
    assert await world.indexed() == await world.profiles()
    world.documents.persons_read = 0
    await world.indexed()
    assert world.documents.persons_read == 0
    await world.commit("new", 1000.0, 0.1)
    await world.delete("v7")
    assert await world.indexed() == await world.profiles()
    assert world.documents.persons_read == 2


async def test_what_is_committed_while_a_gallery_is_read_is_not_missed(world: World) -> None:
    """Neither who came nor who went nor who moved."""
    await world.commit("first", 0.0, 5.0, 9.0)
    await world.commit("second", 0.6)

    async def commits() -> None:
        await world.delete("first")
        await world.commit("third", 0.3, 7.0)

    world.documents.meanwhile = commits
    assert await world.indexed() == await world.profiles()


async def test_a_log_that_does_not_reach_back_means_reading_everybody_again(world: World) -> None:
    """It is kept for a week; a process that slept for longer knows that it missed something."""
    await world.commit("first", 0.0)
    await world.indexed()
    await world.commit("second", 5.0)
    await world.delete("first")
    await world.store.gallery_log.delete(ANY)
    assert await world.indexed() == await world.profiles()
    await world.commit("third", 9.0)
    newest = await world.store.galleries.get(G)
    assert newest is not None
    await world.commit("fourth", 13.0)
    await world.store.gallery_log.delete(eq(GalleryLogRecord.version, newest.version))
    assert await world.indexed() == await world.profiles()


async def test_a_commit_that_changes_nobody_is_followed(world: World) -> None:
    """A video without people, and one that was committed with others in one commit."""
    await world.commit("first", 0.0)
    await world.indexed()
    await world.commit("empty")
    assert await world.indexed() == await world.profiles()
    await world.commit("second", 0.1)
    assert await world.indexed() == await world.profiles()


async def test_a_gallery_that_is_begun_anew_is_read_anew(world: World) -> None:
    """Its version is lower than what is known."""
    await world.commit("first", 0.0)
    await world.commit("second", 9.0)
    await world.indexed()
    await world.store.persons.delete(ANY)
    await world.store.galleries.update(with_id(G), set_to(GalleryRecord.version, 0) & set_to(GalleryRecord.told, None))
    assert await world.indexed() == {}


async def test_an_outage_in_the_midst_costs_one_search(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is right."""
    await world.commit("first", 0.0)
    await world.indexed()
    await world.commit("second", 5.0)
    find = world.documents.find

    async def away(collection: str, *arguments: Any, **options: Any) -> list[Document]:
        if collection == "persons":
            raise UnavailableError("MongoDB is away")
        return await find(collection, *arguments, **options)

    monkeypatch.setattr(world.documents, "find", away)
    with pytest.raises(UnavailableError):
        await world.indexed()
    monkeypatch.setattr(world.documents, "find", find)
    assert await world.indexed() == await world.profiles()


async def test_long_appearances_come_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a long log in portions, the last version of which may be cut."""
    monkeypatch.setattr(commit_documents, "PERSONS_OF_A_PART", 2)
    monkeypatch.setattr("profile_aggregator.commits.gallery_log._PART_BYTES", 1)
    monkeypatch.setattr(gallery_indexes, "LOGGED", 3)
    await world.commit("anchor", 0.0)
    await world.commit("first", 0.0, 0.001, 0.002, 0.55, 0.551, 0.552)
    assert await world.indexed() == await world.profiles()
    world.documents.persons_read = 0
    assert len(await world.profiles()) == 2
    await world.commit("bridge", *[0.27 + 0.001 * n for n in range(4)])
    assert len(await world.profiles()) == 1
    assert await world.indexed() == await world.profiles()
    assert world.documents.persons_read == 4
    await world.commit("first", *[0.001 * n for n in range(5)], epoch=2)
    await world.commit("second", 5.0, 0.01)
    assert await world.indexed() == await world.profiles()
    assert world.documents.persons_read == 4 + 5 + 2


async def test_galleries_are_held_by_their_bytes(world: World) -> None:
    """Beside the one in use only as much as there is room for."""
    await world.commit("first", 0.0)
    small = GalleryIndexes(world.store, 0)
    for name in (G, "other", G):
        async with small.current(name):
            pass
        assert list(small._held) == [name]


VIDEOS = ("a", "b", "c", "d")
people = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 5.0]), max_size=3)
steps = st.lists(
    st.one_of(st.tuples(st.just("commit"), st.sampled_from(VIDEOS), people), st.tuples(st.just("search"))), max_size=10
)


@settings(max_examples=40, deadline=None)
@given(steps)
async def test_an_index_is_what_mongodb_holds_after_any_sequence(made: list[Any]) -> None:
    """Videos that come, come again with other people, and searches in between."""
    world, epochs = World(), dict.fromkeys(VIDEOS, 0)
    for step in made:
        if step[0] == "commit":
            _, video, where = step
            epochs[video] += 1
            await world.commit(video, *where, epoch=epochs[video])
        else:
            await world.indexed()
    assert await world.indexed() == await world.profiles()


async def test_what_people_decide_by_hand_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged, split, rejected, deleted, said to be there, and taken back again: nobody is found who is shown nowhere,
    nor by an appearance without an encoding."""
    gallery = CorrectedGallery()
    store = gallery.servers.stored
    followed = GalleryIndexes(store, ROOM)
    loads: list[str] = []
    load = GalleryIndexes._load

    async def counted(self: GalleryIndexes, name: str, held: Any) -> Any:
        if self is followed:
            loads.append(name)
        return await load(self, name, held)

    monkeypatch.setattr(GalleryIndexes, "_load", counted)

    async def assert_as_shown() -> None:
        shown: dict[str, set[str]] = {}
        for one in await store.appearances.find():
            if seen := {person for person in one.persons if not is_by_hand(person)}:
                shown.setdefault(one.profile_id, set()).update(seen)
        for indexes in (followed, GalleryIndexes(store, ROOM)):
            async with indexes.current("g") as index:
                assert held_by(index) == shown

    for video, value in (("a", 0.0), ("b", 0.05), ("c", 0.1), ("x", 5.0), ("y", 5.05)):
        await gallery.video(video, {0: value})
    await assert_as_shown()
    ann, bea = await gallery.of("a"), await gallery.of("x")
    merged = await gallery.merge(bea, ann)
    await assert_as_shown()
    await gallery.undo(merged)
    await assert_as_shown()
    await gallery.split(ann, "b", "c")
    await assert_as_shown()
    await gallery.presence(bea, "a")
    await gallery.presence(bea, "y")
    await assert_as_shown()
    rejected = await gallery.reject(bea, "x", "not_a_face")
    await assert_as_shown()
    deleted = await gallery.delete(await gallery.of("a"))
    await assert_as_shown()
    await gallery.undo(deleted)
    await gallery.undo(rejected)
    await assert_as_shown()
    await gallery.delete_video("b")
    await assert_as_shown()
    assert loads == ["g"]
