"""What holds for every answer: what a client has already, where a list goes on, how much is sent, who may ask, ids."""

import gzip
import logging
import re
from typing import Any

import httpx2
import pytest

from castlist.adapters.memory import MemoryDocuments, MemoryObjects
from castlist.contract.ids import task_id
from castlist.service.json_logging import _AddContext
from castlist.service.openapi import openapi
from castlist.service.operations import application, operations_of
from castlist.store.query import eq, set_to
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from query_api.app import API
from testkit.stored import Stored

OPERATIONS = [one for endpoints in API.endpoints for one in operations_of(endpoints)]


async def test_a_client_is_not_sent_what_it_has(client: httpx2.AsyncClient, store: Store) -> None:
    """Every single resource: 304 for who names its ETag, also among others or as a weak one, until it changes."""
    stored = Stored(store, "g")
    video = await stored.video()
    profile = await stored.profile([video], name="Ada")
    paths = [
        f"/profiles/{profile}", f"/videos/{video}", f"/tasks/{task_id(video, 1)}", "/galleries/g",
        "/galleries/g/settings", "/galleries/g/stats", "/galleries/g/suggestions", f"/videos/{video}/timeline",
    ]  # fmt: skip
    for path in paths:
        first = await client.get(path)
        etag = first.headers["etag"]
        assert re.fullmatch(r'"[0-9a-f-]+"', etag), path
        for known in (etag, f'"other", W/{etag}', "*"):
            again = await client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), path
        changed = await client.get(path, headers={"If-None-Match": '"other"'})
        assert (changed.status_code, changed.headers["etag"]) == (200, etag)
        head = await client.head(path)
        assert (head.status_code, head.headers["etag"]) == (200, etag)
    before = (await client.get(f"/videos/{video}")).headers["etag"]
    await store.videos.update(eq(VideoRecord.id, video), set_to(VideoRecord.duration, 5.0))
    answer = await client.get(f"/videos/{video}", headers={"If-None-Match": before})
    assert (answer.status_code, answer.json()["duration"]) == (200, 5.0)
    assert "etag" not in (await client.get("/profiles/none")).headers


async def test_a_profiles_etag_begins_with_its_revision(client: httpx2.AsyncClient, store: Store) -> None:
    """What a change by hand is held against; the rest follows whatever else is shown."""
    stored = Stored(store, "g")
    video = await stored.video()
    profile = await stored.profile([video], revision=41)
    first = (await client.get(f"/profiles/{profile}")).headers["etag"]
    assert re.fullmatch(r'"41-[0-9a-f]+"', first)
    await store.profiles.update(eq(ProfileRecord.id, profile), set_to(ProfileRecord.milliseconds, 1))
    second = (await client.get(f"/profiles/{profile}")).headers["etag"]
    assert re.fullmatch(r'"41-[0-9a-f]+"', second)
    assert first != second


async def test_a_list_links_to_where_it_goes_on(client: httpx2.AsyncClient, store: Store) -> None:
    """With all that was asked; the last page links to none."""
    stored = Stored(store, "g")
    video = await stored.video()
    profiles = [await stored.profile([video, *[await stored.video() for _ in range(2)]]) for _ in range(3)]
    lists = {
        "/profiles?gallery=g&limit=2": 3, "/videos?gallery=g&limit=4": 7, "/tasks?gallery=g&limit=4": 7,
        f"/videos/{video}/profiles?limit=2": 3, f"/profiles/{profiles[0]}/appearances?limit=2": 3,
        f"/profiles/{profiles[0]}/timeline?limit=2&sort=-at": 3,
    }  # fmt: skip
    for path, count in lists.items():
        seen: list[dict[str, Any]] = []
        following: str | None = path
        while following is not None:
            page = await client.get(following)
            seen += page.json()["items"]
            link = page.links.get("next")
            assert (link is None) == (page.json()["next_cursor"] is None)
            assert "etag" not in page.headers
            following = None if link is None else link["url"]
        assert len(seen) == count, path


async def test_what_is_large_is_compressed_for_who_can_read_it(
    client: httpx2.AsyncClient, store: Store, objects: MemoryObjects
) -> None:
    """JSON and WebVTT are; pictures, files and streams are sent as they are."""
    stored = Stored(store, "g")
    video = await stored.video(status="done")
    for _ in range(9):
        await stored.profile([video])
    record = await store.videos.get(video)
    assert record is not None
    objects.store(record.object.key, b"film" * 1000, "text/plain")
    objects.store("crops/v/1/0-0.jpg", b"jpeg" * 1000, "image/jpeg")
    for path, compressed in {
        "/profiles": True, f"/videos/{video}/timeline.vtt": True, f"/videos/{video}/timeline": True,
        "/galleries/g": False, f"/videos/{video}/content": False, "/crops/v/1/0-0.jpg": False,
        f"/tasks/{task_id(video, 1)}/events": False,
    }.items():  # fmt: skip
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        request = client.build_request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = await client.send(request, stream=True)
        raw = b"".join([block async for block in answer.aiter_raw()])
        assert (answer.headers.get("content-encoding") == "gzip") == compressed, path
        assert (gzip.decompress(raw) if compressed else raw) == plain.content
        assert not compressed or len(raw) < len(plain.content) / 2


class Site:
    """The service, for pages of these sites."""

    def __init__(self, *origins: str) -> None:
        self._app = application(openapi(API), [], {}, ["test"], origins)

    async def ask(self, method: str, path: str = "/openapi.json", **headers: str) -> httpx2.Response:
        """A request as a browser makes it."""
        transport = httpx2.ASGITransport(self._app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(
                method, path, headers={name.replace("_", "-"): of for name, of in headers.items()}
            )


async def test_other_sites_may_ask_where_a_setting_says_so() -> None:
    """By default none; then those, for changes too, and for what a program of theirs must see."""
    elsewhere = "https://desk.example"
    closed, here = Site(), Site(elsewhere)
    assert "access-control-allow-origin" not in (await closed.ask("GET", origin=elsewhere)).headers
    answer = await here.ask("GET", origin=elsewhere)
    assert answer.headers["access-control-allow-origin"] == elsewhere
    assert {"ETag", "Link", "Location"} <= set(re.split(", *", answer.headers["access-control-expose-headers"]))
    assert "access-control-allow-origin" not in (await here.ask("GET", origin="https://other.example")).headers
    asked = {"access_control_request_method": "PATCH", "access_control_request_headers": "if-match,content-type"}
    assert (await here.ask("OPTIONS", origin=elsewhere, **asked)).status_code == 200
    assert (await here.ask("OPTIONS", origin="https://other.example", **asked)).status_code == 400
    crossing = {"origin": elsewhere, "sec_fetch_site": "cross-site"}
    assert (await here.ask("POST", **crossing)).status_code == 405
    assert (await closed.ask("POST", **crossing)).status_code == 403
    assert (await here.ask("POST", origin="https://other.example")).status_code == 403


async def test_any_site_may_read_and_none_may_change() -> None:
    """Where the setting is `*`."""
    anyone = Site("*")
    assert (await anyone.ask("GET", origin="https://a.example")).headers["access-control-allow-origin"] == "*"
    assert (await anyone.ask("POST", origin="https://a.example")).status_code == 403
    assert (await anyone.ask("POST", origin="*")).status_code == 403


@pytest.mark.parametrize("given", ["abc-1.2_3", "0af7651916cd43dd8448eb211c80319c", "a" * 128])
async def test_a_clients_request_id_is_taken_over(client: httpx2.AsyncClient, given: str) -> None:
    """So that its log and ours can be put together."""
    answer = await client.get("/galleries", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "a" * 129, "a b", "a\x00", "{}"])
async def test_a_request_without_a_sane_id_gets_one(client: httpx2.AsyncClient, given: str | None) -> None:
    """A new one each time, also where the answer is a problem."""
    headers = {} if given is None else {"X-Request-Id": given}
    answers = [await client.get(path, headers=headers) for path in ("/galleries", "/nowhere", "/profiles?limit=0")]
    told = {answer.headers["x-request-id"] for answer in answers}
    assert len(told) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in told)


async def test_what_is_logged_of_a_request_has_its_id(
    client: httpx2.AsyncClient, documents: MemoryDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a mistake of ours, whose answer has it too."""
    seen: list[Any] = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(getattr(record, "request", None))

    async def wrong(*_: Any, **__: Any) -> Any:
        raise ValueError("spoiled")

    monkeypatch.setattr(documents, "find", wrong)
    handler = Seen()
    handler.addFilter(_AddContext())
    logging.getLogger().addHandler(handler)
    try:
        transport = httpx2.ASGITransport(client._transport.app, raise_app_exceptions=False)  # type: ignore[attr-defined]
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as outside:
            answer = await outside.get("/galleries", headers={"X-Request-Id": "mine"})
    finally:
        logging.getLogger().removeHandler(handler)
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine")
    assert "mine" in seen


def test_what_has_an_etag_says_so() -> None:
    """In the OpenAPI document: 304 of each single resource, and of no list."""
    document = openapi(API)
    for one in OPERATIONS:
        described = document["paths"][re.sub(r":\w+", "", one.path)][one.method.lower()]["responses"]
        assert ("304" in described) == (one.is_resource or one.path.endswith(("/content", "/export"))), one.path
