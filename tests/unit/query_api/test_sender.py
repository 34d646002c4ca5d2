"""Webhooks: at least once, in order, whatever fails; given up in the end, and sent once more when asked."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from castlist.adapters.memory.web_calls import Call
from castlist.clock import now_utc
from castlist.ports.web_calls import Answer, NoAnswerError
from castlist.store.query import add, eq, set_to, with_id
from castlist.store.records.alerts import DeliveryRecord, WebhookRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from query_api.alerts.retry_policy import RetryPolicy, outcome_of
from testkit.alerted import SECRET, Alerted
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.faults import Faults, at_every_moment
from testkit.stored import Stored


@pytest.fixture
def gallery() -> CorrectedGallery:
    """Nobody is in it."""
    return CorrectedGallery()


@pytest.fixture
def alerted(gallery: CorrectedGallery) -> Alerted:
    """Who hears of it; receivers that are away are given up after an hour."""
    return Alerted(gallery.servers, G, RetryPolicy(patience=timedelta(hours=1)))


def answering(statuses: dict[str, list[int | None]]) -> Callable[[Call], Answer]:
    """A receiver that answers so to each kind of event, one after the other and the last for ever; None: not at all."""

    def answer(call: Call) -> Answer:
        left = statuses.get(json.loads(call.body)["type"], [200])
        status = left.pop(0) if len(left) > 1 else left[0]
        if status is None:
            raise NoAnswerError("connection refused")
        return Answer(status)

    return answer


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_id"] for event in events]


async def statuses(store: Store) -> dict[str, int]:
    """How many deliveries are in each state."""
    return await store.deliveries.count_by(eq(DeliveryRecord.webhook_id, "webhook"), DeliveryRecord.status)


async def test_everything_arrives_in_order(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """What commits say, how tasks end, and alerts; of what was before the webhook, nothing."""
    await gallery.video("a", {0: 0.0})
    await alerted.round()
    before = len(await alerted.feed())
    await alerted.webhook()
    await alerted.watch(await gallery.of("a"))
    await gallery.video("b", {0: 0.1, 1: 5.0})
    await Stored(gallery.servers.stored, G).video("c", lifecycle.FAILED)
    await gallery.card(await gallery.of("a"), name="Ann")
    await alerted.settle()
    arrived = alerted.arrived()
    assert arrived == (await alerted.feed())[before:]
    assert {one["event"] for one in arrived} >= {
        "PersonAppeared", "ProfileCreated", "TaskFinished", "ProfileRenamed", "WatchedPersonAppeared",
    }  # fmt: skip
    assert [one["status"] for one in arrived if one["event"] == "TaskFinished"] == ["done", "failed"]
    assert await statuses(gallery.servers.stored) == {"delivered": len(arrived)}
    versions = [(one["gallery_version"], one["index"]) for one in arrived if "gallery_version" in one]
    assert versions == sorted(versions)


async def test_a_message_is_as_the_standard_says(
    gallery: CorrectedGallery, alerted: Alerted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its library verifies it; the id is the event's."""
    monkeypatch.setattr(gallery.servers, "clock", now_utc)
    alerted.start()
    await alerted.webhook()
    await gallery.video("a", {0: 0.0})
    await alerted.settle()
    for call in alerted.calls.received:
        message = Webhook(SECRET).verify(call.body, dict(call.headers))
        assert message["type"] == message["data"]["event"]
        assert message["timestamp"] == message["data"]["occurred_at"]
        assert call.headers["webhook-id"] == message["data"]["event_id"]
        assert call.headers["Content-Type"] == "application/json"


async def test_only_what_was_asked_for_is_sent(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """And the rest is passed over for good."""
    await alerted.webhook(events=["TaskFinished"])
    await gallery.video("a", {0: 0.0})
    await gallery.video("b", {0: 0.0})
    await alerted.settle()
    assert [one["event"] for one in alerted.arrived()] == ["TaskFinished", "TaskFinished"]


async def test_galleries_hear_of_themselves_alone(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """What happens in one is none of another's business."""
    other = Alerted(gallery.servers, "other")
    await other.webhook("other")
    await gallery.video("a", {0: 0.0})
    await other.settle()
    assert other.arrived("other") == []


async def test_what_comes_later_waits_for_what_failed(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """The same message is tried again, further and further apart, and only then the next one."""
    await alerted.webhook()
    alerted.calls.answer = answering({"PersonAppeared": [500, None, 429, 302, 200]})
    await gallery.video("a", {0: 0.0})
    await alerted.settle()
    feed = await alerted.feed()
    arrived = ids(alerted.arrived())
    assert list(dict.fromkeys(arrived)) == ids(feed)
    appeared = next(one["event_id"] for one in feed if one["event"] == "PersonAppeared")
    assert arrived.count(appeared) == 5
    assert len(arrived) == len(feed) + 4
    (delivery,) = await gallery.servers.stored.deliveries.find(eq(DeliveryRecord.event, "PersonAppeared"))
    assert (delivery.status, delivery.attempts, delivery.http_status, delivery.error) == ("delivered", 5, 200, None)


async def test_pauses_grow_and_are_as_long_as_the_receiver_asks(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Nothing is sent before its time."""
    await alerted.webhook()
    await gallery.video("a", {0: 0.0})
    pauses = []
    for count, asked in enumerate((None, None, 40.0, None), 1):
        alerted.calls.answer = lambda _, asked=asked: Answer(503, asked)  # type: ignore[misc]
        await alerted.round()
        webhook = await gallery.servers.stored.webhooks.get("webhook")
        (delivery,) = await gallery.servers.stored.deliveries.find()
        assert webhook is not None
        pauses.append((webhook.due_after - delivery.at).total_seconds())
        if asked:
            await alerted.round()
        assert len(alerted.calls.received) == count
        gallery.servers.now = webhook.due_after
    assert pauses == [1, 2, 40, 8]


async def test_what_is_refused_becomes_a_dead_letter_and_the_next_one_goes_on(
    gallery: CorrectedGallery, alerted: Alerted
) -> None:
    """After eight attempts; the rest arrives, and asked for it is sent once more, in order."""
    await alerted.webhook()
    alerted.calls.answer = answering({"PersonAppeared": [400]})
    await gallery.video("a", {0: 0.0})
    await gallery.video("b", {0: 0.0})
    await alerted.settle()
    feed, store = await alerted.feed(), gallery.servers.stored
    appeared = [one["event_id"] for one in feed if one["event"] == "PersonAppeared"]
    assert list(dict.fromkeys(ids(alerted.arrived()))) == ids(feed)
    assert await statuses(store) == {"delivered": len(feed) - 2, "dead": 2}
    dead = await store.deliveries.find(eq(DeliveryRecord.status, "dead"))
    assert {(one.attempts, one.http_status, one.error) for one in dead} == {(8, 400, "HTTP 400")}
    alerted.calls.answer = answering({})
    alerted.calls.received.clear()
    await replay(store, "dead")
    await gallery.video("c", {0: 0.0})
    await alerted.settle()
    assert ids(alerted.arrived())[:2] == appeared
    assert await statuses(store) == {"delivered": len(await alerted.feed())}


async def replay(store: Store, status: str) -> None:
    """As the endpoint has it."""
    once_more = set_to(DeliveryRecord.status, "queued") & set_to(DeliveryRecord.attempts, 0)
    await store.deliveries.update_many(eq(DeliveryRecord.status, status), once_more)
    await store.webhooks.update(with_id("webhook"), set_to(WebhookRecord.waiting, True) & add(WebhookRecord.rung, 1))


async def test_what_is_replayed_is_tried_again_like_anything_else(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Before anything new, and given up as before."""
    await alerted.webhook()
    await gallery.video("a", {0: 0.0})
    await alerted.settle()
    alerted.calls.received.clear()
    alerted.calls.answer = answering({"ProfileCreated": [500, 200], "PersonAppeared": [404]})
    await replay(gallery.servers.stored, "delivered")
    await gallery.video("b", {0: 9.0})
    await alerted.settle()
    arrived = [one["event"] for one in alerted.arrived()]
    assert arrived[:10] == ["ProfileCreated"] * 2 + ["PersonAppeared"] * 8
    assert await statuses(gallery.servers.stored) == {"delivered": 4, "dead": 2}


async def test_what_is_kept_no_longer_cannot_be_sent_again(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """It is a dead letter that says so; the rest is sent."""
    await alerted.webhook()
    await gallery.video("a", {0: 0.0})
    await alerted.settle()
    await gallery.servers.stored.gallery_log.delete(with_id(f"{G}:1:0"))
    await replay(gallery.servers.stored, "delivered")
    await Stored(gallery.servers.stored, G).video("c", lifecycle.FAILED)
    alerted.calls.received.clear()
    await alerted.settle()
    assert [one["event"] for one in alerted.arrived()] == ["TaskFinished"]
    dead = await gallery.servers.stored.deliveries.find(eq(DeliveryRecord.status, "dead"))
    assert {one.error for one in dead} == {"It is kept no longer."}


async def test_a_receiver_that_is_away_for_long_costs_what_was_tried(
    gallery: CorrectedGallery, alerted: Alerted
) -> None:
    """Each message gets an attempt of its own before it is given up; once the receiver is back, the rest arrives."""
    await alerted.webhook()
    alerted.calls.answer = answering({"ProfileCreated": [None], "PersonAppeared": [None], "TaskFinished": [200]})
    await gallery.video("a", {0: 0.0})
    for _ in range(40):
        webhook = await gallery.servers.stored.webhooks.get("webhook")
        assert webhook is not None
        gallery.servers.now = max(gallery.servers.now, webhook.due_after)
        await alerted.round()
    assert await statuses(gallery.servers.stored) == {"dead": 2, "delivered": 1}
    webhook = await gallery.servers.stored.webhooks.get("webhook")
    assert webhook is not None
    assert (webhook.failures, webhook.failing_since) == (0, None)
    dead = await gallery.servers.stored.deliveries.find(eq(DeliveryRecord.status, "dead"))
    assert sorted(one.attempts for one in dead)[0] == 1
    assert {(one.http_status, one.error) for one in dead} == {(None, "connection refused")}


async def test_a_receiver_that_is_gone_is_sent_nothing_more(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """410 is for good."""
    await alerted.webhook()
    alerted.calls.answer = answering({"ProfileCreated": [410]})
    await gallery.video("a", {0: 0.0})
    await alerted.settle()
    await gallery.video("b", {0: 0.0})
    await alerted.settle()
    assert len(alerted.calls.received) == 1
    webhook = await gallery.servers.stored.webhooks.get("webhook")
    assert webhook is not None
    assert webhook.disabled_at is not None
    assert await statuses(gallery.servers.stored) == {"dead": 1}
    alerted.calls.answer = answering({})
    await replay(gallery.servers.stored, "dead")
    await gallery.servers.stored.webhooks.update(with_id("webhook"), set_to(WebhookRecord.disabled_at, None))
    await alerted.settle()
    assert alerted.arrived()[1:] == await alerted.feed()


async def test_a_slow_or_failing_receiver_holds_up_no_other(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Each is sent to on its own."""
    await alerted.webhook("broken")
    await alerted.webhook("well")

    def answer(call: Call) -> Answer:
        return Answer(500 if "broken" in call.url else 200)

    alerted.calls.answer = answer
    await gallery.video("a", {0: 0.0})
    await alerted.round()
    assert alerted.arrived("well") == await alerted.feed()
    assert len(alerted.arrived("broken")) == 1


async def test_webhooks_survive_every_crash() -> None:
    """Whatever fails or dies: all arrive, and each for the first time after those before it."""

    async def scenario(faults: Faults) -> Any:
        gallery = CorrectedGallery(faults)
        alerted = Alerted(gallery.servers, G)
        await gallery.video("a", {0: 0.0})
        await alerted.webhook()
        await alerted.round()
        await gallery.video("b", {0: 0.1, 1: 5.0})
        await Stored(gallery.servers.stored, G).video("c", lifecycle.FAILED)
        faults.begin()
        await alerted.settle()
        arrived, feed = ids(alerted.arrived()), ids(await alerted.feed())
        first = list(dict.fromkeys(arrived))
        assert first == feed[-len(first) :]
        assert len(arrived) <= len(first) + 1  # a kill repeats what was under way
        return len(first), await statuses(gallery.servers.stored)

    assert await at_every_moment(scenario)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"), (204, "delivered"), (301, "failed"), (307, "failed"), (400, "refused"), (401, "refused"),
        (404, "refused"), (408, "failed"), (410, "gone"), (425, "failed"), (429, "failed"), (500, "failed"),
        (503, "failed"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, outcome: str) -> None:
    """Redirects are not followed; what may be meant for now is not taken for a refusal."""
    assert outcome_of(status) == outcome


def test_pauses_double_up_to_the_longest() -> None:
    """An hour, however long it was in vain; a receiver may not ask for more."""
    policy = RetryPolicy()
    assert [policy.pause(n).total_seconds() for n in (1, 2, 3, 12, 13, 1000)] == [1, 2, 4, 2048, 3600, 3600]
    assert policy.pause(1, 60).total_seconds() == 60
    assert policy.pause(1, 1e9).total_seconds() == 3600


def test_the_first_failure_is_no_reason_to_give_up() -> None:
    """Nor is a refusal, until there were enough of them; a receiver that was away for long enough is."""
    policy = RetryPolicy()
    assert not policy.gives_up("failed", 1, NOW, NOW)
    assert not policy.gives_up("refused", policy.most_refusals - 1, NOW, NOW)
    assert policy.gives_up("refused", policy.most_refusals, NOW, NOW)
    assert policy.gives_up("failed", 1, NOW - policy.patience, NOW)


NOW = now_utc()
