"""The aggregator's handlers in memory: whatever fails, dies, comes twice or in another order, each ends the same."""

import base64
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.contract import values
from castlist.contract.box import Box
from castlist.contract.codec import encode
from castlist.contract.commands import CancelVideo, ChangeSettings, DeleteVideo, RenameProfile
from castlist.contract.events import (
    ChunkFailed,
    ChunkProgressed,
    CommandFailed,
    Event,
    FacesEncoded,
    VideoPlanned,
    VideoRejected,
    VideoUploaded,
)
from castlist.contract.ids import crop_key, event_id, run_key
from castlist.contract.video_warnings import as_warning, warning
from castlist.ports.documents import Document
from castlist.store import kafka_topics
from castlist.store.packed_tracks import tracks_in, unpacked
from castlist.store.query import ANY, ascending, set_to, with_id
from castlist.store.records.pending import PendingCommand
from castlist.store.records.persons import PersonRecord
from castlist.store.records.runs import AttemptsRecord, ChunkResultRecord, ChunkSpan, PlanRecord
from castlist.tasks import commands
from castlist.tasks.registration import register
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.previews import Previews
from profile_aggregator.deletion.removals import Removals
from profile_aggregator.dispatch import Dispatch
from profile_aggregator.reconciler import Reconciler
from profile_aggregator.retention import Retention
from profile_aggregator.turns import Turns
from profile_aggregator.videos.handlers import VideoHandlers
from testkit.faults import DiedError, Faults, at_every_moment
from testkit.in_memory import Handle, InMemory

ADA, BO = 0.0, 5.0
"""Where two people lie on the first axis of the space of encodings: far apart."""
CHUNKS = 2
LATER = timedelta(seconds=10)
"""After so long it is noticed that something waits."""
WARNINGS = (warning("truncated", 3.0),)


class Aggregator:
    """profile-aggregator on servers in memory; frame-workers are what the tests publish."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.servers = InMemory(faults)
        self._delivered: set[str] = set()
        self.start()

    def start(self) -> Mapping[type[Event], Handle]:
        """A process; what the one before it remembered is gone."""
        servers = self.servers
        store, objects, publisher, clock = servers.store, servers.objects, servers.publisher, servers.clock
        relay, galleries = servers.relay(), GalleryCache(store)
        self.said = GalleryLog(store, publisher, clock)
        committer = Committer(store, self.said, galleries, clock, 10)
        videos = VideoHandlers(store, objects, publisher, clock)
        self.removals, self.turns = Removals(store, objects), Turns(committer.commit)
        self.reconciler = Reconciler(store, publisher, relay, videos, self.turns.ring, clock, after=5.0)
        return Dispatch(videos, committer, self.turns, Previews(store, galleries, clock).turns).table

    async def deliver(self, *events: Event) -> None:
        """Each of these events, and what follows from it in `gallery.commits`."""
        for event in events:
            await self.servers.deliver(self.start, event)
            await self._take_turns()
            commits = self.servers.published("gallery.commits")
            follows = [one for one in commits if one.event_id not in self._delivered]
            self._delivered |= {one.event_id for one in follows}
            for one in follows:
                await self.servers.deliver(self.start, one)
                await self._take_turns()

    async def _take_turns(self) -> None:
        """Until nothing waits. For whom a process was rung that died, the next one's reconciler finds out."""
        process = self.turns

        async def once() -> None:
            if process is not self.turns:
                self.servers.now += LATER
                await self.reconciler.run()
            try:
                while await self.turns.round():
                    pass
            except DiedError:
                self.start()
                raise

        await self.servers.repeat(once)

    async def reconcile(self) -> None:
        """One round of the reconciler and what it finds, until it succeeds."""

        async def once() -> None:
            self.start()
            self.servers.now += LATER
            await self.reconciler.run()
            while await self.turns.round():
                pass
            await self.removals.round()
            await self.said.round()

        await self.servers.repeat(once)

    async def put_in(self, video: str, *people: float, epoch: int = 1) -> list[Event]:
        """What is there once a video was planned (its records, its object, its crops), and the events about it."""
        servers = self.servers
        stored = servers.bucket.store(f"videos/{video}", b"bytes", "video/mp4")
        reference = values.StoredObject(bucket="castlist", key=stored.key, etag=stored.etag)
        uploaded = VideoUploaded(
            event_id=event_id("VideoUploaded", video, epoch),
            occurred_at=servers.clock(), video_id=video, epoch=epoch, gallery="g", object=reference,
            name=f"{video}.mp4",
        )  # fmt: skip
        plan = PlanRecord(
            id=run_key(video, epoch), gallery="g", object=reference,
            chunks=(ChunkSpan(None, 10.0), ChunkSpan(10.0, None)), window=4,
            duration=20.0, width=640, height=480, frame_rate=25.0, warnings=WARNINGS, created_at=servers.clock(),
        )  # fmt: skip
        await register(servers.stored, uploaded, servers.clock())
        await servers.stored.plans.insert(plan)
        planned = VideoPlanned(
            event_id=event_id("VideoPlanned", plan.id), occurred_at=servers.clock(), video_id=video, epoch=epoch,
            gallery="g", chunks=CHUNKS, duration=20.0, width=640, height=480, frame_rate=25.0, warnings=WARNINGS,
        )  # fmt: skip
        return [uploaded, planned, *(self.encoded(video, chunk, people, epoch) for chunk in range(CHUNKS))]

    def encoded(self, video: str, chunk: int, people: Iterable[float], epoch: int = 1) -> FacesEncoded:
        """A chunk's result, whose crops are in S3: each of these people for two seconds."""
        tracks = tuple(self._track(video, epoch, chunk, number, where) for number, where in enumerate(people))
        return FacesEncoded(
            event_id=event_id("FacesEncoded", video, epoch, chunk), occurred_at=self.servers.clock(), video_id=video,
            epoch=epoch, gallery="g", chunk=chunk, frames=50, tracks=tracks, faces_skipped={"too_small": 1},
            left_out=(values.LeftOutFace(10.0 * chunk, Box(5, 5, 20, 20), "too_small"),),
        )  # fmt: skip

    def _track(self, video: str, epoch: int, chunk: int, number: int, where: float) -> values.Track:
        encoding = np.zeros(128, "<f4")
        encoding[0] = where
        box, start = Box(10 + 200 * number, 20, 80, 80), 10.0 * chunk
        key = crop_key(video, epoch, chunk, number)
        self.servers.bucket.store(key, b"jpeg", "image/jpeg")
        face = values.EncodedFace(start, box, 1.0, 0.9, base64.b64encode(encoding.tobytes()).decode())
        return values.Track(
            track=number,
            sightings=tuple(values.Sighting(start + n / 5, box, 1.0) for n in range(10)),
            faces=(face,),
            crop=values.Crop(key, start, box, values.FrameSize(640, 480), 0.9),
        )

    async def clusters(self) -> list[list[str]]:
        """Who is one person: the keys of the video persons in each profile."""
        found: dict[str, list[str]] = {}
        for person in await self.servers.stored.persons.find():
            found.setdefault(str(person.profile_id), []).append(person.id)
        assert found.keys() == set(await self.servers.stored.profiles.ids())
        return sorted(sorted(keys) for keys in found.values())

    async def statuses(self) -> dict[str, str]:
        """How each video's task is."""
        return {task.video_id: task.status for task in await self.servers.stored.tasks.find()}

    async def left(self) -> dict[str, Any]:
        """All there is once everything is published."""
        await self.reconcile()
        await self.servers.repeat(lambda: self.servers.relay().sweep(timedelta(0)))
        return await self.servers.left()


Scenario = Callable[[Aggregator], Awaitable[None]]


async def two_videos(aggregator: Aggregator) -> None:
    """Ada alone, and Ada with Bo."""
    for video, people in (("a", [ADA]), ("b", [ADA, BO])):
        await aggregator.deliver(*await aggregator.put_in(video, *people))


def everywhere(scenario: Scenario, prepare: Scenario | None = None) -> Awaitable[int]:
    """`scenario`, after what prepares it, with a fault at every moment."""

    async def with_faults(faults: Faults) -> Any:
        aggregator = Aggregator(faults)
        if prepare is not None:
            await prepare(aggregator)
        faults.begin()
        await scenario(aggregator)
        left = await aggregator.left()
        for task in left["documents"]["tasks"].values():
            # Each round of the reconciler counts, and one may find the task done already.
            task.pop("announced"), task.pop("announce_after", None)
        return left

    return at_every_moment(with_faults)


# --- who is in nobody ------------------------------------------------------------------------------------------------


async def test_faces_that_nobody_has_are_kept_with_their_places() -> None:
    """Those that workers left out, and those that fit no person of the video; the task counts them."""
    aggregator = Aggregator()
    uploaded, planned, first, second = await aggregator.put_in("b", ADA)
    assert isinstance(second, FacesEncoded)
    unsure = aggregator._track("b", 1, 1, 1, BO)
    unsure = replace(
        unsure,
        sightings=tuple(replace(seen, score=0.1) for seen in unsure.sightings[:2]),
        faces=tuple(replace(face, score=0.1) for face in unsure.faces),
    )
    await aggregator.deliver(uploaded, planned, first, second.model_copy(update={"tracks": (*second.tracks, unsure)}))
    (kept,) = await aggregator.servers.stored.left_out.find()
    assert kept.id == "b:1"
    assert [(face.time, face.reason) for face in kept.faces] == [
        (0.0, "too_small"), (10.0, "too_small"), (10.0, "low_score"), (10.2, "low_score")
    ]  # fmt: skip
    (task,) = await aggregator.servers.stored.tasks.find()
    assert task.faces_skipped == {"low_score": 2, "too_small": 2}


async def test_where_people_were_is_kept_beyond_their_results() -> None:
    """The tracks that somebody is made of, and no others: a person says which they are."""
    aggregator = Aggregator()
    uploaded, planned, first, second = await aggregator.put_in("b", ADA, BO)
    assert isinstance(second, FacesEncoded)
    seen, *others = second.tracks
    small = replace(seen, track=7, sightings=tuple(replace(one, box=Box(0, 0, 9, 9)) for one in seen.sightings))
    far = replace(small, faces=())
    await aggregator.deliver(uploaded, planned, first, second.model_copy(update={"tracks": (seen, *others, far)}))
    await aggregator.servers.stored.chunks.delete(ANY)
    (kept,) = await aggregator.servers.stored.tracks.find()
    tracks = {(one.chunk, one.track): one.boxes() for one in unpacked(kept.tracks)}
    persons = await aggregator.servers.stored.persons.find()
    assert sorted(tracks) == sorted(index for one in persons for index in tracks_in(one.tracks))
    assert sorted(tracks) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert tracks[1, 1] == [[round(10 + n / 5, 3), 210, 20, 80, 80, 1.0] for n in range(10)]
    assert (kept.id, kept.start, kept.end) == ("b:1:00000", 0.0, 11.8)


# --- a video becomes people -------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_video_becomes_people_whatever_fails() -> None:
    """Its task is done once, its people are in the gallery once, and each change is told once."""

    async def first(aggregator: Aggregator) -> None:
        await aggregator.deliver(*await aggregator.put_in("a", ADA))

    async def second(aggregator: Aggregator) -> None:
        await aggregator.deliver(*await aggregator.put_in("b", ADA, BO))
        assert await aggregator.clusters() == [["a:1:0", "b:1:0"], ["b:1:1"]]
        assert set((await aggregator.statuses()).values()) == {"done"}

    assert await everywhere(second, prepare=first)


async def test_parts_of_results_that_differ_are_never_taken_together() -> None:
    """A chunk that was worked through twice, and came out otherwise: its video waits for the rest of one result, and
    counts each face once."""
    aggregator = Aggregator()
    uploaded, planned, _, last = await aggregator.put_in("a", ADA)

    def parts(digest: str) -> list[FacesEncoded]:
        whole = aggregator.encoded("a", 0, [ADA, BO])
        return [
            whole.model_copy(update={"part": n, "parts": 2, "digest": digest, "tracks": whole.tracks[n : n + 1]})
            for n in range(2)
        ]

    one, other = parts("aa"), parts("bb")
    await aggregator.deliver(uploaded, planned, one[0], other[1], last)
    assert await aggregator.statuses() == {"a": "processing"}
    await aggregator.deliver(one[1], other[0])
    assert await aggregator.statuses() == {"a": "done"}
    faces = {person.n: person.faces for person in await aggregator.servers.stored.persons.find()}
    assert faces == {0: 20, 1: 10}


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
async def test_the_order_of_events_changes_nothing(seed: int) -> None:
    """Those of three videos mixed at random, half of them twice: the same people, tasks, counts and warnings."""
    chance = random.Random(seed)
    aggregator, expected = Aggregator(), Aggregator()
    cast = {"a": [ADA], "b": [ADA, BO], "c": [BO]}
    events = [event for video, people in cast.items() for event in await aggregator.put_in(video, *people)]
    events += chance.sample(events, len(events) // 2)
    chance.shuffle(events)
    for event in events:
        await aggregator.deliver(event)
    for video, people in cast.items():
        await expected.deliver(*await expected.put_in(video, *people))
    assert await aggregator.clusters() == await expected.clusters()
    left, wanted = await aggregator.left(), await expected.left()
    for collection in ("videos", "tasks", "ledger", "pending"):
        assert left["documents"][collection] == wanted["documents"][collection], collection


async def test_a_lost_plan_event_leaves_no_gap() -> None:
    """VideoPlanned may be lost with Kafka's data: size, length, warnings and the beginning are those of the plan."""
    aggregator, expected = Aggregator(), Aggregator()
    uploaded, _, *results = await aggregator.put_in("a", ADA)
    await aggregator.deliver(uploaded, *results)
    await expected.deliver(*await expected.put_in("a", ADA))
    left, wanted = await aggregator.left(), await expected.left()
    for collection in ("videos", "tasks"):
        assert left["documents"][collection] == wanted["documents"][collection]
    (video,) = await aggregator.servers.stored.videos.find()
    (task,) = await aggregator.servers.stored.tasks.find()
    assert (video.duration, video.width, video.height, video.frame_rate) == (20.0, 640, 480, 25.0)
    assert task.warnings == WARNINGS
    assert task.started_at is not None


async def test_results_and_plans_of_version_1_are_read() -> None:
    """Their warnings are codes: a run that was half-way when the installation was upgraded ends like any other."""
    aggregator = Aggregator()
    uploaded, _, first, *rest = await aggregator.put_in("a", ADA)
    stored = aggregator.servers.stored
    await stored.plans.update(with_id("a:1"), set_to(PlanRecord.warnings, ("truncated",)))
    await aggregator.deliver(uploaded, first)
    body = {**json.loads(encode(first)), "version": 1, "warnings": ["truncated", "older"]}
    await stored.chunks.update(with_id("a:1:0:0"), set_to(ChunkResultRecord.event, json.dumps(body)))
    await aggregator.deliver(*rest)
    (task,) = await stored.tasks.find()
    assert [as_warning(one).code for one in task.warnings] == ["truncated", "older"]
    assert task.status == "done"


async def test_progress_is_shown_and_never_goes_back() -> None:
    """Also where a chunk is tried again and tells of an earlier moment."""
    aggregator = Aggregator()
    uploaded, planned, first, second = await aggregator.put_in("a", ADA)
    await aggregator.deliver(uploaded, planned)
    shown = []
    told = [(0, 0.5), (1, 0.9), (0, 0.1)]
    for number, (chunk, fraction) in enumerate(told):
        progressed = ChunkProgressed(
            event_id=str(number), occurred_at=aggregator.servers.clock(), video_id="a", epoch=1, gallery="g",
            chunk=chunk, fraction=fraction,
        )  # fmt: skip
        await aggregator.deliver(progressed)
        (task,) = await aggregator.servers.stored.tasks.find()
        shown.append(task.progress)
    assert shown == sorted(shown)
    await aggregator.deliver(first, second)
    (task,) = await aggregator.servers.stored.tasks.find()
    assert (task.progress, task.chunks_done, task.chunks_planned) == (1.0, CHUNKS, CHUNKS)


# --- what comes to nothing --------------------------------------------------------------------------------------------


def nothing_left_of(left: dict[str, Any], video: str) -> bool:
    """Whether a run that came to nothing has left neither people nor crops nor results."""
    documents = left["documents"]
    found = [key for name in ("persons", "chunks", "pending") for key in documents[name] if key.startswith(video)]
    return not found and not any(key.startswith(f"crops/{video}/") for key in left["objects"])


@pytest.mark.parametrize("whole", [False, True], ids=["a chunk", "the video"])
async def test_what_cannot_be_worked_through_fails_its_task_alone(whole: bool) -> None:
    """With the reason; nothing stays of it, the others are done."""

    async def scenario(aggregator: Aggregator) -> None:
        uploaded, planned, first, _ = await aggregator.put_in("b", ADA, BO)
        about: dict[str, Any] = {"occurred_at": aggregator.servers.clock(), "video_id": "b", "epoch": 1, "gallery": "g"}
        reason: dict[str, Any] = {"event_id": "f", "code": "undecodable", "message": "No decoder."}
        failed = VideoRejected(**about, **reason) if whole else ChunkFailed(**about, **reason, chunk=1)
        await aggregator.deliver(uploaded, *([] if whole else [planned, first]), failed)
        await aggregator.deliver(first)  # a result that comes late
        (_, task) = await aggregator.servers.stored.tasks.find(sort=[("video_id", 1)])
        assert (task.status, task.error and task.error.code) == ("failed", "undecodable")
        await aggregator.reconcile()
        assert nothing_left_of(await aggregator.servers.left(), "b")
        assert await aggregator.clusters() == [["a:1:0"]]

    async def prepare(aggregator: Aggregator) -> None:
        await aggregator.deliver(*await aggregator.put_in("a", ADA))

    assert await everywhere(scenario, prepare)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 4), epoch=st.sampled_from([None, 1]), twice=st.booleans())
async def test_a_cancel_may_come_at_any_time(place: int, epoch: int | None, twice: bool) -> None:
    """Before the video, in the middle, or after it was done: a task that it ends leaves nothing, another one stays."""
    aggregator = Aggregator()
    events = await aggregator.put_in("a", ADA)
    cancel = CancelVideo(event_id="c", occurred_at=aggregator.servers.clock(), video_id="a", epoch=epoch)
    events[place:place] = [cancel] * (1 + twice)
    await aggregator.deliver(*events)
    left = await aggregator.left()
    if place < 2 + CHUNKS:
        assert await aggregator.statuses() == {"a": "cancelled"}
        assert nothing_left_of(left, "a")
    else:
        assert await aggregator.statuses() == {"a": "done"}
        assert await aggregator.clusters() == [["a:1:0"]]


@pytest.mark.parametrize("ended", ["cancelled", "failed"])
async def test_a_result_that_crosses_the_end_of_its_run_leaves_nothing(
    ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends, with all that was there of it, between the look whether it is wanted and the writing down."""
    aggregator = Aggregator()
    uploaded, planned, first, _ = await aggregator.put_in("a", ADA)
    about: dict[str, Any] = {"occurred_at": aggregator.servers.clock(), "video_id": "a", "epoch": 1}
    reason = {"code": "undecodable", "message": "No decoder."}
    end: Event = CancelVideo(event_id="c", **about)
    if ended == "failed":
        end = ChunkFailed(event_id="f", gallery="g", chunk=1, **about, **reason)
    await aggregator.deliver(uploaded, planned)
    documents, insert = aggregator.servers._documents, aggregator.servers._documents.insert

    async def crossed(collection: str, document: Document) -> None:
        if collection == "chunks":
            monkeypatch.setattr(documents, "insert", insert)
            await aggregator.servers.deliver(aggregator.start, end)
        await insert(collection, document)

    monkeypatch.setattr(documents, "insert", crossed)
    await aggregator.deliver(first)
    assert await aggregator.statuses() == {"a": ended}
    assert nothing_left_of(await aggregator.servers.left(), "a")


async def test_a_cancel_ends_the_same_whatever_fails() -> None:
    """The results that were there go, with their crops."""

    async def scenario(aggregator: Aggregator) -> None:
        *events, last = await aggregator.put_in("a", ADA)
        cancel = CancelVideo(event_id="c", occurred_at=aggregator.servers.clock(), video_id="a", epoch=1)
        await aggregator.deliver(*events, cancel, last)
        assert nothing_left_of(await aggregator.servers.left(), "a")

    assert await everywhere(scenario)


# --- what is kept -----------------------------------------------------------------------------------------------------


async def clear(aggregator: Aggregator) -> None:
    """Rounds of retention until nothing is due, long after everything has ended."""
    aggregator.servers.now += timedelta(hours=1)

    async def once() -> None:
        while await Retention(aggregator.servers.store, aggregator.servers.clock).round():
            pass

    await aggregator.servers.repeat(once)


@pytest.mark.slow
async def test_what_an_ended_run_was_worked_out_from_goes_whatever_fails() -> None:
    """Results, plan and attempts, of a task that is done and of one that was given up. Who is in a video stays; what is
    delivered again is passed over."""

    async def scenario(aggregator: Aggregator) -> None:
        stored = aggregator.servers.stored
        done, failed = [await aggregator.put_in(video, ADA) for video in ("a", "b")]
        about: dict[str, Any] = {"occurred_at": aggregator.servers.clock(), "epoch": 1, "gallery": "g"}
        failure = ChunkFailed(event_id="f", video_id="b", chunk=1, code="undecodable", message="No decoder.", **about)
        for key in ("a:1:plan", "b:1:1"):
            await stored.attempts.upsert(key, set_to(AttemptsRecord.owner, "worker"))
        await aggregator.deliver(*failed[:3], failure, *done)
        await clear(aggregator)
        await aggregator.deliver(*done, *failed)
        for table in (stored.chunks, stored.plans, stored.attempts):
            assert await table.count() == 0
        assert await aggregator.statuses() == {"a": "done", "b": "failed"}
        assert await aggregator.clusters() == [["a:1:0"]]

    assert await everywhere(scenario)


async def test_a_person_knows_its_tracks_when_the_results_are_gone() -> None:
    """Pairs of chunk and track: what tells its crops and its places apart from those of others."""
    aggregator = Aggregator()
    await aggregator.deliver(*await aggregator.put_in("a", ADA, BO))
    await clear(aggregator)
    persons = await aggregator.servers.stored.persons.find(sort=[ascending(PersonRecord.id)])
    tracks = [np.frombuffer(person.tracks, "<u4").reshape(-1, 2).tolist() for person in persons]
    assert tracks == [[[0, 0], [1, 0]], [[0, 1], [1, 1]]]


async def test_an_open_run_keeps_what_it_is_worked_out_from() -> None:
    """However long it takes."""
    aggregator = Aggregator()
    *before, last = await aggregator.put_in("a", ADA)
    await aggregator.deliver(*before)
    await aggregator.servers.stored.attempts.upsert("a:1:1", set_to(AttemptsRecord.owner, "worker"))
    await clear(aggregator)
    assert await aggregator.servers.stored.attempts.count() == 1
    await aggregator.deliver(last)
    assert await aggregator.clusters() == [["a:1:0"]]


# --- commands ---------------------------------------------------------------------------------------------------------


async def _named(aggregator: Aggregator, name: str, id: str) -> RenameProfile:
    """The order to name Ada's profile."""
    (ada,) = {person.profile_id for person in await aggregator.servers.stored.persons.find() if person.n == 0}
    return RenameProfile(
        event_id=id, occurred_at=aggregator.servers.clock(), gallery="g", profile_id=str(ada), name=name
    )


@pytest.mark.slow
async def test_a_name_is_given_once_whatever_fails() -> None:
    """Also where the command comes again after a later one."""

    async def scenario(aggregator: Aggregator) -> None:
        first, second = await _named(aggregator, "Ada", "1"), await _named(aggregator, "Ada Lovelace", "2")
        await aggregator.deliver(first, second, first)
        names = {profile.name for profile in await aggregator.servers.stored.profiles.find()}
        assert names == {"Ada Lovelace", None}

    assert await everywhere(scenario, prepare=two_videos)


@pytest.mark.slow
async def test_a_command_that_cannot_be_carried_out_fails_whatever_fails() -> None:
    """A profile or a video that is not there, another system's nonsense: told once, and the next one is carried out."""

    async def scenario(aggregator: Aggregator) -> None:
        known, stored = await _named(aggregator, "Ada", "4"), aggregator.servers.stored
        about: dict[str, Any] = {"occurred_at": aggregator.servers.clock(), "gallery": "g"}
        nobody = RenameProfile(event_id="1", profile_id="nobody", name="Bo", **about)
        nothing = DeleteVideo(event_id="2", video_id="nothing", **about)
        await commands.stage(stored, known.model_copy(update={"event_id": "3"}), aggregator.servers.clock())
        await stored.pending.update(with_id("command:3"), set_to(PendingCommand.command, {"name": "nonsense"}))
        await aggregator.deliver(nobody, nothing, known)
        outcomes = {one.id: (one.status, one.error and one.error.code) for one in await stored.changes.find()}
        assert outcomes == {
            "1": ("failed", "not_found"), "2": ("failed", "not_found"), "3": ("failed", "internal"),
            "4": ("applied", None),
        }  # fmt: skip
        assert await stored.pending.ids() == []
        await aggregator.servers.repeat(lambda: aggregator.servers.relay().sweep(timedelta(0)))
        told = [event for event in aggregator.servers.published("profile.events") if isinstance(event, CommandFailed)]
        assert sorted((event.command_id, event.code) for event in told) == [
            ("1", "not_found"), ("2", "not_found"), ("3", "internal")
        ]  # fmt: skip

    assert await everywhere(scenario, prepare=two_videos)


@pytest.mark.slow
async def test_a_deleted_video_is_gone_whatever_fails() -> None:
    """Its people, appearances, crops, results, plan and file; what it shared with others is theirs alone."""

    async def scenario(aggregator: Aggregator) -> None:
        delete = DeleteVideo(event_id="d", occurred_at=aggregator.servers.clock(), gallery="g", video_id="b")
        await aggregator.deliver(delete, delete)
        await aggregator.reconcile()
        left = await aggregator.servers.left()
        assert await aggregator.clusters() == [["a:1:0"]]
        assert nothing_left_of(left, "b")
        assert [key for key in left["objects"] if key.startswith("videos/")] == ["videos/a"]
        assert left["documents"]["videos"].keys() == {"a"}
        assert left["documents"]["deleted"].keys() == {"b"}
        assert left["documents"]["removals"] == {}
        assert left["documents"]["plans"].keys() == {"a:1"}
        assert {task["status"] for task in left["documents"]["tasks"].values()} == {"done"}

    assert await everywhere(scenario, prepare=two_videos)


@pytest.mark.parametrize("epoch", [1_760_000_000, 2**53 - 1])
async def test_a_video_whose_epoch_is_a_timestamp_is_deleted_like_any_other(epoch: int) -> None:
    """In as many calls as with epoch 1; a run of it that is still on its way is not wanted any more."""

    async def calls(epoch: int) -> int:
        faults = Faults()
        aggregator = Aggregator(faults)
        events = await aggregator.put_in("b", ADA, epoch=epoch)
        await aggregator.deliver(*events)
        delete = DeleteVideo(event_id="d", occurred_at=aggregator.servers.clock(), gallery="g", video_id="b")
        faults.begin()
        await aggregator.deliver(delete)
        await aggregator.reconcile()
        counted = len(faults.calls)
        await aggregator.deliver(*events[2:])
        left = await aggregator.left()
        assert nothing_left_of(left, "b")
        assert left["objects"] == []
        assert left["dead letters"] == []
        return counted

    assert await calls(epoch) == await calls(2)


@pytest.mark.parametrize("dies", [False, True])
async def test_a_video_that_comes_again_keeps_what_its_new_run_cuts_out(dies: bool) -> None:
    """Deleted, and uploaded again before what was left of it is removed."""
    aggregator = Aggregator()
    await aggregator.deliver(*await aggregator.put_in("b", ADA))
    delete = DeleteVideo(event_id="d", occurred_at=aggregator.servers.clock(), gallery="g", video_id="b")
    await aggregator.deliver(delete)
    again = await aggregator.put_in("b", ADA, epoch=2)
    await aggregator.deliver(*again[: 2 if dies else None])
    await aggregator.reconcile()
    await aggregator.deliver(*again)
    left = await aggregator.left()
    assert [key for key in left["objects"] if key.startswith("crops/")] == ["crops/b/2/0-0.jpg", "crops/b/2/1-0.jpg"]
    assert await aggregator.statuses() == {"b": "done"}
    assert await aggregator.clusters() == [["b:2:0"]]


@pytest.mark.slow
async def test_the_crops_of_all_runs_before_go() -> None:
    """However many runs lie between, and whatever fails; who is shown has the crops of the last one."""

    async def scenario(aggregator: Aggregator) -> None:
        await aggregator.deliver(*await aggregator.put_in("b", ADA, epoch=1_760_000_000))
        await aggregator.reconcile()
        left = await aggregator.left()
        assert {key.split("/")[2] for key in left["objects"] if key.startswith("crops/")} == {"1760000000"}
        assert left["documents"]["places"].keys() == left["documents"]["persons"].keys() == {"b:1760000000:0"}
        assert left["documents"]["left_out"].keys() == {"b:1760000000"}
        assert left["documents"]["tracks"].keys() == {"b:1760000000:00000"}

    async def first(aggregator: Aggregator) -> None:
        for epoch in (1, 9):
            aggregator.servers.bucket.store(f"crops/b/{epoch + 1}/of-a-run-that-died.jpg", b"jpeg", "image/jpeg")
            await aggregator.deliver(*await aggregator.put_in("b", ADA, epoch=epoch))

    assert await everywhere(scenario, prepare=first)


async def test_another_distance_is_set_once_whatever_fails() -> None:
    """The settings are the gallery's, and a re-clustering is pending."""

    async def scenario(aggregator: Aggregator) -> None:
        change = ChangeSettings(
            event_id="s", occurred_at=aggregator.servers.clock(), gallery="g",
            settings=values.AnalysisSettings(smallest_face=40), across_video_distance=0.3,
        )  # fmt: skip
        await aggregator.deliver(change, change)
        gallery = await aggregator.servers.stored.galleries.get("g")
        assert gallery is not None
        assert gallery.settings == values.GallerySettings(smallest_face=40, across_video_distance=0.3)
        assert await aggregator.servers.stored.pending.ids() == ["recluster::g"]

    assert await everywhere(scenario, prepare=two_videos)


# --- what was lost is announced again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("known", range(4), ids=["uploaded", "planned", "a chunk", "all chunks"])
async def test_what_kafka_lost_is_announced_again_whatever_fails(known: int) -> None:
    """However far the video was: what its task lacks is published again, and only that."""

    async def scenario(aggregator: Aggregator) -> None:
        servers = aggregator.servers
        events = await aggregator.put_in("a", ADA)
        _, planned, *results = events
        if known == 0:
            await servers.stored.plans.delete(with_id("a:1"))
        await servers.deliver(aggregator.start, *[planned, *results][: max(0, known)])
        await kafka_topics.note_created(servers.stored)
        await aggregator.reconcile()
        chunks = {event.model_dump()["chunk"] for event in servers.published("video.chunks")}
        uploads = [event for event in servers.published("video.uploaded") if isinstance(event, VideoUploaded)]
        assert len(uploads) == (known == 0)
        assert chunks == {0: set(), 1: {0, 1}, 2: {1}, 3: set()}[known]
        await aggregator.deliver(*(results if known else ()))
        assert await aggregator.clusters() == ([["a:1:0"]] if known else [])

    assert await everywhere(scenario)


async def test_a_command_with_the_id_of_another_one_is_a_dead_letter() -> None:
    """Of two systems that number theirs alike the second one hears of it; nothing is dropped in silence."""
    aggregator = Aggregator()
    await two_videos(aggregator)
    about: dict[str, Any] = {"event_id": "1", "occurred_at": aggregator.servers.clock()}
    delete = DeleteVideo(gallery="g", video_id="b", **about)
    elsewhere = DeleteVideo(gallery="h", video_id="x", **about)
    await aggregator.deliver(await _named(aggregator, "Ada", "1"), delete, elsewhere)
    assert len(aggregator.servers.messages("gallery.commits.dead")) == 2
    assert [one.kind for one in await aggregator.servers.stored.changes.find()] == ["rename"]


async def test_a_command_that_kafka_lost_is_carried_out() -> None:
    """Its doorbell was lost; it is pending from the moment it was accepted."""
    aggregator = Aggregator()
    await two_videos(aggregator)
    rename = await _named(aggregator, "Ada", "1")
    await commands.stage(aggregator.servers.stored, rename, aggregator.servers.clock(), announce=True)
    await aggregator.reconcile()
    assert {profile.name for profile in await aggregator.servers.stored.profiles.find()} == {"Ada", None}
    (command,) = await aggregator.servers.stored.changes.find()
    assert (command.id, command.status) == ("1", "applied")


async def test_a_stalled_task_is_announced_less_and_less_often() -> None:
    """It may merely wait behind others."""
    aggregator = Aggregator()
    uploaded, *_ = await aggregator.put_in("a", ADA)
    await aggregator.deliver(uploaded)
    start = aggregator.servers.clock()
    announced = []
    for seconds in itertools.count(step=3):
        if seconds > 200:
            break
        aggregator.servers.now = start + timedelta(seconds=seconds)
        count = len(aggregator.servers.messages("video.chunks"))
        await aggregator.reconcile()
        if len(aggregator.servers.messages("video.chunks")) > count:
            announced.append(seconds)
    pauses = [after - before for before, after in itertools.pairwise(announced)]
    assert len(pauses) > 2
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0]
