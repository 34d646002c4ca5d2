"""Answers are built by hand, for speed: these hold them to the models that describe them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryObjects, MemoryPublisher
from castlist.clock import now_utc
from castlist.contract.codec import decode
from castlist.contract.commands import RenameProfile
from castlist.contract.ids import task_id
from castlist.contract.topics import GALLERY_COMMITS
from castlist.contract.values import MatchSettings
from castlist.ports.errors import Unavailable
from castlist.service.operations import routes
from castlist.service.problems import EXCEPTION_HANDLERS
from castlist.store.collections import APPEARANCES, OUTBOX, PROFILES, REDIRECTS, VIDEOS
from castlist.tasks import lifecycle
from query_api import schemas, views
from query_api.app import operations
from query_api.command_outbox import Commands
from query_api.endpoints.crops import Crops
from query_api.endpoints.galleries import Galleries
from query_api.endpoints.profiles import Profiles
from query_api.endpoints.tasks import Tasks
from query_api.endpoints.videos import Videos
from query_api.http.responses import answer, instant
from query_api.read_model import Reading
from testkit.stored import Stored

NOW = datetime(2026, 3, 4, 5, 6, 7, 123000, tzinfo=UTC)


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


@pytest.fixture
async def client(documents: MemoryDocuments) -> AsyncIterator[httpx.AsyncClient]:
    """The service on documents and objects in memory."""
    reading, objects, commands = Reading(documents), MemoryObjects(), Commands(documents, MemoryLog().publisher())
    served = operations(
        Tasks(reading, look_every=0.001, comment_every=0.002),
        Profiles(reading, commands),
        Videos(reading, objects, commands),
        Galleries(reading, commands),
        Crops(objects),
    )
    app = Starlette(routes=routes("t", "1", "d", served), exception_handlers=EXCEPTION_HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_commands_are_published_in_the_order_they_came(documents: MemoryDocuments) -> None:
    """Kafka refuses the first one; when it takes them again, the later name is still the later one."""
    log = MemoryLog()

    class Flaky(MemoryPublisher):
        refusing = True

        async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
            if self.refusing:
                raise Unavailable("away")
            await super().publish_entries(entries)

    publisher = Flaky(log)
    commands = Commands(documents, publisher)
    running = asyncio.create_task(commands.run())
    for name in ("Ada", "Bo", "Cy"):
        await commands.accept(
            RenameProfile(event_id=name, occurred_at=now_utc(), gallery="g", profile_id="p", name=name), "g"
        )
        await asyncio.sleep(0.01)
    assert log.messages(GALLERY_COMMITS.name) == []
    publisher.refusing = False
    async with asyncio.timeout(30):
        while await documents.count(OUTBOX, {"published_at": None}):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    said = [decode(GALLERY_COMMITS, message.value or b"") for message in log.messages(GALLERY_COMMITS.name)]
    assert [one.event_id for one in said] == ["Ada", "Bo", "Cy"]


async def _rows(documents: MemoryDocuments) -> tuple[dict[str, Any], ...]:
    stored = Stored(documents, "g")
    video = await stored.video(
        status=lifecycle.PROCESSING, recorded_at=NOW, external_id="cam", sha256="ab" * 32, bytes=5
    )
    await stored.profile([video], name="Ada")
    (row,) = await documents.find(VIDEOS, {})
    (task,) = await documents.find("tasks", {})
    (profile,) = await documents.find("profiles", {})
    (appearance,) = await documents.find(APPEARANCES, {})
    return row, task, profile, appearance


async def test_every_view_is_what_its_model_describes(documents: MemoryDocuments) -> None:
    """Read by the model and written again, an answer is the same: no field more or less, no other form of a value."""
    row, task, profile, appearance = await _rows(documents)
    bare = {**appearance, "crop": None}
    failed = {**task, "status": "failed", "error": {"code": "internal", "message": "m"}, "finished_at": NOW}
    shown = views.appearance(appearance, "lobby.mp4")
    for model, view in (
        (schemas.Task, views.task(task, None, NOW)),
        (schemas.Task, views.task(failed, 3, NOW)),
        (schemas.Task, views.task({**task, "settings": MatchSettings(detector="cnn").model_dump()}, None, NOW)),
        (schemas.Video, views.video({**row, "duration": 3.5, "width": 640, "height": 480, "frame_rate": 29.97})),
        (schemas.Video, views.video({**row, "recorded_at": None})),
        (schemas.Appearance, shown),
        (schemas.Appearance, views.appearance(bare, "")),
        (schemas.Profile, views.profile(profile, [shown])),
    ):
        body = bytes(answer(view).body)
        assert json.loads(model.model_validate_json(body).model_dump_json()) == json.loads(body)


async def test_who_is_merged_away_while_a_page_is_read_is_not_shown_without_appearances(
    client: httpx.AsyncClient, documents: MemoryDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list leaves them out; asked for alone, they lead to whom they were merged into."""
    stored = Stored(documents, "g")
    video = await stored.video()
    stays, goes = await stored.profile([video]), await stored.profile([video])
    find = documents.find

    async def merging_meanwhile(collection: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        if collection == APPEARANCES and await documents.delete(PROFILES, {"_id": goes}):
            await documents.delete(APPEARANCES, {"profile_id": goes})
            await documents.insert(REDIRECTS, {"_id": goes, "gallery": "g", "founder": None, "into": stays})
        return await find(collection, *arguments, **options)

    row = await documents.get(PROFILES, goes)
    appearances = await find(APPEARANCES, {"profile_id": goes})
    monkeypatch.setattr(documents, "find", merging_meanwhile)
    page = (await client.get("/profiles", params={"gallery": "g"})).json()
    assert [one["id"] for one in page["items"]] == [stays]

    assert row is not None
    await documents.delete(REDIRECTS, {})
    await documents.insert(PROFILES, row)
    await documents.insert_many(APPEARANCES, appearances)
    answer = await client.get(f"/profiles/{goes}")
    assert (answer.status_code, answer.headers.get("location")) == (308, f"/profiles/{stays}")


async def test_every_answer_is_documented(client: httpx.AsyncClient) -> None:
    """Each operation says what it answers, each reference leads somewhere, and no two share an id."""
    document = (await client.get("/openapi.json")).json()
    described = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in described}) == len(described)
    assert all(any(status < "400" for status in operation["responses"]) for operation in described)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])
    profiles = document["paths"]["/profiles"]["get"]
    limit = next(one["schema"] for one in profiles["parameters"] if one["name"] == "limit")
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 500, 50)
    assert document["paths"]["/crops/{path}"]["get"]["responses"]["200"]["content"] == {"image/jpeg": {}}


async def test_the_documentation_needs_no_network(client: httpx.AsyncClient) -> None:
    """/docs loads nothing from elsewhere: what it names are addresses of its own."""
    page = (await client.get("/docs")).text
    assert "/openapi.json" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(?:https?:)?//", page)


async def test_a_stream_without_news_is_kept_open_by_comments(
    client: httpx.AsyncClient, documents: MemoryDocuments
) -> None:
    """Nothing is repeated as an event while nothing changes; comments come in between."""
    stored = Stored(documents, "g")
    video = await stored.video(status=lifecycle.QUEUED)
    reading = Tasks(Reading(documents), look_every=0.001, comment_every=0.002)
    task = await Reading(documents).task(task_id(video, 1), NOW)
    assert task is not None
    said: list[bytes] = []
    async for block in reading._changes(task):
        said.append(block)
        if len(said) == 4:
            await lifecycle.finish(documents, video, 1, lifecycle.DONE, NOW)
    comments = [block.startswith(b":") for block in said]
    assert comments[:4] == [False, True, True, True]
    assert comments[-1] is False
    assert comments.count(False) == 2


def test_an_instant_is_given_in_utc_with_z() -> None:
    """Whatever zone it comes in; fractions only where there are any."""
    assert instant(NOW) == "2026-03-04T05:06:07.123000Z"
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30))).replace(microsecond=0)
    assert instant(elsewhere) == "2026-03-04T05:06:07Z"
    assert instant(None) is None
