"""Webhooks: where what happens in a gallery is sent, what was sent, and sending it once more."""

import base64
import contextlib
import hashlib
import ipaddress
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from castlist.api.problems import ProblemField
from castlist.api.webhooks import (
    MOST_WEBHOOKS,
    Delivery,
    DeliveryPage,
    NewWebhook,
    Replay,
    Replayed,
    Webhook,
    WebhookPage,
    WebhookSecret,
)
from castlist.clock import now_utc
from castlist.ports.errors import AlreadyExistsError
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.public_addresses import Network, is_in, is_public
from castlist.service.request_parsing import NoQuery, parse_body
from castlist.store.query import add, at_least, eq, one_of, set_to, with_id, with_ids
from castlist.store.records.alerts import AT_ONCE, DeliveryRecord, WebhookRecord
from castlist.store.store import Store
from query_api.alerts.feed_numbering import number_up_to_now
from query_api.command_outbox import command_key
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import INVALID, none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import Paged
from query_api.http.rendering import json_page, json_response, renderer
from query_api.read_model import ReadModel

_webhook = renderer(Webhook)
_delivery = renderer(Delivery)
_SECRET_BYTES = 32
_ANSWERED_AGAIN = timedelta(days=1)
"""How long a request with the same key is answered as the first one was, with the secret."""


class DeliveryQuery(Paged):
    """Which deliveries."""

    status: Annotated[
        Literal["queued", "retrying", "delivered", "dead"] | None, Field(description="only those in this state")
    ] = None


class Webhooks:
    """/webhooks …; `wake`: to be called when there is something to send. `networks`: those that may be called although
    they are not the world's."""

    def __init__(self, model: ReadModel, wake: Callable[[], None], networks: Sequence[Network]) -> None:
        self._model, self._wake, self._networks = model, wake, networks

    @operation(
        "POST",
        "/galleries/{gallery}/webhooks",
        tag="alerts",
        summary="Send what happens in a gallery",
        replies={
            201: Reply("The webhook, with its secret, which is shown only here.", WebhookSecret),
            409: problem(f"A gallery has at most {MOST_WEBHOOKS} webhooks."),
            422: problem("The address is none that may be called, or the body is not valid."),
            **none("gallery"),
        },
        body={"application/json": NewWebhook},
    )
    async def add_webhook(self, request: Request, _: NoQuery) -> Response:
        """Have all that happens in a gallery from now on sent to an address, signed, by Standard Webhooks.

        Each message is sent at least once, in order, the next one after the one before was answered with 2xx. `data` is
        an event of `profile.events`; its `webhook-id` stays the same whenever it is sent again.
        """
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        asked = await parse_body(NewWebhook, request)
        self._check(asked.url)
        store = self._model.store
        if await store.webhooks.count(eq(WebhookRecord.gallery, gallery.id)) >= MOST_WEBHOOKS:
            raise Problem(409, f"Gallery {gallery.id} has {MOST_WEBHOOKS} webhooks already.")
        webhook = WebhookRecord(
            id=command_key(request),
            gallery=gallery.id,
            url=asked.url,
            secret=f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}",
            events=tuple(sorted(set(asked.events))),
            created_at=now_utc(),
            digest=hashlib.sha256(f"{gallery.id} {asked.model_dump_json()}".encode()).hexdigest(),
            passed=await number_up_to_now(store, gallery.id),
            waiting=True,
        )
        with contextlib.suppress(AlreadyExistsError):
            await store.webhooks.insert(webhook)
        webhook = await self._made(webhook)
        answer = json_response({**_webhook(webhook), "secret": webhook.secret}, 201)
        answer.headers["Location"] = f"/webhooks/{webhook.id}"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @operation(
        "GET",
        "/galleries/{gallery}/webhooks",
        tag="alerts",
        summary="A gallery's webhooks",
        replies={**page("webhooks, the oldest first", WebhookPage), **none("gallery")},
        query=Paged,
    )
    async def list_webhooks(self, request: Request, query: Paged) -> Response:
        """List where what happens in a gallery is sent, and how that goes."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        where, order = eq(WebhookRecord.gallery, gallery.id), Order(WebhookRecord.created_at)
        records, cursor = await self._model.page(self._model.store.webhooks, where, order, query.limit, query.cursor)
        return json_page(request, [_webhook(record) for record in records], cursor)

    @operation("GET", "/webhooks/{webhook_id}", tag="alerts", summary="A webhook", replies=one("webhook", Webhook))
    async def get_webhook(self, request: Request, _: NoQuery) -> Response:
        """Show where a webhook sends to, and how that goes. Its secret is not shown again."""
        return json_response(_webhook(await self._found(request)))

    @operation(
        "DELETE",
        "/webhooks/{webhook_id}",
        tag="alerts",
        summary="Send nothing more",
        replies={204: Reply("The webhook is gone, and what is known of its deliveries."), **none("webhook")},
    )
    async def delete_webhook(self, request: Request, _: NoQuery) -> Response:
        """Take a webhook away. A message that is under way may still arrive."""
        webhook = await self._found(request)

        async def body(transaction: Store) -> None:
            await transaction.webhooks.delete(with_id(webhook.id))
            await transaction.deliveries.delete(eq(DeliveryRecord.webhook_id, webhook.id))

        await self._model.store.transaction(body)
        return Response(status_code=204)

    @operation(
        "GET",
        "/webhooks/{webhook_id}/deliveries",
        tag="alerts",
        summary="What a webhook was sent",
        replies={**page("deliveries, those tried last first", DeliveryPage), **none("webhook")},
        query=DeliveryQuery,
    )
    async def list_deliveries(self, request: Request, query: DeliveryQuery) -> Response:
        """List what was sent in the last seven days, and what became of it; those with status `dead` were given up."""
        webhook = await self._found(request)
        where = eq(DeliveryRecord.webhook_id, webhook.id)
        if query.status is not None:
            where &= eq(DeliveryRecord.status, query.status)
        table, order = self._model.store.deliveries, Order(DeliveryRecord.at, -1)
        records, cursor = await self._model.page(table, where, order, query.limit, query.cursor)
        return json_page(request, [_delivery(record) for record in records], cursor)

    @operation(
        "POST",
        "/webhooks/{webhook_id}/replay",
        tag="alerts",
        summary="Send it once more",
        replies={202: Reply("How many are sent once more.", Replayed), **INVALID, **none("webhook")},
        body={"application/json": Replay},
    )
    async def replay_deliveries(self, request: Request, _: NoQuery) -> Response:
        """Send deliveries once more, in their order and before anything new: those that are named, or those since a
        time that were given up. A webhook whose receiver was gone is used again."""
        webhook = await self._found(request)
        asked = await parse_body(Replay, request)
        which = eq(DeliveryRecord.webhook_id, webhook.id)
        if asked.deliveries is not None:
            which &= with_ids(asked.deliveries) & one_of(DeliveryRecord.status, ["dead", "delivered"])
        else:
            which &= at_least(DeliveryRecord.at, asked.since)
            which &= one_of(DeliveryRecord.status, ["dead", *(["delivered"] if asked.delivered else [])])
        store = self._model.store
        once_more = set_to(DeliveryRecord.status, "queued") & set_to(DeliveryRecord.attempts, 0)
        queued = await store.deliveries.update_many(which, once_more & set_to(DeliveryRecord.at, now_utc()))
        used = (
            set_to(WebhookRecord.disabled_at, None)
            & set_to(WebhookRecord.failing_since, None)
            & set_to(WebhookRecord.failures, 0)
            & set_to(WebhookRecord.due_after, AT_ONCE)
            & set_to(WebhookRecord.waiting, True)
            & add(WebhookRecord.rung, 1)
        )
        await store.webhooks.update(with_id(webhook.id), used)
        self._wake()
        return json_response({"queued": queued}, 202)

    async def _made(self, webhook: WebhookRecord) -> WebhookRecord:
        """The one that the request made, now or when it came before; Problem 422 where another one did, or long ago."""
        made = await self._model.store.webhooks.get(webhook.id)
        if made is None or made.digest != webhook.digest or webhook.created_at - made.created_at > _ANSWERED_AGAIN:
            raise Problem(422, "This Idempotency-Key was used before.")
        return made

    def _check(self, url: str) -> None:
        """Problem 422 for what is no address of a receiver, and for a bare one that would be refused; whom a name leads
        to is seen when it is called."""
        if (reason := refusal(url, self._networks)) is not None:
            raise Problem(422, "The body is not valid.", errors=[ProblemField(field="url", message=reason)])

    async def _found(self, request: Request) -> WebhookRecord:
        webhook = await self._model.store.webhooks.get(request.path_params["webhook_id"])
        if webhook is None:
            raise Problem(404, "There is no such webhook.")
        return webhook


def refusal(url: str, allowed: Sequence[Network]) -> str | None:
    """Why nothing is sent there; None where it may be tried."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        return "not an address without a user, a password and a fragment"
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return None
    if is_in(address, allowed) or (parts.scheme == "https" and is_public(address)):
        return None
    return "not an address that may be called; WEBHOOK_NETWORKS says which may"
