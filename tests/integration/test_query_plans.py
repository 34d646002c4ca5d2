"""Every query that the services make of MongoDB is answered from an index."""

import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast, get_args

import httpx2
import pytest

from castlist.adapters import mongo
from castlist.adapters.memory.messages import MemoryLog, MemoryPublisher
from castlist.adapters.mongo import MongoDocuments
from castlist.children.child import Bounds, JobRunner
from castlist.children.messages import JobMessage, JobRejectedError
from castlist.contract.box import Box
from castlist.contract.commands import CancelVideo
from castlist.contract.events import ChunkFailed, ChunkPlanned, ChunkProgressed, Event, VideoUploaded
from castlist.contract.ids import task_id
from castlist.contract.values import EncodedFace, FrameSize
from castlist.contract.vectors import encode_vector
from castlist.ports.documents import Documents
from castlist.ports.errors import UnavailableError
from castlist.service.openapi import openapi
from castlist.service.operations import application
from castlist.store import collections, kafka_topics, migrations
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.galleries import SuggestionRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.records.pending import PendingCommand, PendingVideo
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.runs import ChunkResultRecord, ReceivedPart
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import UploadRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from castlist.tasks.registration import register
from frame_workers.handlers.cancel_run import CancelRun
from frame_workers.handlers.plan_video import PlanVideo
from frame_workers.handlers.process_chunk import ProcessChunk
from frame_workers.slots.protocol import ChunkResult, PlanResult, Span
from ingest import app as ingest_app
from ingest.acceptance import Acceptance
from ingest.endpoints.tasks import Tasks
from ingest.endpoints.videos import Videos
from ingest.settings import Settings
from ingest.upload_stream import Uploads
from ingest.upload_sweeper import sweep_uploads
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.maintenance import GalleryMaintenance
from profile_aggregator.commits.previews import Previews
from profile_aggregator.deletion.erasures import Erasures
from profile_aggregator.deletion.listeners import forget_gallery
from profile_aggregator.deletion.removals import Removals
from profile_aggregator.dispatch import Dispatch
from profile_aggregator.gallery_retention import GalleryRetention
from profile_aggregator.imports.imports import Imports
from profile_aggregator.reconciler import Reconciler
from profile_aggregator.retention import Retention
from profile_aggregator.turns import Turns
from profile_aggregator.videos.handlers import VideoHandlers
from query_api import app as query_app
from query_api import companions, profile_list
from query_api.alerts.lease import Lease
from query_api.command_outbox import CommandOutbox
from query_api.http.parameters import ProfileOrder
from query_api.read_model import ReadModel
from query_api.record_changes import RecordChanges
from query_api.search.face_search import FaceSearch
from query_api.search.gallery_indexes import GalleryIndexes
from query_api.search.picture_children import PictureChildren
from query_api.search.protocol import PictureResult, SeenFace
from testkit.alerted import Alerted
from testkit.in_memory import InlineSlots, InMemory
from testkit.recorded_queries import Query, RecordedQueries, call_sites, reads_all, shortened, stages
from testkit.source import SERVICES
from testkit.stored import START, Stored
from testkit.synthetic import SyntheticVideo, face_of

pytestmark = pytest.mark.stack

TINY = {
    "uploads": "as many as uploads run at once",
    "migrations": "as many as there are steps",
    "leases": "one record",
    "instances": "as many as there are aggregators",
    "topics": "one record",
    "installation": "one record",
    "removals": "as many as videos are being removed",
}
"""Collections that may be read through, and why."""
ONCE = "migrations.py"
"""What brings an older database up to date reads it through, once."""
ORDERS: list[dict[str, Any]] = [{"sort": sort} for sort in get_args(ProfileOrder)]
TEXT = b"text"
MOMENT, LATER = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
MP4 = b"\0\0\0\x18ftypisom" + bytes(5000)


@pytest.fixture
async def recorded() -> AsyncIterator[tuple[RecordedQueries, MongoDocuments]]:
    """A database of the test's own with all its indexes, and the same with its queries noted."""
    documents = mongo.connect(os.environ["MONGO_URL"], f"queries-{uuid.uuid4().hex[:12]}")
    await collections.create(documents)
    depth = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(3)
    yield RecordedQueries(documents), documents
    sys.set_coroutine_origin_tracking_depth(depth)
    await documents.database.client.drop_database(documents.database.name)
    documents.close()


def job(order: JobMessage) -> JobMessage:
    """What a child would answer: two chunks without a face; text is no video."""
    if Path(order["path"]).read_bytes() == TEXT:
        raise JobRejectedError("not_a_video", "This is text.")
    if "chunk" in order:
        return ChunkResult(tracks=(), jpegs={}, frames=75, faces_skipped={}, warnings=()).message()
    spans = (Span(start=None, end=10.0), Span(start=10.0, end=None))
    return PlanResult(chunks=spans, duration=20.0, width=640, height=480, frame_rate=25.0, warnings=()).message()


class OneFace(JobRunner):
    """A child in whose pictures everybody is who was first."""

    cpu_seconds = 0.0

    async def run(self, order: JobMessage, bounds: Bounds, progress: Callable[[float], None]) -> JobMessage:
        face = EncodedFace(0.0, Box(0, 0, 80, 80), 1.0, 0.9, encode_vector(face_of(1, 0)))
        return PictureResult(faces=(SeenFace(face=face, jpeg=""),), frame=FrameSize(640, 480)).message()

    async def kill(self) -> None:
        return None


class NoKafka(MemoryPublisher):
    """The log is away."""

    def __init__(self) -> None:
        super().__init__(MemoryLog())

    async def publish(self, *events: Event) -> None:
        raise UnavailableError("Kafka is away")


class Services:
    """All four, in this process, on one database."""

    def __init__(self, documents: RecordedQueries, folder: Path) -> None:
        self.servers = InMemory(documents=cast("Documents", documents))
        self._done: set[str] = set()
        servers = self.servers
        store, objects, publisher, clock = servers.store, servers.objects, servers.publisher, servers.clock
        self.store, self.relay = store, servers.relay()
        galleries = GalleryCache(store)
        self.said, self.removals = GalleryLog(store, publisher, clock), Removals(store, objects)
        committer = Committer(store, self.said, galleries, clock, 10, lambda gallery: self.importing.ring(gallery))
        self.imports = Imports(store, objects, galleries, committer, clock)
        self.importing = Turns(self.imports.take)
        videos = VideoHandlers(store, objects, publisher, clock)
        self.turns = Turns(committer.commit)
        self.retention, self.keeping = Retention(store, clock), GalleryRetention(store, self.turns.ring, clock)
        self.maintenance = GalleryMaintenance(store, galleries, committer, clock)
        self.erasures = Erasures(store, objects, servers.eraser, clock)
        self.reconciler, self.cut_off = (
            Reconciler(store, log, self.relay, videos, self.turns.ring, clock, after=5.0)
            for log in (publisher, NoKafka())
        )
        self.previews = Previews(store, galleries, clock)
        self.aggregator = Dispatch(videos, committer, self.turns, self.previews.turns).table
        worker, slots = servers.worker(folder), InlineSlots(job)
        self.worker = {
            VideoUploaded: PlanVideo(worker, slots, 4).handle,
            ChunkPlanned: ProcessChunk(worker, slots).handle,
            CancelVideo: CancelRun(worker).handle,
        }
        settings = Settings(public_query_url="http://query.example")
        acceptance = Acceptance(store, clock)
        uploads = Uploads(store, objects, clock, settings.max_upload_bytes)
        ingest = [
            Videos(settings, objects, uploads, acceptance, self.relay),
            Tasks(store, acceptance, self.relay, settings.public_query_url),
        ]
        changes, tasks = RecordChanges(store.changes), RecordChanges(store.tasks)
        commands = CommandOutbox(store, self.relay, changes, patience=0.0)
        search = FaceSearch(ReadModel(store), PictureChildren([OneFace()]), GalleryIndexes(store, 2**30))
        query = query_app.endpoints(store, objects, settings.announceable, commands, tasks, search, 2**20)
        self.ingest = _client(application(openapi(ingest_app.API), ingest, {}, ["*"]))
        self.query = _client(application(openapi(query_app.API), query, {}, ["*"]))

    async def handle(self, *events: Event) -> None:
        """Each in every service that takes it."""
        for event in events:
            for table in (self.worker, self.aggregator):
                if type(event) in table:
                    await table[type(event)](event)

    async def work_off(self) -> None:
        """Everything that is in the topics or comes to be in them."""
        topics = ("video.uploaded", "video.chunks", "face.encodings", "gallery.commits", "video.control")
        while True:
            await self.relay.sweep(timedelta(0))
            await self.said.round()
            await self.removals.round()
            waiting = [one for name in topics for one in self.servers.published(name) if one.event_id not in self._done]
            if not waiting:
                return
            self._done |= {one.event_id for one in waiting}
            await self.handle(*waiting)
            await self.take_turns()

    async def is_through(self, erased: httpx2.Response) -> None:
        """Until an erasure has its receipt; nobody reads these topics in a group, so that it waits its minute."""
        for _ in range(3):
            self.servers.now += timedelta(minutes=1)
            await self.erasures.round()
            await self.work_off()
        assert (await self.query.get(erased.headers["location"])).json()["receipt"]

    async def reconcile(self) -> None:
        """A round of the reconciler, and what it finds."""
        self.servers.now += timedelta(seconds=10)
        await self.reconciler.run()
        await self.take_turns()

    async def take_turns(self) -> None:
        """Until nothing waits for a gallery."""
        rounds = (self.turns.round, self.previews.turns.round, self.importing.round)
        while any([await round() for round in rounds]):
            pass


def _client(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")


async def put_in(services: Services, video: SyntheticVideo) -> None:
    """A video with the results of its chunks."""
    await services.aggregator[VideoUploaded](video.uploaded())
    await video.store_plan(services.store)
    for event in (video.planned(), *video.encoded()):
        await services.aggregator[type(event)](event)


async def videos_come(services: Services) -> None:
    """Through ingest and from others; twice, stopped, again, given up, and late."""
    ingest, store = services.ingest, services.store

    async def post() -> httpx2.Response:
        form = {"gallery": "up", "external_id": "x"}
        return await ingest.post("/videos", data=form, files={"file": ("lobby.mp4", MP4)})

    accepted = (await post()).json()
    await post()
    assert (await ingest.post(f"/tasks/{accepted['task_id']}/cancel")).status_code == 202
    await ingest.post(f"/tasks/{accepted['task_id']}/retry")
    for key, content in (("shelf/a", b"bytes"), ("shelf/b", TEXT)):
        services.servers.bucket.store(key, content, "video/mp4")
        await ingest.post("/videos", json={"object": {"bucket": "castlist", "key": key}, "gallery": "up"})
    await services.work_off()
    lost = accepted["video_id"]
    await store.tasks.update(
        with_id(task_id(lost, 2)),
        set_to(TaskRecord.status, "failed") & set_to(TaskRecord.error, TaskError("object_missing", "Gone.")),
    )
    assert (await post()).status_code == 202
    now = services.servers.clock()
    await store.uploads.insert(UploadRecord(id="videos/stale", started_at=now, touched_at=now))
    await sweep_uploads(store, services.servers.objects, now + timedelta(days=1))
    await services.work_off()

    for video in ("failed", "cancelled", "open"):
        made = SyntheticVideo(video, "g", [[9], [9]])
        await services.aggregator[VideoUploaded](made.uploaded())
        await made.store_plan(store)
        await services.handle(made.planned(), made.encoded()[0])
    run: dict[str, Any] = {"occurred_at": now, "epoch": 1, "gallery": "g"}
    await services.handle(
        ChunkProgressed(event_id="p", video_id="open", chunk=1, fraction=0.5, **run),
        ChunkFailed(event_id="f", video_id="failed", chunk=1, code="undecodable", message="No decoder.", **run),
        CancelVideo(event_id="c", occurred_at=now, video_id="cancelled"),
        SyntheticVideo("failed", "g", [[9], [9]]).encoded()[0],
    )


async def people_come_and_go(services: Services) -> None:
    """Found, found again by a newer run, named, matched at another distance, looked through, and deleted."""
    store, query = services.store, services.query
    for video, chunks in (("a", [[1], [1]]), ("b", [[1, 2], [2]]), ("c", [[3], [3]])):
        await put_in(services, SyntheticVideo(video, "g", chunks))
        await services.work_off()
    await find_people(services)
    stopped = SyntheticVideo("stopped", "g", [[5], [5]])
    await put_in(services, stopped)
    await services.handle(CancelVideo(event_id="s", occurred_at=START, video_id="stopped"))
    await put_in(services, SyntheticVideo("a", "g", [[1], [1, 4]], epoch=2))
    await services.work_off()
    late = SyntheticVideo("a", "g", [[1], [1]], epoch=1)
    await store.pending.insert(PendingVideo(id="a:1", gallery="g", created_at=START, video_id="a", epoch=1, people=0))
    await store.ledger.delete(with_id(f"g:a:{late.epoch}"))
    await store.pending.insert(PendingVideo(id="b:1", gallery="g", created_at=START, video_id="b", epoch=1, people=0))
    broken = PendingCommand(id="command:x", gallery="g", created_at=START, name="EnrolPerson", command={})
    await store.pending.insert(broken)
    await services.reconcile()
    (profile, *_) = await store.profiles.find(eq(ProfileRecord.gallery, "g"))
    assert (await query.patch(f"/profiles/{profile.id}", json={"name": "Ada"})).status_code == 202
    tried = await query.patch("/galleries/g/settings", params={"dry_run": True}, json={"across_video_distance": 0.8})
    await services.work_off()
    assert (await query.get(tried.headers["location"])).json()["status"] == "applied"
    await services.previews.round()
    assert (await query.post("/galleries", json={"id": "g"})).status_code == 409
    await query.patch("/galleries/g/settings", json={"across_video_distance": 0.9})
    await query.patch("/galleries/g/settings", json={"smallest_face": 40})
    await services.work_off()
    await lifecycle.finish(store, "open", 1, "failed", services.servers.clock())
    await store.suggestions.insert(SuggestionRecord(id="old", gallery="g", profiles=("p", "q"), distance=0.5))
    while await services.maintenance.round():
        pass
    assert (await query.delete("/videos/c")).status_code == 202
    await services.work_off()
    await services.reconcile()


async def people_are_put_right(services: Services) -> None:
    """Corrections of every kind, taken back, and taken back again."""
    store, query = services.store, services.query
    for n, person in enumerate([21, 21, 22, 22]):
        await put_in(services, SyntheticVideo(f"right{n}", "g", [[person], [person]]))
        await services.work_off()
    found = [await query.get(f"/videos/right{n}/profiles") for n in (0, 2)]
    one, other = [(await store.profiles.find(with_id(page.json()["items"][0]["id"])))[0] for page in found]

    async def post(path: str, **body: Any) -> str:
        answer = await query.post(path, json=body, headers={"If-Match": "*"})
        assert answer.status_code == 202, answer.text
        await services.work_off()
        change = (await query.get(answer.headers["location"])).json()
        assert change["status"] == "applied", change
        return str(change["id"])

    card = await query.patch(f"/profiles/{one.id}", json={"notes": "N."}, headers={"If-Match": f'"{one.revision}"'})
    assert card.status_code == 202
    parted = await post(f"/profiles/{one.id}/split", tracks=["right1:1:0:0", "right1:1:1:0"])
    await post(f"/changes/{parted}/undo")
    merged = await post(f"/profiles/{one.id}/merge", profiles=[other.id])
    undone = await post(f"/changes/{merged}/undo")
    await post(f"/changes/{undone}/undo")
    video = (await query.get(f"/profiles/{one.id}/appearances")).json()["items"][0]["video_id"]
    rejected = await post(f"/profiles/{one.id}/reject", video_id=video, reason="not_a_face")
    await post(f"/changes/{rejected}/undo")
    await store.suggestions.insert(SuggestionRecord(id="s", gallery="g", kind="two", profiles=(one.id,), distance=0.5))
    await post("/galleries/g/suggestions/s", answer="same")
    deleted = await query.delete(f"/profiles/{one.id}")
    assert deleted.status_code == 202
    await services.work_off()
    await post(f"{deleted.headers['location']}/undo")
    assert (await query.get("/galleries/g/changes", params={"limit": 1})).json()["next_cursor"]


async def somebody_is_erased(services: Services) -> None:
    """With an appearance by hand; as near as everybody is matched here it may be everybody."""
    query = services.query
    await put_in(services, SyntheticVideo("erased", "g", [[31], [31]]))
    await services.work_off()
    found = (await query.get("/videos/erased/profiles")).json()["items"][0]["id"]
    there = await query.post(f"/profiles/{found}/presences", json={"video_id": "a"})
    assert there.status_code == 202
    await services.work_off()
    erased = await query.delete(f"/profiles/{found}", params={"erase": True})
    assert erased.status_code == 202
    await services.work_off()
    await services.is_through(erased)
    await put_in(services, SyntheticVideo("erased", "g", [[31], [31]], 2))
    await services.work_off()
    gone = await query.delete("/videos/erased", params={"erase": True})
    await services.work_off()
    await services.is_through(gone)


async def a_gallery_is_deleted(services: Services) -> None:
    """After what it keeps for a day went by itself, and while a video of it is worked on; it begins anew."""
    query, keeps = services.query, {"retention": {"videos": 1, "people": 1}}
    assert (await query.post("/galleries", json={"id": "going", "settings": keeps})).status_code == 201
    await put_in(services, SyntheticVideo("day-old", "going", [[42], [42]]))
    await services.work_off()
    services.servers.now += timedelta(days=2)
    await query.patch("/galleries/going/settings", params={"dry_run": True}, json=keeps)
    await services.work_off()
    await query.patch("/galleries/going/settings", json={"retention": {"people": 1}})
    await services.work_off()
    await services.keeping.round()
    await services.take_turns()
    await query.patch("/galleries/going/settings", json=keeps)
    await services.work_off()
    await services.keeping.round()
    await services.take_turns()
    log = (await query.get("/galleries/going/changes")).json()["items"]
    assert [one["kind"] for one in log if one["by"] == "retention"] == ["erase_video", "erase"]
    await put_in(services, SyntheticVideo("gone", "going", [[41], [41]]))
    await services.work_off()
    person = (await query.get("/videos/gone/profiles")).json()["items"][0]["id"]
    assert (await query.patch(f"/profiles/{person}", json={"name": "Ada"})).status_code == 202
    await services.work_off()
    await register(services.store, SyntheticVideo("under-way", "going", [[1]]).uploaded(), services.servers.clock())
    deleted = await query.delete("/galleries/going")
    await services.work_off()
    assert (await query.delete("/galleries/going")).json()["id"] == deleted.json()["id"]
    await services.is_through(deleted)
    assert (await query.get("/galleries/going")).status_code == 404
    assert (await query.post("/galleries", json={"id": "going"})).status_code == 201
    deleted = await query.delete("/galleries/going")
    await services.work_off()
    await services.is_through(deleted)
    await register(services.store, SyntheticVideo("anew", "going", [[1]]).uploaded(), services.servers.clock())


async def somebody_objects(services: Services) -> None:
    """And no more."""
    query = services.query
    await put_in(services, SyntheticVideo("objecting", "g", [[51], [51]]))
    await services.work_off()
    found = (await query.get("/videos/objecting/profiles")).json()["items"][0]["id"]
    raised = await query.post("/galleries/g/objections", json={"profile_id": found})
    assert raised.status_code == 202
    await services.work_off()
    objection = (await query.get("/galleries/g/objections", params={"limit": 1})).json()["items"][0]["id"]
    assert (await query.delete(f"/galleries/g/objections/{objection}")).status_code == 202
    await services.work_off()


async def others_hear_of_it(services: Services) -> None:
    """Of what was said, and of what is said from then on; a watch loses who it is for, and all of it is taken away."""
    store, query, alerted = services.store, services.query, Alerted(services.servers, "g")
    lease, other = Lease(store, "w", "one", seconds=0.0), Lease(store, "w", "other", seconds=0.0)
    assert await lease.hold()
    assert not await other.hold()
    assert await other.hold()
    await other.release()
    await alerted.settle()
    await put_in(services, SyntheticVideo("watched", "g", [[41], [41]]))
    await services.work_off()
    one = (await query.get("/videos/watched/profiles")).json()["items"][0]["id"]
    hook = (await query.post("/galleries/g/webhooks", json={"url": "https://webhook.example/"})).json()["id"]
    watch = (await query.post(f"/profiles/{one}/watches")).json()["id"]
    await alerted.settle()
    assert await alerted.alerts(watch)
    deleted = await query.delete(f"/profiles/{one}")
    await services.work_off()
    await alerted.settle()
    assert (await query.get(f"/watches/{watch}")).json()["holder"] is None
    await query.post(f"{deleted.headers['location']}/undo")
    await services.work_off()
    await alerted.settle()
    assert (await query.get(f"/watches/{watch}")).json()["holder"] == one
    for path in (f"/webhooks/{hook}/deliveries", "/galleries/g/watches", "/galleries/g/webhooks"):
        page = (await query.get(path, params={"limit": 1})).json()
        assert page["items"], path
        if page["next_cursor"]:
            await query.get(path, params={"limit": 1, "cursor": page["next_cursor"]})
    delivered: dict[str, Any] = {"status": "delivered", "limit": 1}
    page = (await query.get(f"/webhooks/{hook}/deliveries", params=delivered)).json()
    await query.get(f"/webhooks/{hook}/deliveries", params={**delivered, "cursor": page["next_cursor"]})
    await store.gallery_log.delete(eq(GalleryLogRecord.gallery, "g"))
    for body in ({"since": MOMENT, "delivered": True}, {"deliveries": [page["items"][0]["id"]]}):
        assert (await query.post(f"/webhooks/{hook}/replay", json=body)).status_code == 202
    await alerted.settle()
    assert (await query.delete(f"/watches/{watch}")).status_code == 204
    assert (await query.delete(f"/webhooks/{hook}")).status_code == 204
    await query.post("/galleries/g/webhooks", json={"url": "https://webhook.example/"})
    await query.post(f"/profiles/{one}/watches")
    await forget_gallery(store, "g")


async def a_gallery_is_taken_along(services: Services) -> None:
    """With its files, into another gallery, and into one where somebody is already."""
    for number in range(2):
        await put_in(services, SyntheticVideo(f"along{number}", "along", [[41], [41]]))
    await services.work_off()
    (person,) = await services.store.profiles.find(eq(ProfileRecord.gallery, "along"))
    await services.query.patch(f"/profiles/{person.id}", json={"name": "Ada"})
    await services.work_off()
    archive = await services.query.get("/galleries/along/export", params={"videos": "include"})
    assert archive.status_code == 200, archive.text

    async def put(gallery: str) -> Any:
        accepted = await services.query.post(f"/galleries/{gallery}/import", content=archive.content)
        assert accepted.status_code == 202, accepted.text
        await services.work_off()
        return (await services.query.get(accepted.headers["location"])).json()

    copied = await put("copy")
    assert copied["status"] == "applied", copied
    assert (await put("up"))["status"] == "failed"
    services.servers.bucket.store("archives/0-old.tar", b"old", "application/x-tar")
    await services.imports.sweep()


async def find_people(services: Services) -> None:
    """By a picture, and by a profile."""
    (profile, *_) = await services.store.profiles.find(eq(ProfileRecord.gallery, "g"))
    found = await services.query.post("/search", data={"gallery": "g"}, files={"file": b"picture"})
    assert found.status_code == 200, found.text
    assert found.json()["faces"][0]["matches"]
    assert (await services.query.get(f"/profiles/{profile.id}/similar")).status_code == 200


async def all_is_read(services: Services) -> None:
    """Each operation of query-api, each list by each of its parameters, alone and in one gallery, page by page."""
    await services.store.profiles.update(eq(ProfileRecord.gallery, "g"), set_to(ProfileRecord.name, "Ada"))
    (one, *_) = await services.store.appearances.find(eq(AppearanceRecord.video_id, "b"))
    profile = one.profile_id
    of_before = set_to(AppearanceRecord.shown, b"")
    await services.store.appearances.update_many(eq(AppearanceRecord.profile_id, profile), of_before)
    stored = Stored(services.store, "g")
    gone, _ = await stored.retired("b:1:0", None), await stored.profile(["b"])
    await find_people(services)
    for path in (
        "/tasks", f"/tasks/{task_id('a', 1)}", f"/tasks/{task_id('a', 1)}/events", "/profiles", f"/profiles/{profile}",
        f"/profiles/{gone}", f"/profiles/{profile}/appearances", "/videos", "/videos/a", "/videos/a/profiles",
        "/videos/a/timeline", "/videos/a/timeline.vtt", "/videos/a/timeline.edl", "/videos/a/timeline.otio",
        f"/profiles/{profile}/timeline.edl", f"/profiles/{profile}/timeline.otio", "/galleries/g/appearances.csv",
        "/galleries/g/appearances.jsonl", "/videos/a/tracks", "/videos/a/tracks?start=1",
        "/galleries/g/stats",
        "/galleries", "/galleries/g", "/galleries/g/suggestions", "/galleries/g/settings",
        "/commands/none", "/changes/none", "/galleries/g/changes",
    ):  # fmt: skip
        answer = await services.query.get(path)
        assert answer.status_code < 500, path
    narrowed: dict[str, list[dict[str, Any]]] = {
        "/tasks": [{"status": "done"}, {"video_id": "a"}, {"status": "done", "video_id": "a"}],
        "/profiles": [
            {"name": "Ada"}, {"video_id": "a"}, {"name": "Ada", "sort": "-created_at"}, {"unnamed": True},
            {"tag": "guest"}, {"hidden": "any"}, {"hidden": "true"}, {"seen_after": MOMENT}, {"seen_before": LATER},
            {"min_videos": 2},
            {"with": profile}, {"with": profile, "together": True}, {"seen_after": MOMENT, "seen_before": LATER},
            *ORDERS,
        ],
        "/videos": [{"sha256": 64 * "a"}, {"external_id": "x"}, {"sha256": 64 * "a", "external_id": "x"}],
        "/profiles/" + profile + "/appearances": [],
        "/profiles/" + profile + "/timeline": [{"sort": "-at"}],
        "/videos/b/profiles": [{"hidden": "any"}],
        "/galleries": [],
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:  # as where somebody meets many, and then where all are in many videos
        for limit, modules in (("FEW_PEOPLE", [companions]), ("FEW_VIDEOS", [companions, profile_list])):
            for module in modules:
                patch.setattr(module, limit, 0)
            for many in (
                f"with={profile}",
                f"with={profile}&together=true",
                f"seen_after={MOMENT}&seen_before={LATER}",
            ):
                assert (await services.query.get(f"/profiles?hidden=any&{many}")).status_code == 200, many
    for path, choices in narrowed.items():
        for choice in [{}, *choices]:
            for where in [choice, choice | {"gallery": "g"}] if path.count("/") == 1 else [choice]:
                page = (await services.query.get(path, params={**where, "limit": 1})).json()
                if page.get("next_cursor"):
                    await services.query.get(path, params={**where, "limit": 1, "cursor": page["next_cursor"]})


async def test_every_query_of_every_service_uses_an_index(
    recorded: tuple[RecordedQueries, MongoDocuments], tmp_path: Path
) -> None:
    """A round over all endpoints, handlers and loops; MongoDB then says how it answers each query that they made."""
    queries, documents = recorded
    await migrations.migrate(queries, START)
    services = Services(queries, tmp_path)
    await videos_come(services)
    await people_come_and_go(services)
    await people_are_put_right(services)
    await all_is_read(services)
    await others_hear_of_it(services)
    await a_gallery_is_taken_along(services)
    await somebody_is_erased(services)
    await somebody_objects(services)
    await a_gallery_is_deleted(services)
    services.servers.now += timedelta(hours=1)
    await services.retention.round()
    await kafka_topics.note_created(services.store)
    await register(services.store, SyntheticVideo("late", "g", [[1]]).uploaded(), services.servers.clock())
    with pytest.raises(UnavailableError):
        await services.cut_off.run()
    await services.reconcile()

    made = {query.site for query in queries.queries}
    missed = [
        shortened((path, lines[0]))
        for path, lines in call_sites((*SERVICES, "castlist"))
        if not any((path, line) in made for line in lines)
    ]
    assert not missed, f"queries that this round does not make: {missed}"

    distinct = {str(query): query for query in queries.queries}.values()
    asked = [one for one in distinct if one.collection not in TINY and Path(one.site[0]).name != ONCE]
    reading = [str(query) for query in asked if reads_all(await explained(documents, query), query)]
    assert not reading, "\n".join(reading)


async def explained(documents: MongoDocuments, query: Query) -> dict[str, Any]:
    """MongoDB's plan for a query."""
    answer = await documents.database.command("explain", query.command(), verbosity="queryPlanner")
    return dict(answer["queryPlanner"])


async def test_what_is_asked_at_every_result_reads_no_result(
    recorded: tuple[RecordedQueries, MongoDocuments],
) -> None:
    """A result is up to a megabyte; which parts of a run are there is said by the index alone."""
    queries, documents = recorded
    await Store(queries).chunks.find_parts(ReceivedPart, eq(ChunkResultRecord.run, "v:1"))
    plan = await explained(documents, queries.queries[0])
    assert "FETCH" not in [stage["stage"] for stage in stages(plan["winningPlan"])]
