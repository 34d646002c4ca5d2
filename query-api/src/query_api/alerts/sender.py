"""Sending: each webhook on its own, what is said of its gallery in order, the next only after the one before."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from castlist.contract.values import in_short
from castlist.ports.errors import UnavailableError
from castlist.ports.web_calls import NoAnswerError, WebCalls
from castlist.service.metrics import WEBHOOK_CALLS
from castlist.store.query import ascending, below, eq, set_to, with_id
from castlist.store.records.alerts import AT_ONCE, DeliveryRecord, DeliveryStatus, Place, WebhookRecord
from castlist.store.store import Store
from query_api.alerts.feed_reading import FeedEvent, event_at, parts_from
from query_api.alerts.retry_policy import Outcome, RetryPolicy, outcome_of
from query_api.alerts.signed_message import body_of, headers_of

log = logging.getLogger(__name__)
_NO_LONGER_KEPT = "It is kept no longer."


class Sender:
    """One a process; `may_send` says whether it is this process that sends."""

    def __init__(
        self,
        store: Store,
        calls: WebCalls,
        clock: Callable[[], datetime],
        may_send: Callable[[], bool],
        policy: RetryPolicy,
    ) -> None:
        self._store, self._calls, self._clock = store, calls, clock
        self._may_send, self._policy = may_send, policy
        self._running: dict[str, asyncio.Task[None]] = {}

    async def round(self) -> None:
        """Begin with each webhook for which something is due; a slow one holds up no other."""
        self._running = {id: task for id, task in self._running.items() if not task.done()}
        waiting = eq(WebhookRecord.waiting, True) & below(WebhookRecord.due_after, self._clock())
        for webhook in await self._store.webhooks.find(waiting):
            if webhook.id not in self._running:
                self._running[webhook.id] = asyncio.create_task(self._send_all(webhook.id))

    async def idle(self) -> None:
        """Once what was begun has come to an end."""
        await asyncio.gather(*self._running.values())

    async def close(self) -> None:
        """Stop in the middle; what was not seen to arrive is sent again."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _send_all(self, id: str) -> None:
        try:
            while self._may_send():
                webhook = await self._store.webhooks.get(id)
                if webhook is None or webhook.disabled_at is not None or not await self._send_some(webhook):
                    return
        except UnavailableError as error:
            log.warning("round_postponed", extra={"step": "webhooks", "reason": str(error)[:200]})
        except Exception:
            log.exception("webhook_failed", extra={"webhook": id})

    async def _send_some(self, webhook: WebhookRecord) -> bool:
        """What is to be sent once more, else what comes next in the feed; whether to go on."""
        of_webhook = eq(DeliveryRecord.webhook_id, webhook.id)
        order = [ascending(DeliveryRecord.number), ascending(DeliveryRecord.index)]
        queued = await self._store.deliveries.find(
            of_webhook & eq(DeliveryRecord.status, "queued"), sort=order, limit=1
        )
        if queued:
            return await self._send_again(webhook, queued[0])
        parts = await parts_from(self._store, webhook.gallery, webhook.passed.number)
        for part in parts:
            for event in part.events():
                if event.place > webhook.passed and (not webhook.events or event.name in webhook.events):
                    id = delivery_id(webhook.id, event.place)
                    before = await self._store.deliveries.get(id) if webhook.failures else None
                    if not await self._send(webhook, event, before, "retrying") or not self._may_send():
                        return False
                    if webhook.failures:
                        return True  # it is known anew how the receiver does
        end = Place(parts[-1].number + 1) if parts else webhook.passed
        passed = set_to(WebhookRecord.passed, end)
        if parts:
            return await self._store.webhooks.update(with_id(webhook.id), passed) is not None
        heard_all = with_id(webhook.id) & eq(WebhookRecord.rung, webhook.rung)
        return await self._store.webhooks.update(heard_all, set_to(WebhookRecord.waiting, False)) is None

    async def _send_again(self, webhook: WebhookRecord, delivery: DeliveryRecord) -> bool:
        place = Place(delivery.number, delivery.index)
        event = await event_at(self._store, webhook.gallery, place)
        if event is None:
            gone = set_to(DeliveryRecord.status, "dead") & set_to(DeliveryRecord.error, _NO_LONGER_KEPT)
            await self._store.deliveries.update(with_id(delivery.id), gone)
            return True
        return await self._send(webhook, event, delivery, "queued")

    async def _send(
        self, webhook: WebhookRecord, event: FeedEvent, before: DeliveryRecord | None, if_not: DeliveryStatus
    ) -> bool:
        """One attempt, and what follows from it; whether the next one's turn has come."""
        status, error, asked = await self._call(webhook, event)
        outcome: Outcome = "failed" if status is None else outcome_of(status)
        WEBHOOK_CALLS.labels(outcome).inc()
        now, attempts = self._clock(), (before.attempts if before else 0) + 1
        since = webhook.failing_since or now
        over = outcome == "delivered" or self._policy.gives_up(outcome, attempts, since, now)
        said: DeliveryStatus = if_not if not over else "delivered" if outcome == "delivered" else "dead"
        if said == "dead":
            log.warning("webhook_gave_up", extra={"webhook": webhook.id, "event": event.event_id, "reason": error})
        # First what became of it, then that it is passed: a kill in between sends it twice, never not at all.
        await self._store.deliveries.replace(
            DeliveryRecord(
                id=delivery_id(webhook.id, event.place),
                webhook_id=webhook.id,
                number=event.place.number,
                index=event.place.index,
                event_id=event.event_id,
                event=event.name,
                status=said,
                attempts=attempts,
                http_status=status,
                error=error,
                at=now,
            )
        )
        at_fault = over and outcome == "refused"  # the message, not the receiver: the next one may do
        failures = 0 if outcome == "delivered" or at_fault else webhook.failures + 1
        pause = self._policy.pause(failures, asked) if failures else None
        change = (
            set_to(WebhookRecord.failures, failures)
            & set_to(WebhookRecord.failing_since, None if outcome == "delivered" else since)
            & set_to(WebhookRecord.due_after, now + pause if pause else AT_ONCE)
        )
        if over and if_not == "retrying":
            change &= set_to(WebhookRecord.passed, event.place)
        if outcome == "gone":
            log.warning("webhook_gone", extra={"webhook": webhook.id, "gallery": webhook.gallery})
            change &= set_to(WebhookRecord.disabled_at, now) & set_to(WebhookRecord.waiting, False)
        still_there = await self._store.webhooks.update(with_id(webhook.id), change) is not None
        return still_there and not failures

    async def _call(self, webhook: WebhookRecord, event: FeedEvent) -> tuple[int | None, str | None, float | None]:
        """The status, or None; why it is no success, or None; the seconds that the receiver asks for, or None."""
        body = body_of(event)
        try:
            headers = headers_of(event, body, webhook.secret, self._clock())
            answer = await self._calls.post(webhook.url, headers, body)
        except NoAnswerError as error:
            return None, in_short(str(error), 500), None
        reason = None if outcome_of(answer.status) == "delivered" else f"HTTP {answer.status}"
        return answer.status, reason, answer.retry_after


def delivery_id(webhook: str, place: Place) -> str:
    """`webhook:number:index`."""
    return f"{webhook}:{place.number}:{place.index}"
