"""Watches and webhooks over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from castlist.store.query import set_to, with_id
from castlist.store.records.alerts import DeliveryRecord, DeliveryStatus, FeedRecord, Place, WebhookRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.store import Store
from query_api.alerts.feed_numbering import COMMITS_AT_ONCE, number
from query_api.alerts.feed_reading import last_place
from testkit.stored import START, Stored

URL = "https://receiver.example/hook"


@pytest.fixture
async def stored(store: Store) -> Stored:
    """The gallery `g`."""
    await store.galleries.insert(GalleryRecord(id="g", version=1, created_at=START))
    return Stored(store, "g")


async def added(client: httpx2.AsyncClient, key: str | None = None, **body: Any) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await client.post("/galleries/g/webhooks", json={"url": URL, **body}, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_secret_is_shown_once(client: httpx2.AsyncClient, stored: Stored) -> None:
    """To who adds the webhook; each has its own, that the standard's library takes."""
    one, other = await added(client), await added(client)
    assert one["secret"] != other["secret"]
    assert Webhook(one["secret"]).sign("id", datetime.now(UTC), "{}").startswith("v1,")
    for path in ("/galleries/g/webhooks", f"/webhooks/{one['id']}"):
        assert "secret" not in (await client.get(path)).text
    assert [item["id"] for item in (await client.get("/galleries/g/webhooks")).json()["items"]] == [
        one["id"],
        other["id"],
    ]


async def test_a_request_that_is_repeated_is_answered_as_before(
    client: httpx2.AsyncClient, stored: Stored, store: Store
) -> None:
    """With the secret, for a day; another request under its key is refused."""
    first = await added(client, "key")
    assert await added(client, "key") == first
    assert await store.webhooks.count() == 1
    other = await client.post("/galleries/g/webhooks", json={"url": f"{URL}/2"}, headers={"Idempotency-Key": "key"})
    assert other.status_code == 422
    ago = set_to(WebhookRecord.created_at, datetime.now(UTC) - timedelta(hours=25))
    await store.webhooks.update(with_id(first["id"]), ago)
    late = await client.post("/galleries/g/webhooks", json={"url": URL}, headers={"Idempotency-Key": "key"})
    assert late.status_code == 422


async def test_a_webhook_begins_behind_what_was_said(client: httpx2.AsyncClient, stored: Stored, store: Store) -> None:
    """Nobody is sent a gallery's past."""
    await store.feeds.insert(FeedRecord(id="g", last=7))
    made = await added(client)
    webhook = await store.webhooks.get(made["id"])
    assert webhook is not None
    assert webhook.passed == Place(8, 0)


async def test_what_was_said_before_and_has_no_place_yet_is_past_too(
    client: httpx2.AsyncClient, stored: Stored, store: Store
) -> None:
    """A webhook that is made between a commit and its numbering is not sent it, nor what is numbered with it."""
    for version in range(1, COMMITS_AT_ONCE + 3):
        await store.gallery_log.insert(
            GalleryLogRecord(id=f"g:{version}:0", gallery="g", version=version, part=0, events=("{}",), at=START)
        )
    made = await added(client)
    webhook = await store.webhooks.get(made["id"])
    assert webhook is not None
    assert await number(store) == []
    assert webhook.passed == await last_place(store, "g") == Place(COMMITS_AT_ONCE + 3, 0)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://127.0.0.1:8443/x",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "http://93.184.215.14/",
        "ftp://a.example/",
        "receiver",
        "https://user@a.example/",
        "https://user:word@a.example/",
        "https://a.example/#part",
        "https:///path",
        "https://a.example:99999/",
        "https://[::1/",
        "https://0.0.0.0/",
        "https://[fd00::1]/",
    ],
)
async def test_addresses_that_are_not_called_are_refused(client: httpx2.AsyncClient, stored: Stored, url: str) -> None:
    """Where the address itself says so: of this machine or network, without TLS, or with more than an address."""
    answer = await client.post("/galleries/g/webhooks", json={"url": url})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["url"]


async def test_events_are_known_ones(client: httpx2.AsyncClient, stored: Stored) -> None:
    """A misspelt one would never come."""
    assert (await added(client, events=["TaskFinished", "TaskFinished"]))["events"] == ["TaskFinished"]
    answer = await client.post("/galleries/g/webhooks", json={"url": URL, "events": ["TaskEnded"]})
    assert answer.status_code == 422


async def test_a_gallery_has_so_many_webhooks_and_no_more(client: httpx2.AsyncClient, stored: Stored) -> None:
    """Each costs something with everything that happens."""
    for _ in range(20):
        await added(client)
    assert (await client.post("/galleries/g/webhooks", json={"url": URL})).status_code == 409


async def test_a_webhook_goes_with_its_deliveries(client: httpx2.AsyncClient, stored: Stored, store: Store) -> None:
    """And is not there any more."""
    webhook, other = await added(client), await added(client)
    await delivery(store, webhook["id"], 1, "dead")
    await delivery(store, other["id"], 1, "dead")
    assert (await client.delete(f"/webhooks/{webhook['id']}")).status_code == 204
    for method, path in (
        ("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/replay"),
    ):  # fmt: skip
        answer = await client.request(method, f"/webhooks/{webhook['id']}{path}")
        assert answer.status_code == 404, path
    assert [one.webhook_id for one in await store.deliveries.find()] == [other["id"]]


async def delivery(store: Store, webhook: str, number: int, status: DeliveryStatus) -> str:
    """What became of an event, a second after the one before."""
    id = f"{webhook}:{number}:1"
    await store.deliveries.insert(
        DeliveryRecord(
            id=id,
            webhook_id=webhook,
            number=number,
            index=1,
            event_id=f"event-{number}",
            event="TaskFinished",
            status=status,
            attempts=3,
            http_status=500,
            error="HTTP 500",
            at=START + timedelta(seconds=number),
        )
    )
    return id


async def test_deliveries_are_listed_and_replayed(client: httpx2.AsyncClient, stored: Stored, store: Store) -> None:
    """Those that were given up, since a time or by their ids; those that arrived where that is said. What is under way
    is left alone."""
    webhook = (await added(client))["id"]
    states: list[DeliveryStatus] = ["dead", "delivered", "dead", "retrying"]
    ids = [await delivery(store, webhook, n, status) for n, status in enumerate(states)]
    page = (await client.get(f"/webhooks/{webhook}/deliveries", params={"limit": 3})).json()
    assert [one["id"] for one in page["items"]] == ids[:0:-1]
    assert page["next_cursor"]
    dead = (await client.get(f"/webhooks/{webhook}/deliveries", params={"status": "dead"})).json()["items"]
    assert [one["id"] for one in dead] == [ids[2], ids[0]]

    async def replayed(**body: Any) -> list[str]:
        answer = await client.post(f"/webhooks/{webhook}/replay", json=body)
        assert answer.status_code == 202, answer.text
        queued = (await client.get(f"/webhooks/{webhook}/deliveries", params={"status": "queued"})).json()["items"]
        assert answer.json() == {"queued": len(queued)}
        for one in queued:
            back = set_to(DeliveryRecord.status, states[ids.index(one["id"])])
            at = START + timedelta(seconds=ids.index(one["id"]))
            await store.deliveries.update(with_id(one["id"]), back & set_to(DeliveryRecord.at, at))
            assert one["attempts"] == 0
        return sorted(one["id"] for one in queued)

    await store.webhooks.update(with_id(webhook), set_to(WebhookRecord.disabled_at, START))
    assert await replayed(since=START.isoformat()) == [ids[0], ids[2]]
    record = await store.webhooks.get(webhook)
    assert record is not None
    assert (record.disabled_at, record.waiting, record.rung) == (None, True, 1)
    assert await replayed(since=(START + timedelta(seconds=1)).isoformat(), delivered=True) == [ids[1], ids[2]]
    assert await replayed(deliveries=[ids[1], ids[3], "nothing"]) == [ids[1]]
    other = (await added(client))["id"]
    assert (await client.post(f"/webhooks/{other}/replay", json={"deliveries": ids})).json() == {"queued": 0}
    bodies: list[dict[str, Any]] = [
        {}, {"since": "yesterday"}, {"deliveries": []}, {"since": START.isoformat(), "deliveries": ids},
    ]  # fmt: skip
    for wrong in bodies:
        assert (await client.post(f"/webhooks/{webhook}/replay", json=wrong)).status_code == 422, wrong


async def test_a_profile_is_watched_once(client: httpx2.AsyncClient, stored: Stored) -> None:
    """Asked for again it is the same watch; it is shown, listed, and taken away."""
    profile = await stored.profile([await stored.video()])
    made = await client.post(f"/profiles/{profile}/watches")
    assert made.status_code == 201
    watch = made.json()
    assert (watch["profile_id"], watch["holder"], watch["gallery"]) == (profile, profile, "g")
    again = await client.post(f"/profiles/{profile}/watches")
    assert (again.status_code, again.json()) == (200, watch)
    assert (await client.get(made.headers["location"])).json() == watch
    assert (await client.get("/galleries/g/watches")).json()["items"] == [watch]
    assert (await client.delete(f"/watches/{watch['id']}")).status_code == 204
    assert (await client.get(f"/watches/{watch['id']}")).status_code == 404
    assert (await client.delete(f"/watches/{watch['id']}")).status_code == 404
    assert (await client.get("/galleries/g/watches")).json()["items"] == []


async def test_only_profiles_are_watched(client: httpx2.AsyncClient, stored: Stored) -> None:
    """An id that was merged away leads to the one that holds its people."""
    profile = await stored.profile([await stored.video()])
    retired = await stored.retired(None, profile)
    assert (await client.post("/profiles/nobody/watches")).status_code == 404
    moved = await client.post(f"/profiles/{retired}/watches")
    assert (moved.status_code, moved.headers["location"]) == (308, f"/profiles/{profile}/watches")
    first = await client.post(f"/profiles/{profile}/watches", headers={"Idempotency-Key": "key"})
    assert first.status_code == 201
    another = await stored.profile([await stored.video()])
    taken = await client.post(f"/profiles/{another}/watches", headers={"Idempotency-Key": "key"})
    assert taken.status_code == 422


async def test_a_gallery_that_is_not_there_has_neither(client: httpx2.AsyncClient) -> None:
    """404 for its lists and its events."""
    for path in ("watches", "webhooks", "events"):
        assert (await client.get(f"/galleries/none/{path}")).status_code == 404
    assert (await client.post("/galleries/none/webhooks", json={"url": URL})).status_code == 404
