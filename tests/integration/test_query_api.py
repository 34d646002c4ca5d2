"""query-api over real HTTP, MongoDB and S3, on a database of its own, against what clients may rely on."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

import httpx2
import jsonschema  # type: ignore[import-untyped]
import pytest

from castlist.adapters import mongo, s3
from castlist.adapters.mongo import MongoDocuments
from castlist.adapters.s3 import S3Objects
from castlist.clock import now_utc
from castlist.contract.codec import decode
from castlist.contract.commands import ChangeCard, ChangeSettings, DeleteVideo
from castlist.contract.ids import crop_key, task_id
from castlist.contract.topics import GALLERY_COMMITS
from castlist.contract.values import AnalysisSettings, GallerySettings
from castlist.ports.documents import Document
from castlist.service.settings import Settings
from castlist.store.pending import command_id
from castlist.store.query import ANY, Where, ascending, eq, set_to, with_id
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.galleries import GalleryRecord, SuggestionRecord
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.pending import PendingVideo
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.tasks import Status, TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store, Table
from castlist.tasks import galleries, lifecycle
from query_api.http.cursors import Order
from query_api.read_model import NEWEST_FIRST, ReadModel
from testkit.api import new_gallery
from testkit.own_service import NOWHERE, own_service
from testkit.own_storage import own_database
from testkit.running_stack import RunningStack
from testkit.stored import START, Stored

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def database_name(stack: RunningStack) -> Iterator[str]:
    with own_database(stack, "query") as name:
        yield name


@pytest.fixture(scope="module")
def url(database_name: str) -> Iterator[str]:
    """A query-api on a database of its own. Its Kafka is away: nothing but commands may need one."""
    with own_service("query_api", "QUERY_PORT", MONGO_DATABASE=database_name, KAFKA_BOOTSTRAP=NOWHERE) as service:
        yield service.url


@dataclass
class Seen:
    """The service as a client sees it, and the servers behind it."""

    http: httpx2.AsyncClient
    documents: MongoDocuments
    store: Store
    objects: S3Objects
    stored: Stored
    openapi: dict[str, Any]

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET that succeeds; it is what the OpenAPI document says."""
        answer = await self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        self.check(path, body)
        return body

    def check(self, path: str, body: Any) -> None:
        """Fails unless the OpenAPI document describes this answer to GET `path`, field by field."""
        pattern, described = next(
            (template, methods["get"])
            for template, methods in self.openapi["paths"].items()
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
        )
        content = described["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, {**content, "components": self.openapi["components"]})
        name = content["$ref"].rsplit("/", 1)[-1]
        assert set(body) == set(self.openapi["components"]["schemas"][name]["properties"]), pattern

    async def problem(self, status: int, path: str, method: str = "GET", **options: Any) -> dict[str, Any]:
        """The problem document that a request is answered with."""
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = dict(answer.json())
        assert body["status"] == status
        assert body["title"]
        assert body["detail"]
        assert body["type"].startswith("/docs/problems#")
        return body

    async def walk(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of a list, page by page."""
        rows: list[dict[str, Any]] = []
        page = await self.get(path, **parameters)
        while True:
            rows += page["items"]
            if page["next_cursor"] is None:
                return rows
            assert len(page["items"]) == parameters.get("limit", 50)
            page = await self.get(path, **parameters, cursor=page["next_cursor"])


@pytest.fixture
async def seen(url: str, stack: RunningStack, database_name: str) -> AsyncIterator[Seen]:
    """The service, with a gallery of the test's own."""
    documents = mongo.connect(stack.mongo_url, database_name)
    store, gallery = Store(documents), new_gallery("query")
    await galleries.ensure_gallery(store, gallery, START)
    async with httpx2.AsyncClient(base_url=url, timeout=30) as http, s3.connect(*Settings().s3) as objects:
        described = (await http.get("/openapi.json")).json()
        yield Seen(http, documents, store, objects, Stored(store, gallery), described)
    documents.close()


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


# --- tasks ------------------------------------------------------------------------------------------------------------


async def test_a_task_is_shown_as_it_is(seen: Seen) -> None:
    """Every field, for a queued, a working, a failed and a done task; people are counted from the video's profiles."""
    queued = await seen.stored.video(status=lifecycle.QUEUED)
    assert await seen.get(f"/tasks/{task_id(queued, 1)}") == {
        "id": task_id(queued, 1), "video_id": queued, "video_name": "lobby.mp4", "gallery": seen.stored.gallery,
        "epoch": 1, "status": "queued", "progress": 0.0, "chunks_done": 0, "chunks_planned": None, "people": None,
        "settings": None, "faces_skipped": {}, "warnings": [], "error": None, "created_at": "2026-01-02T03:04:06Z",
        "started_at": None, "finished_at": None, "eta_seconds": None,
    }  # fmt: skip

    working = await seen.stored.video(status=lifecycle.PROCESSING)
    await seen.stored.change_task(working, started_at=now_utc() - timedelta(seconds=60), faces_skipped={"too_small": 3})
    shown = await seen.get(f"/tasks/{task_id(working, 1)}")
    assert (shown["progress"], shown["chunks_planned"], shown["faces_skipped"]) == (0.25, 8, {"too_small": 3})
    assert shown["eta_seconds"] >= 180  # a quarter took a minute

    failed = await seen.get(f"/tasks/{task_id(await seen.stored.video(status=lifecycle.FAILED), 1)}")
    assert failed["error"] == {"code": "not_a_video", "message": "This is text."}
    assert failed["people"] is None

    done = await seen.stored.video()
    assert (await seen.get(f"/tasks/{task_id(done, 1)}"))["people"] == 0
    for _ in range(3):
        await seen.stored.profile([done, queued])
    shown = await seen.get(f"/tasks/{task_id(done, 1)}")
    assert (shown["people"], shown["progress"], shown["eta_seconds"]) == (3, 1.0, None)


async def test_a_task_shows_the_settings_it_runs_with(seen: Seen) -> None:
    """Null until it is planned; those of its plan afterwards, alone, in a list and to its end; never the gallery's."""
    planned = AnalysisSettings(
        detector="cnn", samples_per_second=10, smallest_face=80, in_video_distance=0.3, minimum_sightings=4
    )
    others = set_to(GalleryRecord.settings, GallerySettings(smallest_face=99))
    await seen.store.galleries.update(with_id(seen.stored.gallery), others)
    waiting, working, done = [
        await seen.stored.video(status=state) for state in (lifecycle.QUEUED, lifecycle.PROCESSING, lifecycle.DONE)
    ]
    for video in (working, done):
        await seen.stored.change_task(video, settings=planned)
    shown = await seen.walk("/tasks", gallery=seen.stored.gallery)
    assert [task["settings"] for task in shown] == [None, asdict(planned), asdict(planned)]
    for video, settings in ((waiting, None), (working, asdict(planned)), (done, asdict(planned))):
        assert (await seen.get(f"/tasks/{task_id(video, 1)}"))["settings"] == settings


async def test_tasks_are_listed_by_gallery_state_and_video(seen: Seen) -> None:
    """Oldest first, in pages; each filter alone and together."""
    states: list[Status] = [lifecycle.QUEUED, lifecycle.DONE, lifecycle.FAILED, lifecycle.DONE, lifecycle.CANCELLED]
    videos = [await seen.stored.video(status=state) for state in states]
    here = {"gallery": seen.stored.gallery}
    expected = [task_id(video, 1) for video in videos]
    assert ids(await seen.walk("/tasks", **here)) == expected
    assert ids(await seen.walk("/tasks", **here, limit=2)) == expected
    assert ids(await seen.walk("/tasks", **here, status="done")) == [expected[1], expected[3]]
    assert ids(await seen.walk("/tasks", video_id=videos[2])) == [expected[2]]
    assert await seen.walk("/tasks", **here, video_id=videos[2], status="done") == []


async def test_the_stream_of_a_task_says_every_change_and_ends(seen: Seen) -> None:
    """Event `task` with the same document as GET, at once and at every change; closed after the final state."""
    video = await seen.stored.video(status=lifecycle.QUEUED)
    path = f"/tasks/{task_id(video, 1)}"
    steps: Iterator[Callable[[], Awaitable[Any]]] = iter(
        [
            lambda: seen.stored.change_task(
                video, status="processing", started_at=now_utc(), progress=0.5, settings=AnalysisSettings()
            ),
            lambda: seen.stored.change_task(video, progress=0.75),
            lambda: lifecycle.finish(seen.store, video, 1, lifecycle.DONE, now_utc()),
        ]
    )
    events: list[httpx2.Response] = []
    lines: list[str] = []
    async with seen.http.stream("GET", f"{path}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            lines.append(line)
            if line.startswith("data: "):
                events.append(httpx2.Response(200, text=line.removeprefix("data: ")))
                if (step := next(steps, None)) is not None:
                    await step()
    said = [event.json() for event in events]
    assert [(one["status"], one["progress"]) for one in said] == [
        ("queued", 0.0), ("processing", 0.5), ("processing", 0.75), ("done", 1.0),
    ]  # fmt: skip
    assert [one["settings"] for one in said] == [None, *[asdict(AnalysisSettings())] * 3]
    assert lines.count("event: task") == 4
    assert said[-1] == await seen.get(path)


async def test_the_stream_of_a_deleted_videos_task_ends(seen: Seen) -> None:
    """Its task is gone from the database; the stream ends it as `cancelled`, because of the deletion."""
    video = await seen.stored.video(status=lifecycle.PROCESSING)
    last = ""
    async with seen.http.stream("GET", f"/tasks/{task_id(video, 1)}/events") as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                last = line.removeprefix("data: ")
                await seen.store.tasks.delete(eq(TaskRecord.video_id, video))
    said = httpx2.Response(200, text=last).json()
    assert (said["status"], said["error"]["code"]) == ("cancelled", "video_deleted")


# --- profiles ---------------------------------------------------------------------------------------------------------


async def test_a_profile_is_shown_with_its_appearances(seen: Seen) -> None:
    """Every field; newest appearance first; instants in UTC with Z; the crop's address is one that can be asked for."""
    first, second = await seen.stored.video("lobby.mp4"), await seen.stored.video("yard.mp4")
    profile = await seen.stored.profile([first, second], name="Ada")
    shown = await seen.get(f"/profiles/{profile}")
    assert shown == {
        "id": profile, "gallery": seen.stored.gallery, "name": "Ada", "external_id": None, "birth_date": None,
        "notes": None, "tags": [], "favourite": False, "hidden": False, "cover": None,
        "created_at": "2026-01-02T03:04:10Z", "updated_at": "2026-01-02T03:04:10Z", "video_count": 2, "pictures": [],
        "first_seen": "2026-01-02T03:04:06Z", "last_seen": "2026-01-02T03:04:08Z", "seconds": 23.8,
        "appearances": [
            {
                "video_id": video, "video_name": name, "first_seen": 0.4, "last_seen": 31.0, "seconds": 11.9,
                "faces": 57, "manual": False, "segments": [{"start": 0.4, "end": 9.1}, {"start": 27.8, "end": 31.0}],
                "crop": {
                    "url": f"/crops/{video}/1/0-3.jpg", "time": 3.2, "quality": 0.93,
                    "box": {"left": 210, "top": 88, "width": 96, "height": 96},
                    "frame": {"width": 640, "height": 480},
                },
            }
            for video, name in ((second, "yard.mp4"), (first, "lobby.mp4"))
        ],
    }  # fmt: skip
    assert await seen.walk("/profiles", gallery=seen.stored.gallery) == [shown]


async def test_profiles_are_listed_by_gallery_video_and_name_in_each_order(seen: Seen) -> None:
    """Also where many have no name, and where many came in one instant."""
    lobby, yard = await seen.stored.video("lobby.mp4"), await seen.stored.video("yard.mp4")
    at = seen.stored.now()
    named = [("Bo", [lobby]), (None, [lobby, yard]), ("Ada", [yard]), (None, [yard]), (None, [lobby]), ("Ada", [lobby])]
    made = [(await seen.stored.profile(videos, name, at), name, videos) for name, videos in named]
    here = {"gallery": seen.stored.gallery}
    by_age = sorted(one for one, _, _ in made)
    by_name = [one for _, one in sorted((name or "", one) for one, name, _ in made)]
    for limit in (1, 2, 50):
        assert ids(await seen.walk("/profiles", **here, limit=limit)) == by_age
        assert ids(await seen.walk("/profiles", **here, limit=limit, sort="-created_at")) == by_age[::-1]
        assert ids(await seen.walk("/profiles", **here, limit=limit, sort="name")) == by_name
    in_yard = sorted(one for one, _, videos in made if yard in videos)
    assert ids(await seen.walk("/profiles", video_id=yard, limit=2)) == in_yard
    adas = sorted(one for one, name, _ in made if name == "Ada")
    assert ids(await seen.walk("/profiles", **here, name="Ada", limit=1)) == adas
    assert ids(await seen.walk("/profiles", **here, name="Ada", video_id=yard)) == [made[2][0]]
    # The people of a video come with what they do in it, and nothing else.
    people = await seen.walk(f"/videos/{yard}/profiles", limit=2)
    assert ids(people) == in_yard
    assert all([one["video_id"] for one in person["appearances"]] == [yard] for person in people)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
async def test_a_cursor_is_exact_while_rows_are_inserted(seen: Seen, sort: str) -> None:
    """What was there at the first page comes once, in order, also when newcomers sort before, at and behind it."""
    video = await seen.stored.video()
    at = seen.stored.now()
    names = [None, "Bo", None, "Cy", "Bo", None]
    there = [await seen.stored.profile([video], name, at + timedelta(seconds=n // 2)) for n, name in enumerate(names)]
    seconds = [-1, 0, 1, 2, 5]
    got: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await seen.get("/profiles", gallery=seen.stored.gallery, sort=sort, limit=2, **cursor)
        got += ids(page["items"])
        if seconds:
            await seen.stored.profile(
                [video], [None, "Bo", "Zoe"][len(seconds) % 3], at + timedelta(seconds=seconds.pop())
            )
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert set(there) <= set(got)
    assert len(got) == len(set(got))
    whole = ids(await seen.walk("/profiles", gallery=seen.stored.gallery, sort=sort))
    assert got == [one for one in whole if one in got]


async def test_a_profile_shows_its_newest_hundred_appearances_and_all_of_them_in_pages(seen: Seen) -> None:
    """In a list beside people of few videos, alone, and page by page: the same order, newest first."""
    videos = [await seen.stored.video(f"{n}.mp4", status=lifecycle.QUEUED) for n in range(103)]
    often = await seen.stored.profile(videos)
    seldom = await seen.stored.profile(videos[:1])
    newest = videos[::-1]
    assert [one["video_id"] for one in (await seen.get(f"/profiles/{often}"))["appearances"]] == newest[:100]
    listed = await seen.walk("/profiles", gallery=seen.stored.gallery)
    assert [[one["video_id"] for one in person["appearances"]] for person in listed] == [newest[:100], videos[:1]]
    assert ids(listed) == [often, seldom]
    for limit in (40, 103, 500):
        paged = await seen.walk(f"/profiles/{often}/appearances", limit=limit)
        assert [one["video_id"] for one in paged] == newest


async def test_an_id_that_was_merged_away_leads_to_who_holds_its_people_now(seen: Seen) -> None:
    """308, with path and query kept: by its founder, by what it was merged into, and through a chain of both."""
    video = await seen.stored.video()
    profile = await seen.stored.profile([video])
    person = await seen.stored.person(video, profile)
    by_founder = await seen.stored.retired(person, into="p-long-gone")
    by_target = await seen.stored.retired("v-deleted:1:0", into=profile)
    by_chain = await seen.stored.retired(None, into=by_founder)
    for retired in (by_founder, by_target, by_chain):
        answer = await seen.http.get(f"/profiles/{retired}")
        assert (answer.status_code, answer.headers["location"]) == (308, f"/profiles/{profile}")
        answer = await seen.http.get(f"/profiles/{retired}/appearances", params={"limit": 7})
        assert (answer.status_code, answer.headers["location"]) == (308, f"/profiles/{profile}/appearances?limit=7")
        answer = await seen.http.patch(f"/profiles/{retired}", json={"name": "Ada"})
        assert (answer.status_code, answer.headers["location"]) == (308, f"/profiles/{profile}")
    one, other = await seen.stored.retired(None, into="r-none"), await seen.stored.retired(None, into=None)
    await seen.problem(404, f"/profiles/{one}")
    await seen.problem(404, f"/profiles/{other}")


# --- videos and crops -------------------------------------------------------------------------------------------------


async def test_videos_are_listed_by_gallery_hash_and_foreign_id(seen: Seen) -> None:
    """Every field; oldest first, in pages."""
    hashes = [f"{n:064x}" for n in range(3)]
    videos = [
        await seen.stored.video(f"{n}.mp4", sha256=sha256, external_id=f"cam-{n}", bytes=10 + n)
        for n, sha256 in enumerate(hashes)
    ]
    here = {"gallery": seen.stored.gallery}
    listed = await seen.walk("/videos", **here, limit=2)
    assert ids(listed) == videos
    assert listed[0] == await seen.get(f"/videos/{videos[0]}") == {
        "id": videos[0], "gallery": seen.stored.gallery, "name": "0.mp4", "bytes": 10, "sha256": hashes[0],
        "duration": None, "width": None, "height": None, "frame_rate": None, "recorded_at": None,
        "external_id": "cam-0", "latest_task_id": task_id(videos[0], 1), "created_at": "2026-01-02T03:04:06Z",
    }  # fmt: skip
    assert ids(await seen.walk("/videos", **here, sha256=hashes[1])) == [videos[1]]
    assert ids(await seen.walk("/videos", **here, external_id="cam-2")) == [videos[2]]
    assert await seen.walk("/videos", **here, external_id="cam-2", sha256=hashes[1]) == []


async def test_a_file_can_be_had_in_whole_and_in_parts(seen: Seen) -> None:
    """Ranges, conditions and HEAD; the bytes are those in S3."""
    data = bytes(range(256)) * 4096  # 1 MiB
    video = await seen.stored.video('a "b"\r\nü.mp4')
    info = await seen.objects.put(f"videos/{video}", data, "video/mp4")
    path = f"/videos/{video}/content"
    whole = await seen.http.get(path)
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["etag"] == f'"{info.etag}"'
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["content-disposition"].endswith("a%20%22b%22%20%20%C3%BC.mp4")
    part = await seen.http.get(path, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(data)}"
    tail = await seen.http.get(path, headers={"Range": "bytes=-5", "If-Range": whole.headers["etag"]})
    assert (tail.status_code, tail.content) == (206, data[-5:])
    head = await seen.http.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")
    known = await seen.http.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    beyond = await seen.http.get(path, headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
    await seen.objects.delete(f"videos/{video}")
    await seen.problem(404, path)


async def test_a_file_that_calls_itself_a_page_is_no_page_of_ours(seen: Seen) -> None:
    """What other systems put into S3 is never served as something a browser would run."""
    video = await seen.stored.video()
    await seen.objects.put(f"videos/{video}", b"<script>alert(1)</script>", "text/html")
    answer = await seen.http.get(f"/videos/{video}/content")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_crop_is_a_picture_that_can_be_kept_for_ever(seen: Seen) -> None:
    """Under the address that the profile gives; nothing else of the bucket can be had this way."""
    video = await seen.stored.video()
    profile = await seen.stored.profile([video])
    crop = (await seen.get(f"/profiles/{profile}"))["appearances"][0]["crop"]["url"]
    await seen.problem(404, crop)
    await seen.objects.put(crop_key(video, 1, 0, 3), b"\xff\xd8picture", "image/jpeg")
    await seen.objects.put(f"videos/{video}", b"film", "video/mp4")
    answer = await seen.http.get(crop)
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8picture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    await seen.objects.put(crop_key(video, 1, 0, 3, "0a1b"), b"\xff\xd8another", "image/jpeg")
    assert (await seen.http.get(f"/{crop_key(video, 1, 0, 3, '0a1b')}")).content == b"\xff\xd8another"
    for path in (f"/crops/%2e%2e/videos/{video}", f"/crops/..%2fvideos%2f{video}", "/crops/", f"/crops/{video}/1/"):
        await seen.problem(404, path)


# --- galleries --------------------------------------------------------------------------------------------------------


async def test_a_gallery_is_settled_when_nothing_is_under_way_in_it(seen: Seen) -> None:
    """Not while a task is open, something is pending, or an accepted command has not taken effect."""
    here = f"/galleries/{seen.stored.gallery}"
    nothing = {"id": seen.stored.gallery, "videos": 0, "profiles": 0, "tasks_open": 0, "settled": True}
    assert await seen.get(here) == nothing
    video = await seen.stored.video(status=lifecycle.PROCESSING)
    assert await seen.get(here) == nothing | {"videos": 1, "tasks_open": 1, "settled": False}
    pending = PendingVideo(
        id=f"{video}:1", gallery=seen.stored.gallery, created_at=now_utc(), video_id=video, epoch=1, people=0
    )
    await seen.store.pending.insert(pending)
    await lifecycle.finish(seen.store, video, 1, lifecycle.DONE, now_utc())
    profile = await seen.stored.profile([video])
    now = nothing | {"videos": 1, "profiles": 1}
    assert await seen.get(here) == now | {"settled": False}
    await seen.store.pending.delete(with_id(pending.id))
    assert await seen.get(here) == now
    command = (await seen.http.patch(f"/profiles/{profile}", json={"name": "Ada"}, headers=ASYNC)).json()["id"]
    assert await seen.get(here) == now | {"settled": False}
    await seen.store.pending.delete(with_id(command_id(command)))
    assert await seen.get(here) == now
    assert now in await seen.walk("/galleries", limit=1)


async def test_suggestions_are_given_nearest_first(seen: Seen) -> None:
    """Pairs of this gallery's profiles with distance and likeness, and what hardly holds one; none at first."""
    path = f"/galleries/{seen.stored.gallery}/suggestions"
    assert await seen.get(path) == {"items": [], "weak_links": []}
    kinds: dict[tuple[str, ...], Literal["one", "two"]] = {("p1", "p4"): "one", ("p2", "p3"): "one", ("p5",): "two"}
    for (profiles, kind), distance in zip(kinds.items(), (0.61, 0.55, 0.47), strict=True):
        suggestion = SuggestionRecord(
            id="-".join(profiles), gallery=seen.stored.gallery, kind=kind, profiles=profiles, distance=distance,
            likeness=0.75, videos=("v1",) if kind == "two" else (),
        )  # fmt: skip
        await seen.store.suggestions.insert(suggestion)
    pairs = [
        {"id": "p2-p3", "profiles": ["p2", "p3"], "distance": 0.55, "likeness": 0.75},
        {"id": "p1-p4", "profiles": ["p1", "p4"], "distance": 0.61, "likeness": 0.75},
    ]
    weak = {"id": "p5", "profile": "p5", "videos": ["v1"], "distance": 0.47, "likeness": 0.75}
    assert await seen.get(path) == {"items": pairs, "weak_links": [weak]}


async def test_what_is_not_there_is_not_found(seen: Seen) -> None:
    """Under every address with an id in it, in lists of an unknown gallery, and under addresses that do not exist."""
    for path in (
        "/tasks/none", "/tasks/none/events", "/profiles/none", "/profiles/none/appearances", "/videos/none",
        "/videos/none/profiles", "/videos/none/content", "/galleries/none", "/galleries/none/suggestions",
        "/galleries/none/settings", "/crops/none", "/nothing",
    ):  # fmt: skip
        await seen.problem(404, path)
    for path, body in (("/profiles/none", {"name": "Ada"}), ("/galleries/none/settings", {"detector": "cnn"})):
        await seen.problem(404, path, "PATCH", json=body)
    await seen.problem(404, "/videos/none", "DELETE")
    for path in ("/tasks", "/profiles", "/videos"):
        unknown = await seen.problem(404, path, params={"gallery": "nowhere"})
        assert "nowhere" in unknown["detail"]
    await seen.problem(405, "/tasks", "POST")


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        ("/tasks", {"galery": "default"}, "galery"),
        ("/tasks", {"gallery": "NOT ONE"}, "gallery"),
        ("/tasks", {"status": "finished"}, "status"),
        ("/tasks", {"video_id": "a:b"}, "video_id"),
        ("/profiles", {"limit": "0"}, "limit"),
        ("/profiles", {"limit": "501"}, "limit"),
        ("/profiles", {"limit": "many"}, "limit"),
        ("/profiles", {"sort": "age"}, "sort"),
        ("/profiles", {"cursor": "abc"}, "cursor"),
        ("/profiles", {"name": ""}, "name"),
        ("/profiles", [("limit", "5"), ("limit", "6")], "limit"),
        ("/videos", {"sha256": "abc"}, "sha256"),
        ("/galleries", {"gallery": "default"}, "gallery"),
        ("/health-of-nothing/../tasks", {"x": "1"}, "x"),
    ],
)
async def test_unknown_and_impossible_parameters_are_refused(
    seen: Seen, path: str, parameters: Any, field: str
) -> None:
    """422, naming the field; nothing is silently ignored."""
    found = await seen.problem(422, path, params=parameters)
    assert [error["field"] for error in found["errors"]] == [field]


async def test_a_cursor_of_another_list_is_refused(seen: Seen) -> None:
    """A cursor belongs to one order."""
    for _ in range(2):
        await seen.stored.profile([])
    page = await seen.get("/profiles", gallery=seen.stored.gallery, limit=1)
    parameters = {"gallery": seen.stored.gallery, "sort": "name", "cursor": page["next_cursor"]}
    await seen.problem(422, "/profiles", params=parameters)


class Explained(MongoDocuments):
    """Documents that note how the database finds what it is asked for."""

    def __init__(self, documents: MongoDocuments) -> None:
        super().__init__(documents.database)
        self.plans: list[tuple[str, str]] = []

    async def find(self, collection: str, where: Any, **options: Any) -> list[Document]:
        shape = {"find": collection, "filter": where, "limit": options.get("limit", 0)}
        if sort := options.get("sort"):
            shape["sort"] = dict(sort)
        plan = await self.database.command("explain", shape, verbosity="queryPlanner")
        text = json.dumps(plan["queryPlanner"]["winningPlan"], default=str)
        stages = set(re.findall(r'"stage": "(\w+)"', text))
        self.plans += [(collection, stage) for stage in stages]
        return await super().find(collection, where, **options)


async def test_every_list_is_read_along_an_index(seen: Seen) -> None:
    """No page, be it deep in a list, makes the database look at every row, or sort them all."""
    video = await seen.stored.video(sha256="ab" * 32, external_id="cam")
    for name in (None, "Ada", None, "Bo"):
        profile = await seen.stored.profile([video], name)
    explained = Explained(seen.documents)
    store, gallery = Store(explained), seen.stored.gallery
    model = ReadModel(store)
    tasks_here, videos_here = (eq(record.gallery, gallery) for record in (TaskRecord, VideoRecord))
    tasks, videos = Order(TaskRecord.created_at), Order(VideoRecord.created_at)
    lists: list[tuple[Table[Any], Where, Order]] = [
        (store.tasks, tasks_here, tasks),
        (store.tasks, ANY, tasks),
        (store.tasks, tasks_here & eq(TaskRecord.status, "done"), tasks),
        (store.videos, videos_here, videos),
        (store.videos, ANY, videos),
        (store.appearances, eq(AppearanceRecord.profile_id, profile), NEWEST_FIRST),
        (store.appearances, eq(AppearanceRecord.profile_id, profile), Order(AppearanceRecord.video_at)),
        (store.galleries, ANY, Order(GalleryRecord.id)),
    ]
    for table, where, by in lists:
        _, cursor = await model.page(table, where, by, 1, None)
        for _ in range(3):
            if cursor is None:
                break
            _, cursor = await model.page(table, where, by, 1, cursor)
    await model.profiles(
        await store.profiles.find(eq(ProfileRecord.gallery, gallery) & eq(ProfileRecord.hidden, False))
    )
    await store.videos.find(videos_here & eq(VideoRecord.sha256, "ab" * 32))
    await store.videos.find(videos_here & eq(VideoRecord.external_id, "cam"))
    assert {collection for collection, _ in explained.plans} >= {"profiles", "tasks", "videos"}
    assert [plan for plan in explained.plans if plan[1] in {"COLLSCAN", "SORT"}] == []


# --- commands ---------------------------------------------------------------------------------------------------------


ASYNC = {"Prefer": "respond-async"}
"""Nobody carries out what is accepted here."""


async def command(seen: Seen, answer: httpx2.Response) -> Any:
    """The event that an accepted command left in the outbox."""
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "pending"
    entry = await seen.store.outbox.get(answer.json()["id"])
    assert entry is not None
    assert (entry.topic, entry.key) == (GALLERY_COMMITS.name, seen.stored.gallery)
    return decode(GALLERY_COMMITS, entry.value.encode())


async def test_commands_are_accepted_while_kafka_is_away(seen: Seen) -> None:
    """Name, delete and change settings: each is journaled as its event, and waits in the outbox."""
    video = await seen.stored.video()
    profile = await seen.stored.profile([video])
    said = await command(seen, await seen.http.patch(f"/profiles/{profile}", json={"name": "Ada"}, headers=ASYNC))
    assert isinstance(said, ChangeCard)
    assert (said.profile_id, said.card.name, said.changed) == (profile, "Ada", ("name",))
    card = {"name": None, "birth_date": "1815-12-10", "cover": {"video_id": video}}
    said = await command(seen, await seen.http.patch(f"/profiles/{profile}", json=card, headers=ASYNC))
    assert (said.card.name, said.card.birth_date, said.card.cover) == (None, "1815-12-10", video)
    assert said.changed == ("birth_date", "cover", "name")

    first = await seen.http.delete(f"/videos/{video}", headers=ASYNC)
    said = await command(seen, first)
    assert isinstance(said, DeleteVideo)
    assert said.video_id == video
    again = await seen.http.delete(f"/videos/{video}", headers=ASYNC)
    assert again.json() == first.json()  # the same command, not another one

    path = f"/galleries/{seen.stored.gallery}/settings"
    defaults = await seen.get(path)
    assert (defaults["detector"], defaults["across_video_distance"]) == ("auto", "auto")
    change = {"detector": "cnn", "across_video_distance": 0.4}
    said = await command(seen, await seen.http.patch(path, json=change, headers=ASYNC))
    assert isinstance(said, ChangeSettings)
    assert all_settings(said) == defaults | change


async def test_a_request_that_is_repeated_is_one_command(seen: Seen) -> None:
    """By its Idempotency-Key; the same key for something else is refused."""
    profile = await seen.stored.profile([await seen.stored.video()])
    key = ASYNC | {"Idempotency-Key": f"{profile}-1"}
    path = f"/profiles/{profile}"
    first, second = [await seen.http.patch(path, json={"name": "Ada"}, headers=key) for _ in range(2)]
    assert (first.status_code, second.json()) == (202, first.json())
    await seen.problem(422, path, "PATCH", json={"name": "Bo"}, headers=key)
    await seen.problem(422, path, "PATCH", json={"name": "Bo"}, headers=ASYNC | {"Idempotency-Key": "a b"})
    here = eq(ChangeRecord.gallery, seen.stored.gallery)
    assert [one.id for one in await seen.store.changes.find(here)] == [first.json()["id"]]


async def test_a_decision_says_which_revision_it_is_based_on(seen: Seen) -> None:
    """If-Match carries it to the one who decides; what is no ETag of ours matches nothing."""
    profile = await seen.stored.profile([await seen.stored.video()])
    tag = ASYNC | {"If-Match": '"7-0123"'}
    said = await command(seen, await seen.http.patch(f"/profiles/{profile}", json={"name": "Ada"}, headers=tag))
    assert said.if_revision == 7
    await seen.problem(412, f"/profiles/{profile}", "PATCH", json={"name": "Bo"}, headers={"If-Match": '"x"'})


def all_settings(command: ChangeSettings) -> dict[str, Any]:
    """As the gallery shows them."""
    return asdict(GallerySettings.of(command.settings, command.across_video_distance))


async def test_changes_of_settings_add_up_before_they_take_effect(seen: Seen) -> None:
    """Each is a command with all settings: one that follows at once, or comes at the same moment, undoes none."""
    path = f"/galleries/{seen.stored.gallery}/settings"
    defaults = await seen.get(path)
    changes = [{"detector": "cnn"}, {"smallest_face": 80}, {"across_video_distance": 0.4}, {"smallest_face": 90}]
    first = [await seen.http.patch(path, json=change, headers=ASYNC) for change in changes[:2]]
    together = await asyncio.gather(*(seen.http.patch(path, json=change, headers=ASYNC) for change in changes[2:]))
    here, oldest_first = eq(OutboxRecord.key, seen.stored.gallery), [ascending(OutboxRecord.created_at)]
    entries = await seen.store.outbox.find(here, sort=oldest_first)
    assert {one.id for one in entries} == {one.json()["id"] for one in [*first, *together]}
    last = decode(GALLERY_COMMITS, entries[-1].value.encode())
    assert isinstance(last, ChangeSettings)
    assert all_settings(last) == defaults | {"detector": "cnn", "smallest_face": 90, "across_video_distance": 0.4}


@pytest.mark.parametrize(
    ("what", "content", "field"),
    [
        ("profile", b'{"name": ""}', "name"),
        ("profile", b'{"name": 5}', "name"),
        ("profile", b'{"birth_date": "1815-02-30"}', "birth_date"),
        ("profile", b'{"name": "Ada", "age": 5}', "age"),
        ("profile", b"name=Ada", "body"),
        ("profile", b"", "body"),
        ("settings", b'{"detector": "eyes"}', "detector"),
        ("settings", b'{"detector": null}', "detector"),
        ("settings", b'{"smallest_face": 5}', "smallest_face"),
        ("settings", b'{"speed": 5}', "speed"),
    ],
)
async def test_a_command_that_is_not_valid_is_refused(seen: Seen, what: str, content: bytes, field: str) -> None:
    """422, naming the field; nothing is left in the outbox."""
    profile = await seen.stored.profile([])
    path = f"/profiles/{profile}" if what == "profile" else f"/galleries/{seen.stored.gallery}/settings"
    found = await seen.problem(422, path, "PATCH", content=content)
    assert [error["field"] for error in found["errors"]] == [field]
    assert await seen.store.outbox.count(eq(OutboxRecord.key, seen.stored.gallery)) == 0


async def test_a_body_without_end_is_refused_early(seen: Seen) -> None:
    """413 after a bounded number of bytes, whatever the client goes on to send."""
    profile = await seen.stored.profile([])
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 2**30:
            sent += 65536
            yield b" " * 65536
            await asyncio.sleep(0)

    with contextlib.suppress(httpx2.WriteError, httpx2.ReadError, httpx2.RemoteProtocolError):  # hung up while we send
        await seen.problem(413, f"/profiles/{profile}", "PATCH", content=endless())
    assert sent < 64 * 2**20
