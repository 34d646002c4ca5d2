"""The committer and what runs behind it, on documents in memory: another distance, large components, suggestions."""

import json
import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
from msgspec.structs import replace

from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryObjects, MemoryPublisher
from castlist.clock import now_utc
from castlist.contract import commands, events, values
from castlist.contract.box import Box
from castlist.contract.ids import crop_key
from castlist.contract.topics import PROFILE_EVENTS
from castlist.contract.values import Crop, DistanceSetting, FrameSize, Segment
from castlist.contract.vectors import Vector
from castlist.store import pending
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.galleries import GalleryRecord, SuggestionRecord
from castlist.store.records.pending import PendingRecluster, PendingRecord, PendingVideo
from castlist.store.store import Store
from castlist.tasks import cancels, registration
from castlist_identity.domain import GalleryPerson, VideoPerson
from castlist_identity.galleries import reclustering
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.reclustering import ClusteredComponent
from castlist_identity.matching import auto_distance
from castlist_identity.matching.crowd_sample import SAMPLE
from castlist_identity.matching.partition import partition
from castlist_identity.matching.second_stage import STAGES
from profile_aggregator.commits import commit_planner, committer, gallery_cache
from profile_aggregator.commits.commit_plan import CommitPlan
from profile_aggregator.commits.commit_planner import CommitPlanner
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.maintenance import GalleryMaintenance
from profile_aggregator.deletion.removals import Removals
from profile_aggregator.videos.conversions import gallery_person, person_record
from profile_aggregator.videos.found_people import keep_people

GALLERY = "default"
STEP = auto_distance.auto_distance(0)
"""What a small gallery joins up to."""


def at(*coordinates: float) -> Vector:
    encoding = np.zeros(128, dtype=np.float32)
    encoding[: len(coordinates)] = coordinates
    return encoding


def video_person(n: int, mean: Vector, apart: Iterable[int] = ()) -> VideoPerson:
    crop = Crop(f"crops/{n}.jpg", 0.0, Box(0, 0, 80, 80), FrameSize(640, 480), 0.9)
    return VideoPerson(n, mean, 0.0, 3, (Segment(0.0, 1.0),), 1.0, 0.0, 1.0, crop, (), tuple(apart))


async def committed(committer: Committer) -> None:
    """All that is pending."""
    while await committer.commit(GALLERY):
        pass


class World:
    """An aggregator's commits without Kafka, S3 and MongoDB."""

    def __init__(self) -> None:
        self.store = Store(MemoryDocuments())
        self.log = MemoryLog()
        self.objects = MemoryObjects("castlist")
        self.start()

    def start(self) -> None:
        """As after a crash: what is not in MongoDB is lost."""
        self.galleries = GalleryCache(self.store)
        self.said_by = GalleryLog(self.store, MemoryPublisher(self.log), now_utc)
        self.committer = Committer(self.store, self.said_by, self.galleries, now_utc, 10)
        self.maintenance = GalleryMaintenance(self.store, self.galleries, self.committer, now_utc)

    async def found(self, video: str, *means: Vector, together: bool = False) -> None:
        """A video's people are pending; `together`: they were seen in one frame."""
        uploaded = events.VideoUploaded(
            event_id=video,
            occurred_at=now_utc(),
            video_id=video,
            gallery=GALLERY,
            object=values.StoredObject(bucket="castlist", key=video),
        )
        await registration.register(self.store, uploaded, now_utc())
        people = [video_person(n, mean, set(range(len(means) * together)) - {n}) for n, mean in enumerate(means)]
        await keep_people(self.store, people, GALLERY, video, 1)
        waiting = PendingVideo(
            id=f"{video}:1", gallery=GALLERY, video_id=video, epoch=1, people=len(people), created_at=now_utc()
        )
        await self.store.pending.insert(waiting)

    async def commit(self, video: str, *means: Vector, together: bool = False) -> None:
        await self.found(video, *means, together=together)
        await committed(self.committer)

    async def choose(self, choice: DistanceSetting) -> None:
        """What PATCH …/settings does."""
        command = commands.ChangeSettings(
            event_id=f"{random.random()}",
            occurred_at=now_utc(),
            gallery=GALLERY,
            settings=values.AnalysisSettings(),
            across_video_distance=choice,
        )
        await self.committer.stage(command)
        await committed(self.committer)

    async def settle(self) -> int:
        """Work in the background until there is nothing left to do; how many batches that were."""
        rounds = 0
        while await self.maintenance.round():
            rounds += 1
        return rounds

    async def gallery(self) -> GalleryRecord:
        (found,) = await self.store.galleries.find()
        return found

    async def events(self) -> int:
        """How many profile events there were."""
        return len(self.said())

    def said(self) -> list[dict[str, Any]]:
        """What was published, in that order."""
        return [json.loads(message.value or b"") for message in self.log.messages(PROFILE_EVENTS.name)]

    async def pending(self) -> int:
        return await self.store.pending.count()

    async def clusters(self) -> list[tuple[str, ...]]:
        found: dict[str, set[str]] = {}
        for person in await self.store.persons.find():
            found.setdefault(str(person.profile_id), set()).add(person.id)
        assert found.keys() == set(await self.store.profiles.ids())
        shown = {(one.profile_id, key) for one in await self.store.appearances.find() for key in one.persons}
        assert shown == {(profile, key) for profile, keys in found.items() for key in keys}
        assert await self.folded() == shown
        return sorted(tuple(sorted(keys)) for keys in found.values())

    async def folded(self) -> set[tuple[str, str]]:
        """(profile, person), as a consumer sees them that has nothing but the events."""
        appearances: dict[tuple[str, str], list[str]] = {}
        for event in self.said():
            if event["event"] == "PersonAppeared":
                appearances[event["profile_id"], event["video_id"]] = event["persons"]
            elif event["event"] == "AppearanceRemoved":
                del appearances[event["profile_id"], event["video_id"]]
        return {(profile, key) for (profile, _), keys in appearances.items() for key in keys}

    async def canonical(self, up_to: float, stages: int = STAGES, sample: int = SAMPLE) -> list[tuple[str, ...]]:
        persons = [gallery_person(person) for person in await self.store.persons.find()]
        return partition(persons, up_to, None, stages, sample)


@pytest.fixture
def world() -> World:
    return World()


def crowd(people: int, views: int, seed: int = 1) -> list[Vector]:
    """Views of people so near each other that the distance decides who is one."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(0, 0.03, (people, 128))
    return [(centres[i % people] + chance.normal(0, 0.02, 128)).astype(np.float32) for i in range(people * views)]


async def test_another_distance_is_reached_by_commits_of_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down and up again: pending all the while, and canonical in the end."""
    monkeypatch.setattr(reclustering, "BATCH", 4)
    for i, mean in enumerate(crowd(8, 4)):
        await world.commit(f"v{i:02}", mean)
    batches, before = 0, await world.clusters()
    assert before == await world.canonical(STEP)
    for choice, up_to, stages in ((0.33, 0.33, 1), (0.55, 0.55, 1), ("auto", STEP, 2)):
        await world.choose(cast("DistanceSetting", choice))
        assert await world.pending() == 1
        batches += await world.settle()
        assert await world.pending() == 0
        assert await world.clusters() == await world.canonical(up_to, stages)
    assert batches > 3
    assert await world.clusters() == before
    assert len(await world.canonical(0.33, 1)) > len(before) > len(await world.canonical(0.55, 1)), (
        "the crowd says nothing"
    )


async def test_a_crash_in_the_middle_and_videos_in_between_change_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left lies in MongoDB; who takes over goes on with it, and videos are committed meanwhile."""
    monkeypatch.setattr(reclustering, "BATCH", 4)
    means = crowd(8, 5)
    for i, mean in enumerate(means[:30]):
        await world.commit(f"v{i * 7 % 30:02}", mean)
    await world.choose(0.4)
    for i, mean in enumerate(means[30:]):
        await world.commit(f"w{i:02}", mean)
        assert await world.maintenance.round()
        assert await world.pending() == 1
        world.start()
        await world.galleries.current(GALLERY)
    await world.settle()
    assert await world.pending() == 0
    assert await world.clusters() == await world.canonical(0.4, 1)


@pytest.mark.slow
async def test_portions_of_a_batch_survive_crashes_in_between(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a batch is on its way in several versions, profiles are no clusters; who takes over finds that out."""
    for group in range(4):
        alone = group % 2
        for i, mean in enumerate(crowd(3, 4, seed=group)):
            await world.commit(f"v{group}{i:02}", mean + at(3.0 * group, 3.0 * alone * i))
    monkeypatch.setattr(reclustering, "BATCH", 12)
    monkeypatch.setattr(reclustering, "MOVES", 2)
    for choice, up_to, stages in ((0.6, 0.6, 1), (0.34, 0.34, 1), ("auto", STEP, 2)):
        before = await world.clusters()
        await world.choose(cast("DistanceSetting", choice))
        for crash in (False, True, False) * 20:
            await world.maintenance.round()
            if crash:
                world.start()
                await world.galleries.current(GALLERY)
        await world.settle()
        assert await world.clusters() == await world.canonical(up_to, stages) != before


async def test_a_gallery_of_one_stage_becomes_one_of_two(world: World) -> None:
    """As earlier versions have left them: the next commit starts to look everybody through again."""
    await world.choose(STEP)
    for i in range(2):
        await world.commit(f"v{i}", at(0.48 * i))
    assert await world.clusters() == await world.canonical(STEP, stages=1) != await world.canonical(STEP)
    chosen = with_id(GALLERY), set_to(GalleryRecord.settings, values.GallerySettings())
    await world.store.galleries.update(*chosen)
    world.start()
    assert await world.settle() == 0
    await world.commit("w", at(9.0))
    assert await world.pending() == 1
    await world.settle()
    assert (await world.gallery()).stages == 2
    assert await world.clusters() == await world.canonical(STEP) != await world.canonical(STEP, stages=1)


async def test_auto_takes_its_step_with_the_person_that_reaches_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And back when that person is gone: it depends on how many there are, not on how many there were."""
    monkeypatch.setattr(auto_distance, "STEPS", ((0, STEP), (12, 0.6)))
    means = crowd(4, 3)
    for i, mean in enumerate(means[:11]):
        await world.commit(f"v{i:02}", mean)
    assert await world.pending() == 0
    await world.commit("v11", means[11])
    assert await world.pending() == 1
    await world.settle()
    assert await world.clusters() == await world.canonical(0.6) != await world.canonical(STEP)
    delete = commands.DeleteVideo(event_id="d", occurred_at=now_utc(), gallery=GALLERY, video_id="v11")
    await world.committer.stage(delete)
    await committed(world.committer)
    await world.settle()
    assert await world.clusters() == await world.canonical(STEP)


async def test_people_who_are_alike_are_matched_with_less_for_as_long_as_they_are_there(world: World) -> None:
    """Known from who was seen together; a restart finds the same, a distance chosen by hand stays, deletion undoes."""
    means = [np.float32(0.85) * mean for mean in crowd(20, 2)]
    for i in range(20):
        await world.commit(f"v{i:02}", means[2 * i], means[2 * i + 1], together=True)
    await world.settle()
    distance = (await world.gallery()).distance
    assert distance is not None
    assert distance < STEP
    assert await world.clusters() == await world.canonical(distance) != await world.canonical(STEP)
    world.start()
    await world.commit("w", at(9.0))
    assert await world.pending() == 0, "the next process finds another distance"
    for choice in (STEP, "auto"):
        await world.choose(choice)
        await world.settle()
    assert (await world.gallery()).distance == distance
    for i in range(15):
        delete = commands.DeleteVideo(event_id=f"d{i}", occurred_at=now_utc(), gallery=GALLERY, video_id=f"v{i:02}")
        await world.committer.stage(delete)
        await committed(world.committer)
    await world.settle()
    assert (await world.gallery()).distance == STEP
    assert await world.clusters() == await world.canonical(STEP)


async def test_a_component_past_the_bound_is_canonical_once_settled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commits stay small, its clusters are taken over in several, and the gallery says so until it is through."""
    for module in (reclustering, commit_planner):
        monkeypatch.setattr(module, "BOUND", 5)
    monkeypatch.setattr(reclustering, "MOVES", 3)
    means = crowd(10, 4, seed=3)
    await world.choose(0.5)
    haste = 0
    for i, mean in enumerate(means):
        await world.commit(f"v{i:02}", mean)
        haste += await world.pending()
    assert haste > 0
    await world.choose(0.52)
    await world.settle()
    assert await world.pending() == 0
    assert await world.clusters() == await world.canonical(0.52, 1)
    await world.choose(0.36)
    moved = await world.events()
    assert await world.settle() > 3
    assert await world.clusters() == await world.canonical(0.36, 1)
    assert await world.events() > moved


async def test_somebody_who_is_seen_without_end_stays_one_and_the_gallery_settles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past a size nobody is clustered again; who is new joins whom they are nearest to, and others go on as ever."""
    for module in (reclustering, commit_planner):
        monkeypatch.setattr(module, "BOUND", 3)
    monkeypatch.setattr(reclustering, "LARGEST", 6)
    largest: list[int] = []
    cluster = reclustering.cluster_component

    def counted(members: Sequence[GalleryPerson], *rest: Any) -> ClusteredComponent:
        largest.append(len(members))
        return cluster(members, *rest)

    monkeypatch.setattr(committer, "cluster_component", counted)
    for i in range(12):
        await world.commit(f"v{i:02}", at(0.01 * i), at(10.0 + 2 * i))
        await world.settle()
    assert await world.pending() == 0
    (presenter,) = [cluster for cluster in await world.clusters() if len(cluster) > 1]
    assert len(presenter) == 12
    assert max(largest) == 6


@pytest.fixture
def few_of_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Are clustered: four."""
    monkeypatch.setattr("profile_aggregator.commits.gallery_cache.Gallery", partial(Gallery, sample=4))


@pytest.mark.usefixtures("few_of_a_crowd")
async def test_who_of_a_crowd_is_not_clustered_is_known_after_a_restart(world: World) -> None:
    """By what is stored with the persons; and who comes then is added to them as before."""
    means = crowd(2, 20)
    for i, mean in enumerate(means[:30]):
        await world.commit(f"v{i:02}", mean, at(9.0 + i))
    assert sum(person.follows for person in await world.store.persons.find()) > 10
    known = (await world.galleries.current(GALLERY)).gallery
    world.start()
    loaded = (await world.galleries.current(GALLERY)).gallery
    assert (loaded.home, loaded.clusters) == (known.home, known.clusters)
    for i, mean in enumerate(means[30:]):
        await world.commit(f"w{i:02}", mean)
    assert await world.pending() == 0
    assert await world.clusters() == await world.canonical(STEP, sample=4)


async def test_galleries_are_held_for_as_long_as_there_is_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what they take together: the one in use is always held, of the others those used last."""
    await world.commit("v", at(0.0))
    for other in "abc":
        await world.galleries.current(other)
    assert all(world.galleries.holds(one) for one in (GALLERY, "a", "b", "c"))
    monkeypatch.setattr(gallery_cache, "ROOM", 1_000)
    await world.galleries.current("c")
    assert not world.galleries.holds(GALLERY)
    assert world.galleries.holds("a")
    await world.galleries.current(GALLERY)
    assert [world.galleries.holds(one) for one in (GALLERY, "a", "b", "c")] == [True, False, False, False]


async def test_a_gallery_is_read_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is read twice or left out, whether the last one is full or not."""
    for i, mean in enumerate(crowd(4, 3)):
        await world.commit(f"v{i:02}", mean)
    known = (await world.galleries.current(GALLERY)).gallery
    for page in (1, 4, 5, 12, 13):
        monkeypatch.setattr(gallery_cache, "PAGE", page)
        world.start()
        loaded = (await world.galleries.current(GALLERY)).gallery
        assert loaded.profile_of == known.profile_of
        assert loaded.clusters == known.clusters


@pytest.mark.usefixtures("few_of_a_crowd")
async def test_a_crowd_from_before_there_were_samples_is_looked_through_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the background, in portions, from the next commit on."""
    monkeypatch.setattr(reclustering, "BATCH", 7)
    for module in (reclustering, commit_planner):
        monkeypatch.setattr(module, "BOUND", 6)
    with monkeypatch.context() as before:
        before.setattr("profile_aggregator.commits.gallery_cache.Gallery", Gallery)
        for i, mean in enumerate(crowd(3, 12)):
            await world.commit(f"v{i:02}", mean)
        await world.settle()
    await world.store.galleries.update(with_id(GALLERY), set_to(GalleryRecord.sampled, False))
    assert not any(person.follows for person in await world.store.persons.find())
    world.start()
    await world.commit("w", at(9.0))
    assert await world.pending() == 1
    await world.settle()
    assert any(person.follows for person in await world.store.persons.find())
    assert await world.clusters() == await world.canonical(STEP, sample=4)
    await world.commit("x", at(19.0))
    assert await world.pending() == 0


async def test_a_large_component_that_grew_meanwhile_is_worked_out_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was worked out for other persons is never taken over."""
    for module in (reclustering, commit_planner):
        monkeypatch.setattr(module, "BOUND", 3)
    for i in range(5):
        await world.commit(f"v{i}", at(0.2 * i))
    assert await world.maintenance.round(), "worked out"
    await world.commit("v9", at(0.5))
    await world.settle()
    assert await world.clusters() == await world.canonical(STEP)


async def test_nothing_is_left_to_do_where_the_last_person_went(world: World) -> None:
    """A new distance of an empty gallery needs no work."""
    await world.choose(0.4)
    assert await world.pending() == 0
    assert await world.gallery() is not None
    await world.commit("a", at(0.0), at(0.45))
    assert len(await world.clusters()) == 2


async def test_a_suggestion_stands_for_as_long_as_it_is_true(world: World) -> None:
    """Two who may be one, until somebody between them makes them one; none while something is pending."""
    await world.commit("a", at(0.0))
    await world.commit("b", at(0.55))
    await world.commit("c", at(0.0, 2.0))
    await world.found("d", at(0.0, 0.0, 3.0))
    await world.maintenance.round()
    assert await world.store.suggestions.count() == 0
    await committed(world.committer)
    await world.maintenance.round()
    (suggested,) = await world.store.suggestions.find()
    profiles = {person.id: str(person.profile_id) for person in await world.store.persons.find()}
    assert suggested.profiles == tuple(sorted([profiles["a:1:0"], profiles["b:1:0"]]))
    assert suggested.distance == pytest.approx(0.55)
    assert suggested.gallery == GALLERY
    await world.commit("e", at(0.275))
    world.start()
    await world.galleries.current(GALLERY)
    await world.maintenance.round()
    assert await world.store.suggestions.count() == 0


async def test_a_task_that_ended_meanwhile_is_left_out_of_its_batch(world: World) -> None:
    """The others of the batch are committed, in one go, and each says once that it is done."""
    for i in range(4):
        await world.found(f"v{i}", at(float(i)))
    await cancels.cancel(world.store, "v2", 1, now_utc())
    await committed(world.committer)
    said = [(one["video_id"], one["status"]) for one in world.said() if one["event"] == "TaskFinished"]
    assert sorted(said) == [("v0", "done"), ("v1", "done"), ("v3", "done")]
    await Removals(world.store, world.objects).round()
    assert await world.clusters() == [("v0:1:0",), ("v1:1:0",), ("v3:1:0",)]


async def test_a_broken_gallery_does_not_hold_up_the_others(world: World) -> None:
    """Its re-clustering raises; suggestions of the other one are looked for all the same."""
    await world.commit("a", at(0.0), at(0.55))
    store, long_ago = world.store, now_utc() - timedelta(hours=1)
    await store.galleries.insert(GalleryRecord(id="broken", version=1, created_at=long_ago))
    unreadable = person_record(video_person(0, at(0.0)), "broken", "x", 1)
    await store.persons.insert(replace(unreadable, mean=b"no encoding", profile_id="p"))
    waiting = PendingRecluster(
        id=pending.recluster_id("broken"), gallery="broken", after="", keys=(), created_at=long_ago
    )
    await store.pending.insert(waiting)
    await world.maintenance.round()
    assert await store.suggestions.count(eq(SuggestionRecord.gallery, GALLERY)) == 1
    assert await store.pending.ids() == [waiting.id]


@pytest.mark.parametrize("broken", ["memory", "publishing"])
async def test_what_goes_wrong_after_a_commit_has_won_takes_nothing_back(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """The task stays done, its crops stay, and the next commit goes on from what MongoDB holds."""

    def fails(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    crop = crop_key("a", 1, 0, 0)
    world.objects.store(crop, b"jpeg", "image/jpeg")
    with monkeypatch.context() as patch:
        target = CommitPlan if broken == "memory" else MemoryPublisher
        patch.setattr(target, "succeeded" if broken == "memory" else "publish_entries", fails)
        await world.commit("a", at(0.0))
    assert [task.status for task in await world.store.tasks.find()] == ["done"]
    assert await world.objects.get(crop) == b"jpeg"
    await world.commit("b", at(0.1))
    assert await world.clusters() == [("a:1:0", "b:1:0")]


async def test_what_waits_is_committed_in_the_order_in_which_it_came(world: World) -> None:
    """Whatever its id: a late name or a command would never get its turn behind videos that go on coming."""
    world.committer = Committer(world.store, world.said_by, world.galleries, now_utc, 2)
    for number, video in enumerate(("z", "y", "x", "w", "b", "a")):
        await world.found(video, at(float(number)))
        came = now_utc() - timedelta(minutes=10 - number)
        await world.store.pending.update(with_id(f"{video}:1"), set_to(PendingRecord.created_at, came))
    await world.committer.stage(
        commands.DeleteVideo(event_id="d", occurred_at=now_utc(), gallery=GALLERY, video_id="z")
    )
    order = []
    while await world.committer.commit(GALLERY):
        done = [task.video_id for task in await world.store.tasks.find() if task.status == "done"]
        order.append("".join(sorted(done)))
    assert order == ["yz", "wxyz", "abwxyz", "abwxy"]


async def test_what_another_process_has_done_is_not_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that fails over a video whose people another one has committed meanwhile leaves what it shows."""
    crop = crop_key("a", 1, 0, 0)
    world.objects.store(crop, b"jpeg", "image/jpeg")
    await world.found("a", at(0.0))
    slow, plan_of = world.committer, CommitPlanner.for_batch

    async def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(CommitPlanner, "for_batch", plan_of)
        world.start()
        await committed(world.committer)
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(CommitPlanner, "for_batch", overtaken)
    await committed(slow)
    assert [task.status for task in await world.store.tasks.find()] == ["done"]
    assert await world.objects.get(crop) == b"jpeg"
    assert await world.pending() == 0
