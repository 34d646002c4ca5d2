"""query-api while its servers are away: what it says then, and that it comes back by itself."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import MongoClient

from castlist.adapters import mongo
from castlist.adapters.mongo import MongoDocuments
from castlist.clock import now_utc
from castlist.contract.ids import task_id
from castlist.store import collections
from castlist.tasks import lifecycle, registration
from conftest import RunningStack
from testkit.own_service import Wire, served
from testkit.stored import START, Stored

pytestmark = pytest.mark.stack
DATABASE = f"castlist-test-outages-{uuid.uuid4().hex[:8]}"


@dataclass
class Wires:
    """The service's ways to its servers."""

    url: str
    mongodb: Wire
    s3: Wire


@pytest.fixture(scope="module")
def wires(stack: RunningStack) -> Iterator[Wires]:
    """A query-api whose connections can be cut."""
    documents = mongo.connect(stack.mongo_url, DATABASE)
    asyncio.run(collections.create(documents))
    documents.close()
    database, store = urlsplit(stack.mongo_url), urlsplit(os.environ["S3_ENDPOINT"])
    ways = [Wire(str(one.hostname), int(one.port or 0)) for one in (database, store)]
    for way in ways:
        way.mend()
    # Asked directly: told of the replica set, a client would find the way around the wire.
    addresses = {
        "MONGO_URL": f"mongodb://127.0.0.1:{ways[0].port}/?directConnection=true",
        "S3_ENDPOINT": f"http://127.0.0.1:{ways[1].port}",
    }
    with served("query_api", "QUERY_PORT", MONGO_DATABASE=DATABASE, **addresses) as url:
        yield Wires(url, *ways)
    for way in ways:
        way.close()
    with MongoClient[dict[str, Any]](stack.mongo_url) as client:
        client.drop_database(DATABASE)


@pytest.fixture
async def documents(stack: RunningStack) -> AsyncIterator[MongoDocuments]:
    """The database, past the wire."""
    found = mongo.connect(stack.mongo_url, DATABASE)
    yield found
    found.close()


@pytest.fixture
async def http(wires: Wires) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=wires.url, timeout=30) as client:
        yield client


async def until(http: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """The first answer with that status."""
    async with asyncio.timeout(60):
        while True:
            answer = await http.get(path)
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.1)


async def test_without_mongodb_it_is_alive_and_says_what_it_lacks(wires: Wires, http: httpx.AsyncClient) -> None:
    """`live` stays 200, `ready` names the one that is down, requests are answered 503 with when to come back."""
    assert (await http.get("/health/ready")).json()["status"] == "ready"
    wires.mongodb.cut()
    try:
        states = (await until(http, "/health/ready", 503)).json()["dependencies"]
        assert states["mongodb"].startswith("down")
        assert states["s3"] == "up"
        assert (await http.get("/health/live")).status_code == 200
        for path in ("/profiles", "/tasks/none", "/galleries"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
        assert (await http.get("/openapi.json")).status_code == 200
    finally:
        wires.mongodb.mend()
    assert (await until(http, "/health/ready", 200)).json()["dependencies"] == {"mongodb": "up", "s3": "up"}
    assert (await http.get("/profiles")).status_code == 200


async def test_without_s3_all_but_files_is_answered(wires: Wires, http: httpx.AsyncClient) -> None:
    """Crops and contents are 503, as long as it is away."""
    crop = f"/crops/v-{uuid.uuid4().hex}/1/0-0.jpg"
    assert (await http.get(crop)).status_code == 404
    wires.s3.cut()
    try:
        states = (await until(http, "/health/ready", 503)).json()["dependencies"]
        assert states["mongodb"] == "up"
        assert states["s3"].startswith("down")
        assert (await http.get(crop)).status_code == 503
        assert (await http.get("/profiles")).status_code == 200
    finally:
        wires.s3.mend()
    await until(http, crop, 404)


async def test_a_stream_of_events_outlasts_an_outage(
    wires: Wires, http: httpx.AsyncClient, documents: MongoDocuments
) -> None:
    """The client stays connected while MongoDB is away, and hears of what happened meanwhile, up to the end."""
    stored = Stored(documents, f"g-{uuid.uuid4().hex[:12]}")
    await registration.ensure_gallery(documents, stored.gallery, START)
    video = await stored.video(status=lifecycle.QUEUED)
    said: list[str] = []
    try:
        async with http.stream("GET", f"/tasks/{task_id(video, 1)}/events") as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                said.append(json.loads(line.removeprefix("data: "))["status"])
                if len(said) == 1:
                    wires.mongodb.cut()
                    await until(http, f"/tasks/{task_id(video, 1)}", 503)
                    await lifecycle.finish(documents, video, 1, lifecycle.DONE, now_utc())
                    wires.mongodb.mend()
    finally:
        wires.mongodb.mend()
    assert said == ["queued", "done"]
