"""query-api while its servers are away: what it says then, and that it comes back by itself."""

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import pytest

from castlist.clock import now_utc
from castlist.contract.ids import task_id
from castlist.store.store import Store
from castlist.tasks import galleries, lifecycle
from testkit.api import new_gallery
from testkit.eventually import eventually_async
from testkit.own_service import TcpProxy, own_service
from testkit.own_storage import own_database, own_store
from testkit.running_stack import RunningStack
from testkit.stored import START, Stored

pytestmark = pytest.mark.stack


@dataclass
class Proxied:
    """A query-api, and the proxies between it and its servers."""

    url: str
    mongodb: TcpProxy
    s3: TcpProxy


@pytest.fixture(scope="module")
def database_name(stack: RunningStack) -> Iterator[str]:
    with own_database(stack, "outages") as name:
        yield name


@pytest.fixture(scope="module")
def proxied(stack: RunningStack, database_name: str) -> Iterator[Proxied]:
    """A query-api whose connections can be cut."""
    servers = urlsplit(stack.mongo_url), urlsplit(stack.s3_endpoint)
    proxies = [TcpProxy(str(server.hostname), int(server.port or 0)) for server in servers]
    for proxy in proxies:
        proxy.mend()
    # Asked directly: told of the replica set, a client would find the way around the proxy.
    addresses = {
        "MONGO_URL": f"mongodb://127.0.0.1:{proxies[0].port}/?directConnection=true",
        "S3_ENDPOINT": f"http://127.0.0.1:{proxies[1].port}",
    }
    with own_service("query_api", "QUERY_PORT", MONGO_DATABASE=database_name, **addresses) as service:
        yield Proxied(service.url, *proxies)
    for proxy in proxies:
        proxy.close()


@pytest.fixture
async def store(stack: RunningStack, database_name: str) -> AsyncIterator[Store]:
    """The database, past the proxy."""
    async with own_store(stack, database_name) as store:
        yield store


@pytest.fixture
async def http(proxied: Proxied) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=proxied.url, timeout=30) as client:
        yield client


async def first_answer(http: httpx2.AsyncClient, path: str, status: int) -> httpx2.Response:
    """The first one with that status."""

    async def answered() -> httpx2.Response | None:
        answer = await http.get(path)
        return answer if answer.status_code == status else None

    found: httpx2.Response = await eventually_async(answered)
    return found


async def test_without_mongodb_it_is_alive_and_says_what_it_lacks(proxied: Proxied, http: httpx2.AsyncClient) -> None:
    """`live` stays 200, `ready` names the one that is down, requests are answered 503 with when to come back."""
    assert (await http.get("/health/ready")).json()["status"] == "ready"
    proxied.mongodb.cut()
    try:
        states = (await first_answer(http, "/health/ready", 503)).json()["dependencies"]
        assert states["mongodb"].startswith("down")
        assert states["s3"] == "up"
        assert (await http.get("/health/live")).status_code == 200
        for path in ("/profiles", "/tasks/none", "/galleries"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
        assert (await http.get("/openapi.json")).status_code == 200
    finally:
        proxied.mongodb.mend()
    assert (await first_answer(http, "/health/ready", 200)).json()["dependencies"] == {"mongodb": "up", "s3": "up"}
    assert (await http.get("/profiles")).status_code == 200


async def test_without_s3_all_but_files_is_answered(proxied: Proxied, http: httpx2.AsyncClient) -> None:
    """Crops and contents are 503, as long as it is away."""
    crop = f"/crops/v-{uuid.uuid4().hex}/1/0-0.jpg"
    assert (await http.get(crop)).status_code == 404
    proxied.s3.cut()
    try:
        states = (await first_answer(http, "/health/ready", 503)).json()["dependencies"]
        assert states["mongodb"] == "up"
        assert states["s3"].startswith("down")
        assert (await http.get(crop)).status_code == 503
        assert (await http.get("/profiles")).status_code == 200
    finally:
        proxied.s3.mend()
    await first_answer(http, crop, 404)


async def test_a_stream_of_events_outlasts_an_outage(proxied: Proxied, http: httpx2.AsyncClient, store: Store) -> None:
    """The client stays connected while MongoDB is away, and hears of what happened meanwhile, up to the end."""
    stored = Stored(store, new_gallery("outage"))
    await galleries.ensure_gallery(store, stored.gallery, START)
    video = await stored.video(status=lifecycle.QUEUED)
    said: list[str] = []
    try:
        async with http.stream("GET", f"/tasks/{task_id(video, 1)}/events") as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                said.append(json.loads(line.removeprefix("data: "))["status"])
                if len(said) == 1:
                    proxied.mongodb.cut()
                    await first_answer(http, f"/tasks/{task_id(video, 1)}", 503)
                    await lifecycle.finish(store, video, 1, lifecycle.DONE, now_utc())
                    proxied.mongodb.mend()
    finally:
        proxied.mongodb.mend()
    assert said == ["queued", "done"]
