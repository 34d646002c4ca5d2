"""The handlers of frame-workers in memory: whatever fails, dies or comes twice, each ends the same."""

import asyncio
import base64
import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from castlist.adapters.memory.objects import MemoryObjects
from castlist.children.child import Bounds, ChildLostError, JobError
from castlist.children.messages import JobMessage, JobRejectedError
from castlist.contract import values
from castlist.contract.box import Box
from castlist.contract.commands import CancelVideo
from castlist.contract.events import (
    ChunkFailed,
    ChunkPlanned,
    Event,
    FacesEncoded,
    VideoPlanned,
    VideoRejected,
    VideoUploaded,
)
from castlist.contract.ids import chunk_key, run_key
from castlist.contract.video_warnings import as_warning, warning
from castlist.messaging.delivery import LeftToOthersError, PostponedError
from castlist.messaging.fair_queue import Turn
from castlist.store.query import set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.runs import AttemptsRecord, ChunkResultRecord
from castlist.store.store import Store
from castlist.tasks import cancels, lifecycle
from castlist.tasks.registration import register
from frame_workers.attempts import STRIKES, VANISHED, Attempts
from frame_workers.handlers.cancel_run import CancelRun
from frame_workers.handlers.plan_video import PlanVideo
from frame_workers.handlers.process_chunk import ProcessChunk
from frame_workers.settings import Settings
from frame_workers.slots.protocol import DETECTOR_UNAVAILABLE, ChunkResult, PlanResult, Span
from testkit.faults import Faults, at_every_moment
from testkit.in_memory import Handle, InlineSlots, InMemory, Job

CHUNKS = 3
WINDOW = 2
KEY = "uploads/cam.mp4"


def analyse(order: JobMessage) -> JobMessage:
    """What a child would answer: a video of three chunks, with one face in each."""
    if "chunk" not in order:
        edges = [None, 10.0, 20.0, None]
        spans = tuple(Span(start=start, end=end) for start, end in itertools.pairwise(edges))
        return PlanResult(
            chunks=spans, duration=30.0, width=640, height=480, frame_rate=25.0, warnings=(warning("truncated", 3.0),)
        ).message()
    box = Box(1, 2, 80, 80)
    track = values.Track(
        track=0,
        sightings=(values.Sighting(1.0, box, 1.0),),
        faces=(values.EncodedFace(1.0, box, 1.0, 0.9, base64.b64encode(bytes(512)).decode()),),
        crop=values.Crop("0", 1.0, box, values.FrameSize(640, 480), 0.9),
    )
    jpegs = {0: base64.b64encode(b"jpeg").decode()}
    return ChunkResult(tracks=(track,), jpegs=jpegs, frames=75, faces_skipped={}, warnings=()).message()


class Workers:
    """frame-workers on servers in memory, and one video that was announced."""

    def __init__(self, folder: Path, faults: Faults | None = None, job: Job = analyse) -> None:
        self.servers, self.slots, self._folder = InMemory(faults), InlineSlots(job), folder
        stored = self.servers.bucket.store(KEY, b"bytes of a video", "video/mp4")
        self.uploaded = VideoUploaded(
            event_id="e",
            occurred_at=self.servers.clock(),
            video_id="v",
            gallery="g",
            object=values.StoredObject(bucket="castlist", key=KEY, etag=stored.etag),
        )

    def start(self) -> Mapping[type[Event], Handle]:
        """A process; what the one before it remembered is gone.

        Whatever happened to that one, a face that was told of has its picture.
        """
        for event in self.servers.published("face.encodings"):
            if isinstance(event, FacesEncoded):
                assert {track.crop.key for track in event.tracks} <= self.servers.bucket.buckets["castlist"].keys()
        context = self.servers.worker(self._folder, allowed_objects="castlist,theirs")
        plan, chunk = PlanVideo(context, self.slots, WINDOW), ProcessChunk(context, self.slots)
        return {
            VideoUploaded: plan.handle,
            ChunkPlanned: chunk.handle,
            CancelVideo: CancelRun(context).handle,
        }

    async def deliver(self, *events: Event) -> None:
        await self.servers.deliver(self.start, *events)

    def chunks(self) -> list[Event]:
        """The chunks that were handed out, each once."""
        return sorted(self.servers.published("video.chunks"), key=lambda event: event.model_dump()["chunk"])

    async def work_off(self) -> None:
        """All chunks, with those that they hand out."""
        done: set[str] = set()
        while waiting := [event for event in self.chunks() if event.event_id not in done]:
            await self.deliver(*waiting)
            done |= {event.event_id for event in waiting}


async def test_what_was_done_is_counted_with_what_was_left_out(tmp_path: Path) -> None:
    """Sightings by why they were left out, and each stage as often as it was gone through."""

    def with_skipped(order: JobMessage) -> JobMessage:
        return {**analyse(order), **({"faces_skipped": {"too_small": 5}} if "chunk" in order else {})}

    def seen(stage: str) -> float:
        return REGISTRY.get_sample_value("castlist_stage_seconds_count", {"stage": stage}) or 0.0

    def skipped() -> float:
        return REGISTRY.get_sample_value("castlist_faces_skipped_total", {"reason": "too_small"}) or 0.0

    before, stages = skipped(), {stage: seen(stage) for stage in ("plan", "fetch", "wait", "report")}
    workers = Workers(tmp_path, job=with_skipped)
    await workers.deliver(workers.uploaded)
    await workers.work_off()
    assert skipped() - before == 5 * CHUNKS
    assert {stage: seen(stage) - former for stage, former in stages.items()} == {
        "plan": 1, "fetch": 1 + CHUNKS, "wait": CHUNKS, "report": CHUNKS
    }  # fmt: skip


async def test_a_video_is_planned_and_worked_through(tmp_path: Path) -> None:
    """The window's chunks are handed out with the plan, each finished one makes room for another; nothing is left of
    the attempts."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    assert len(workers.chunks()) == WINDOW
    await workers.work_off()
    left = await workers.servers.left()
    assert len(workers.chunks()) == CHUNKS
    assert [event["event"] for event in left["events"]["face.encodings"].values()] == [
        "VideoPlanned", *["FacesEncoded"] * CHUNKS
    ]  # fmt: skip
    assert left["objects"] == [f"crops/v/1/{chunk}-…-0.jpg" for chunk in range(CHUNKS)] + [KEY]
    assert left["documents"]["attempts"] == {}
    assert left["dead letters"] == []


async def test_planning_ends_the_same_whatever_fails(tmp_path: Path) -> None:
    """An outage or a death at every call: one plan, one announcement of it, and the same first chunks."""

    async def scenario(faults: Faults) -> Any:
        workers = Workers(tmp_path, faults)
        faults.begin()
        await workers.deliver(workers.uploaded)
        return await workers.servers.left()

    assert await at_every_moment(scenario)


async def test_a_chunk_ends_the_same_whatever_fails(tmp_path: Path) -> None:
    """Its crops, its result and its successor are there, once, and nothing else."""

    async def scenario(faults: Faults) -> Any:
        workers = Workers(tmp_path, faults)
        await workers.deliver(workers.uploaded)
        faults.begin()
        await workers.deliver(workers.chunks()[0])
        return await workers.servers.left()

    assert await at_every_moment(scenario)


async def test_what_comes_twice_or_in_another_order_changes_nothing(tmp_path: Path) -> None:
    """The announcement again after its chunks, chunks backwards and twice: the same events and the same crops."""
    workers, others = Workers(tmp_path), Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    await workers.work_off()
    await others.deliver(others.uploaded)
    await others.deliver(*reversed(others.chunks()))
    await others.deliver(others.uploaded, *others.chunks(), *others.chunks())
    assert await others.servers.left() == await workers.servers.left()


async def test_two_processes_that_plan_a_video_at_once_make_one_plan(tmp_path: Path) -> None:
    """After a rebalance both may have the message: the plan that was stored first stands for both."""
    workers, others = Workers(tmp_path / "one"), Workers(tmp_path / "other", job=halves)
    others.servers = workers.servers
    await asyncio.gather(workers.deliver(workers.uploaded), others.deliver(workers.uploaded))
    (plan,) = await workers.servers.stored.plans.find()
    planned = [event.model_dump()["chunks"] for event in workers.servers.published("video.chunks")]
    assert set(planned) == {len(plan.chunks)}
    messages = [message.value for message in workers.servers.messages("video.chunks")]
    assert len({(value or b"").split(b'"chunks":')[1] for value in messages}) == len(planned) == WINDOW


def halves(order: JobMessage) -> JobMessage:
    """A child that cuts the video in two, as another version might."""
    answer = analyse(order)
    return {**answer, "chunks": [{"start": None, "end": 15.0}, {"start": 15.0, "end": None}]}


async def test_a_chunk_whose_result_is_stored_is_not_worked_through_again(tmp_path: Path) -> None:
    """Only its successor may be missing."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    store, now = workers.servers.stored, workers.servers.clock()
    for part in range(2):
        stored = ChunkResultRecord(id=f"v:1:0:{part}", run="v:1", chunk=0, part=part, parts=2, event="{}", at=now)
        await store.chunks.insert(stored)
    workers.slots = InlineSlots(failing(AssertionError("it is known")))
    await workers.deliver(workers.chunks()[0])
    assert len(workers.chunks()) == CHUNKS


# --- jobs that fail ---------------------------------------------------------------------------------------------------


def failing(error: Exception, *, times: int = 1_000, planning: bool = False) -> Job:
    """A child that fails at chunks (or plans) that often, and does it then."""
    left = [times]

    def job(order: JobMessage) -> JobMessage:
        if planning == ("chunk" not in order) and left[0] > 0:
            left[0] -= 1
            raise error
        return analyse(order)

    return job


FAILURES: dict[str, tuple[Exception, str, str | None]] = {
    "rejected": (JobRejectedError("undecodable", "No decoder."), "undecodable", None),
    "crashed": (ChildLostError("crashed", "exit status -11"), "decoder_crashed", "crashed: exit status -11"),
    "a mistake of ours": (JobError("KeyError in jobs.py"), "internal", "KeyError in jobs.py"),
}
of_each_failure = pytest.mark.parametrize(("error", "code", "letter"), FAILURES.values(), ids=FAILURES.keys())


@of_each_failure
async def test_a_video_whose_plan_always_fails_is_rejected_with_the_reason(
    tmp_path: Path, error: Exception, code: str, letter: str | None
) -> None:
    """No chunk of it is handed out; what an operator should see lies among the dead letters."""
    workers = Workers(tmp_path, job=failing(error, planning=True))
    await workers.deliver(workers.uploaded, workers.uploaded)
    (rejected,) = workers.servers.published("face.encodings")
    assert isinstance(rejected, VideoRejected)
    assert rejected.code == code
    assert workers.chunks() == []
    assert_lettered(workers, "video.uploaded", letter)


@of_each_failure
async def test_a_chunk_that_always_fails_costs_no_other(
    tmp_path: Path, error: Exception, code: str, letter: str | None
) -> None:
    """The event says why; the others go on."""
    workers = Workers(tmp_path, job=failing(error, times=1 if letter is None else STRIKES))
    await workers.deliver(workers.uploaded)
    await workers.deliver(*workers.chunks())
    told = workers.servers.published("face.encodings")
    (failed,) = [event for event in told if isinstance(event, ChunkFailed)]
    assert (failed.chunk, failed.code) == (0, code)
    assert [event.chunk for event in told if isinstance(event, FacesEncoded)] == [1]
    assert_lettered(workers, "video.chunks", letter)


def assert_lettered(workers: Workers, topic: str, reason: str | None) -> None:
    """The one dead letter there is says this, or there is none."""
    letters = workers.servers.dead_letters()
    assert [letter.split(":")[0] for letter in letters] == ([] if reason is None else [topic])
    assert reason is None or reason in letters[0]


async def test_a_job_that_fails_twice_is_done_the_third_time(tmp_path: Path) -> None:
    """Two strikes are forgotten with the result."""
    workers = Workers(tmp_path, job=failing(ChildLostError("crashed", "exit status -11"), times=STRIKES - 1))
    await workers.deliver(workers.uploaded)
    await workers.deliver(workers.chunks()[0])
    assert len(workers.servers.published("face.encodings")) == 2
    assert await workers.servers.stored.attempts.find() == []


async def test_a_job_that_failed_gives_its_slot_back_and_is_known_as_a_retry(tmp_path: Path) -> None:
    """Each attempt asks for a slot anew, behind those that were not tried, also in another process."""
    workers = Workers(tmp_path, job=failing(ChildLostError("crashed", "exit status -11"), times=STRIKES - 1))
    await workers.deliver(workers.uploaded)
    handlers = workers.start()
    with pytest.raises(PostponedError):
        await handlers[ChunkPlanned](workers.chunks()[0])
    await workers.deliver(workers.chunks()[0])
    turns = [turn for turn, _ in workers.slots.given]
    assert turns == [Turn("g", "v"), *(Turn("g", "v", tries) for tries in range(STRIKES))]


async def test_what_a_job_may_take_does_not_follow_what_the_file_says(tmp_path: Path) -> None:
    """A plan and chunks that are said to last for a second and for a day are bounded alike; only what the gallery asks
    for counts."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    chunk = workers.chunks()[0]
    assert isinstance(chunk, ChunkPlanned)
    asked = [chunk.model_copy(update={"end": end, "chunk": n}) for n, end in enumerate((1.0, 15.0, 80_000.0, None))]
    await workers.deliver(*asked, workers.uploaded.model_copy(update={"bytes": 10**15, "video_id": "w"}))
    settings = Settings()
    expected = Bounds(settings.job_cpu_seconds, settings.job_seconds, settings.child_memory_bytes)
    assert {bounds for _, bounds in workers.slots.given} == {expected}
    assert len(workers.slots.given) == 6
    workers.slots.given.clear()
    await workers.deliver(chunk.model_copy(update={"chunk": 9, "settings": values.AnalysisSettings(detector="cnn")}))
    ((_, slower),) = workers.slots.given
    assert slower.cpu_seconds > settings.job_cpu_seconds


async def test_a_job_over_which_process_after_process_vanishes_is_given_up(tmp_path: Path) -> None:
    """Each of them recorded that it began, and could say no more; the next one does not try for ever."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    chunk = workers.chunks()[0]

    class Gone(BaseException):
        pass

    def vanishing(order: JobMessage) -> JobMessage:
        raise Gone

    workers.slots = InlineSlots(vanishing)
    store, key = workers.servers.stored, chunk_key("v", 1, 0)
    for _ in range(VANISHED):
        with pytest.raises(Gone):
            await workers.deliver(chunk)
        await store.attempts.update(with_id(key), set_to(AttemptsRecord.running, True))  # it had no time to say so
    workers.slots = InlineSlots(analyse)
    await workers.deliver(chunk)
    (failed,) = [event for event in workers.servers.published("face.encodings") if isinstance(event, ChunkFailed)]
    assert failed.code == "worker_vanished"


async def test_servers_that_are_away_are_no_attempt(tmp_path: Path) -> None:
    """However often: only children and processes count."""

    async def scenario(faults: Faults) -> Any:
        workers = Workers(tmp_path, faults, failing(ChildLostError("crashed", "exit status -11"), times=2))
        await workers.deliver(workers.uploaded)
        faults.begin()
        await workers.deliver(workers.chunks()[0])
        return await workers.servers.left()

    assert await at_every_moment(scenario)


# --- objects that are not what was announced --------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True], ids=["before the plan", "after the plan"])
@pytest.mark.parametrize(
    ("change", "code"),
    [("gone", "object_missing"), ("another", "object_changed"), ("forbidden", "object_forbidden")],
)
async def test_an_object_that_is_not_the_one_announced_is_an_error(
    tmp_path: Path, change: str, code: str, late: bool
) -> None:
    """It is said of the video, or of the chunk, whichever finds it first."""
    workers, bucket = Workers(tmp_path), "theirs"
    workers.servers.bucket.store(KEY, b"bytes of a video", "video/mp4", bucket=bucket)
    theirs = values.StoredObject(bucket=bucket, key=KEY, etag=workers.uploaded.object.etag)
    workers.uploaded = workers.uploaded.model_copy(update={"object": theirs})
    if late:
        await workers.deliver(workers.uploaded)
    if change == "forbidden":
        workers.servers.bucket.forbidden.add(bucket)
    del workers.servers.bucket.buckets[bucket][KEY]
    if change == "another":
        workers.servers.bucket.store(KEY, b"other bytes", "video/mp4", bucket=bucket)
    await workers.deliver(workers.chunks()[0] if late else workers.uploaded)
    told = workers.servers.published("face.encodings")[-1]
    assert isinstance(told, ChunkFailed if late else VideoRejected)
    assert told.code == code
    assert workers.servers.dead_letters() == []


# --- cancels ----------------------------------------------------------------------------------------------------------


def cancel(workers: Workers) -> CancelVideo:
    """The order to stop the run."""
    return CancelVideo(event_id="c", occurred_at=workers.servers.clock(), video_id="v", epoch=1)


async def test_nothing_stays_of_a_chunk_that_is_not_wanted(tmp_path: Path) -> None:
    """Cancelled before it began: no result, no crop, no successor, whatever fails meanwhile."""

    async def scenario(faults: Faults) -> Any:
        workers = Workers(tmp_path, faults)
        await workers.deliver(workers.uploaded)
        await cancels.cancel(workers.servers.stored, "v", 1, workers.servers.clock())
        faults.begin()
        await workers.deliver(cancel(workers), *workers.chunks())
        assert len(workers.servers.published("face.encodings")) == 1
        return await workers.servers.left()

    assert await at_every_moment(scenario)


async def test_a_chunk_that_is_cancelled_while_it_runs_stops(tmp_path: Path) -> None:
    """Nothing of it is published, and no crop is left."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    workers.slots = EndlessSlots()
    handlers = workers.start()
    working = asyncio.ensure_future(handlers[ChunkPlanned](workers.chunks()[0]))
    await workers.slots.begun.wait()
    await cancels.cancel(workers.servers.stored, "v", 1, workers.servers.clock())
    await handlers[CancelVideo](cancel(workers))
    async with asyncio.timeout(30):
        await working
    assert len(workers.servers.published("face.encodings")) == 1
    assert [info.key for info in await workers.servers.bucket.list("")] == [KEY]
    assert await workers.servers.stored.attempts.find() == []


async def test_a_chunk_that_is_cancelled_while_its_crops_are_stored_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took the crops of that run away, as an erasure does, does not come again."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    put = MemoryObjects.put

    async def cancelled_meanwhile(objects: MemoryObjects, *crop: Any) -> None:
        await asyncio.sleep(0.05)  # what was asked beside this has its answer by now
        await cancels.cancel(workers.servers.stored, "v", 1, workers.servers.clock())
        await put(objects, *crop)

    monkeypatch.setattr(MemoryObjects, "put", cancelled_meanwhile)
    await workers.deliver(workers.chunks()[0])
    assert len(workers.servers.published("face.encodings")) == 1
    assert [info.key for info in await workers.servers.bucket.list("")] == [KEY]


class EndlessSlots(InlineSlots):
    """A child that never answers."""

    def __init__(self) -> None:
        super().__init__(analyse)
        self.begun = asyncio.Event()

    async def run(self, order: JobMessage) -> JobMessage:
        self.begun.set()
        return await asyncio.Future()


async def test_a_video_cancelled_before_it_was_planned_gets_no_plan(tmp_path: Path) -> None:
    """The cancel may come first."""
    workers = Workers(tmp_path)
    await cancels.cancel(workers.servers.stored, "v", 1, workers.servers.clock())
    await workers.deliver(cancel(workers), workers.uploaded)
    assert workers.chunks() == []
    assert await workers.servers.stored.plans.find() == []


async def test_a_late_duplicate_leaves_alone_what_a_finished_task_shows(tmp_path: Path) -> None:
    """Its crops are those of the profiles."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    await workers.work_off()
    await lifecycle.finish(workers.servers.stored, "v", 1, lifecycle.DONE, workers.servers.clock())
    before = await workers.servers.left()
    await workers.deliver(*workers.chunks(), workers.uploaded)
    assert await workers.servers.left() == before


# --- settings ---------------------------------------------------------------------------------------------------------


async def test_a_plan_keeps_the_settings_of_its_gallery(tmp_path: Path) -> None:
    """A redo is the same, whatever the gallery's settings are by then."""
    workers = Workers(tmp_path)
    store = workers.servers.stored
    settings = values.GallerySettings(smallest_face=40)
    gallery = GalleryRecord(id="g", version=0, created_at=workers.servers.clock(), settings=settings)
    await store.galleries.insert(gallery)
    await workers.deliver(workers.uploaded)
    await store.galleries.update(with_id("g"), set_to(GalleryRecord.settings, values.GallerySettings()))
    await workers.deliver(workers.uploaded)
    plan = await store.plans.get(run_key("v", 1))
    assert plan is not None
    assert plan.settings == settings.analysis
    assert {event.settings for event in workers.chunks() if isinstance(event, ChunkPlanned)} == {settings.analysis}


async def test_people_are_identified_where_neither_the_gallery_nor_the_upload_says_no(tmp_path: Path) -> None:
    """Either is enough; every chunk is told."""
    workers = Workers(tmp_path)
    store = workers.servers.stored
    for gallery in ("yes", "no"):
        settings = values.GallerySettings(identify=gallery == "yes")
        await store.galleries.insert(
            GalleryRecord(id=gallery, version=0, created_at=workers.servers.clock(), settings=settings)
        )
        for upload in (True, False):
            asked = {"video_id": f"{gallery}-{upload}", "gallery": gallery, "identify": upload}
            await workers.deliver(workers.uploaded.model_copy(update=asked))
    plans = {plan.id: plan.settings.identify for plan in await store.plans.find()}
    assert plans == {"yes-True:1": True, "yes-False:1": False, "no-True:1": False, "no-False:1": False}


async def test_a_gallery_begins_with_what_finds_most_and_those_of_before_keep_theirs(tmp_path: Path) -> None:
    """One that was made before there was `auto`, and never got settings, has none stored."""
    workers = Workers(tmp_path)
    store = workers.servers.stored
    await store.galleries.insert(GalleryRecord(id="before", version=0, created_at=workers.servers.clock()))
    for gallery in ("before", "new"):
        await workers.deliver(workers.uploaded.model_copy(update={"video_id": gallery[0], "gallery": gallery}))
    plans = {plan.gallery: plan.settings for plan in await store.plans.find()}
    assert {gallery: (of.detector, of.smallest_face) for gallery, of in plans.items()} == {
        "before": ("hog", 57), "new": ("auto", 40),
    }  # fmt: skip


def without_auto(order: JobMessage) -> JobMessage:
    """A child that has no CenterFace."""
    if "chunk" in order and order["settings"]["detector"] == "auto":
        raise JobRejectedError(DETECTOR_UNAVAILABLE, "no such package")
    return {**analyse(order), **({} if "chunk" in order else {"without_auto": "no such package"})}


async def test_what_the_planner_cannot_have_is_replaced_once_for_the_whole_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The task says so, the metrics count it, and the log says it once however many videos there are."""
    workers = Workers(tmp_path, job=without_auto)
    before = REGISTRY.get_sample_value("castlist_detector_replaced_total") or 0.0
    handlers = workers.start()
    for name in ("v", "w"):
        await handlers[VideoUploaded](workers.uploaded.model_copy(update={"video_id": name}))
    await workers.work_off()
    for plan in await workers.servers.stored.plans.find():
        assert (plan.settings.detector, plan.settings.smallest_face) == ("hog", 40)
        assert [as_warning(one).code for one in plan.warnings] == ["truncated", "detector_replaced"]
    told = workers.servers.published("face.encodings")
    planned = [event for event in told if isinstance(event, VideoPlanned)]
    assert [event.warnings[1] for event in planned] == [warning("detector_replaced")] * 2
    assert len([event for event in told if isinstance(event, FacesEncoded)]) == 2 * CHUNKS
    assert REGISTRY.get_sample_value("castlist_detector_replaced_total") == before + 2
    assert [record.message for record in caplog.records].count("detector_unavailable") == 1


async def test_a_chunk_that_needs_what_a_worker_lacks_is_left_to_another(tmp_path: Path) -> None:
    """Nothing is said of it, nothing counts against it, and the next one does it."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    (chunk, *_) = workers.chunks()
    able, workers.slots = workers.slots, InlineSlots(without_auto)
    with pytest.raises(LeftToOthersError):
        await workers.start()[ChunkPlanned](chunk)
    assert await Attempts(workers.servers.stored, "another", workers.servers.clock).failed(chunk_key("v", 1, 0)) == 0
    assert [event.event for event in workers.servers.published("face.encodings")] == ["VideoPlanned"]
    workers.slots = able
    await workers.deliver(chunk)
    assert [event.event for event in workers.servers.published("face.encodings")] == ["VideoPlanned", "FacesEncoded"]


# --- what may be announced --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", [("castlist", "videos/theirs"), ("castlist", "crops/v/1/0-0.jpg"), ("elsewhere", KEY), ("..a", KEY)]
)
async def test_what_is_anothers_is_rejected_and_not_looked_at(tmp_path: Path, place: tuple[str, str]) -> None:
    """Its owner is told, with a code; the next one is planned."""
    workers = Workers(tmp_path)
    bucket, key = place
    workers.servers.bucket.store(key, b"bytes of another's", "video/mp4", bucket=bucket)
    forged = workers.uploaded.model_copy(
        update={"video_id": "forged", "event_id": "f", "object": values.StoredObject(bucket, key)}
    )
    await workers.deliver(forged, workers.uploaded)
    planned, rejected = sorted(workers.servers.published("face.encodings"), key=lambda event: event.event)
    assert isinstance(planned, VideoPlanned)
    assert isinstance(rejected, VideoRejected)
    assert (rejected.video_id, rejected.code) == ("forged", "object_not_allowed")
    assert "ALLOWED_OBJECTS" in rejected.message
    assert workers.servers.dead_letters() == []


async def test_what_ingest_wrote_is_planned_for_its_own_video_alone(tmp_path: Path) -> None:
    """Who announces its object under another id gets nothing, before it and after it."""
    workers = Workers(tmp_path)
    key = "videos/mine"
    stored = workers.servers.bucket.store(key, b"bytes", "video/mp4")
    mine = workers.uploaded.model_copy(
        update={"video_id": "mine", "object": values.StoredObject("castlist", key, stored.etag)}
    )

    async def came_by_ingest(_: Store) -> None:
        return None

    await register(workers.servers.stored, mine, workers.servers.clock(), announce=True, keep=came_by_ingest)
    await workers.deliver(*(mine.model_copy(update={"video_id": id, "event_id": id}) for id in ("a", "mine", "b")))
    told = {(one.event, getattr(one, "video_id", "")) for one in workers.servers.published("face.encodings")}
    assert told == {("VideoRejected", "a"), ("VideoPlanned", "mine"), ("VideoRejected", "b")}


async def test_a_chunk_of_another_object_than_the_videos_is_not_worked_through(tmp_path: Path) -> None:
    """Whoever may write to the topic cannot have any file read in the name of a planned video."""
    workers = Workers(tmp_path)
    await workers.deliver(workers.uploaded)
    chunk = workers.chunks()[0]
    assert isinstance(chunk, ChunkPlanned)
    forged = chunk.model_copy(update={"object": replace(chunk.object, key="others/secret.mp4")})
    await workers.deliver(forged)
    left = await workers.servers.left()
    assert "FacesEncoded" not in {event["event"] for event in left["events"]["face.encodings"].values()}
    assert len(left["dead letters"]) == 1
