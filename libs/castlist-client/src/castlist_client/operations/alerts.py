"""What the client says about hearing of a gallery: watches on people, webhooks, and events as they happen."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from castlist.api.watches import Watch
from castlist.api.webhooks import Delivery, Replayed, Webhook, WebhookSecret
from castlist.contract.bounds import LARGEST_EVENT
from castlist_client.operations.services import STREAM_TIMEOUT, Services, segment
from castlist_client.operations.transport import NotFoundError, RequestRefusedError

_AGAIN = 1.0


@dataclass(frozen=True)
class GalleryEvent:
    """An event of `profile.events`, and its `id` in the gallery's stream: where to go on."""

    id: str
    name: str
    data: dict[str, Any]


class AlertCalls(Services):
    """A part of `Client`."""

    async def watch_person(self, profile_id: str) -> Watch:
        """Have it told when this person is in a video; the watch that there is already, where there is one."""
        path = f"{self.query_url}/profiles/{segment(profile_id)}/watches"
        response = await self._call("POST", path, headers=_once(), follow_redirects=True)
        return Watch.model_validate_json(response.content)

    def watches(self, gallery: str) -> AsyncIterator[Watch]:
        """Who is watched for in a gallery, the oldest watch first."""
        return self._all(f"/galleries/{segment(gallery)}/watches", Watch)

    async def unwatch(self, watch_id: str) -> None:
        """Take a watch away. NotFoundError if there is none."""
        await self._call("DELETE", f"{self.query_url}/watches/{segment(watch_id)}")

    async def add_webhook(self, gallery: str, url: str, *events: str) -> WebhookSecret:
        """Have what happens in a gallery sent to `url`: these events, or all. The secret is shown only here."""
        path = f"{self.query_url}/galleries/{segment(gallery)}/webhooks"
        response = await self._call("POST", path, headers=_once(), json={"url": url, "events": list(events)})
        return WebhookSecret.model_validate_json(response.content)

    def webhooks(self, gallery: str) -> AsyncIterator[Webhook]:
        """Where what happens in a gallery is sent, and how that goes."""
        return self._all(f"/galleries/{segment(gallery)}/webhooks", Webhook)

    async def remove_webhook(self, webhook_id: str) -> None:
        """Send nothing more there. NotFoundError if there is none."""
        await self._call("DELETE", f"{self.query_url}/webhooks/{segment(webhook_id)}")

    def deliveries(self, webhook_id: str, status: str | None = None) -> AsyncIterator[Delivery]:
        """What became of what was sent in the last seven days, those tried last first."""
        only = {} if status is None else {"status": status}
        return self._all(f"/webhooks/{segment(webhook_id)}/deliveries", Delivery, **only)

    async def replay(
        self, webhook_id: str, *deliveries: str, since: datetime | None = None, delivered: bool = False
    ) -> int:
        """Send these once more, or those since a time that were given up, with `delivered` the others too; how many."""
        which: dict[str, Any] = {"deliveries": list(deliveries)} if deliveries else {}
        which |= {} if since is None else {"since": since.isoformat()}
        path = f"{self.query_url}/webhooks/{segment(webhook_id)}/replay"
        response = await self._call("POST", path, json={**which, "delivered": delivered})
        return Replayed.model_validate_json(response.content).queued

    async def events(self, gallery: str, after: str | None = None) -> AsyncGenerator[GalleryEvent, None]:
        """What happens in a gallery, from now on or behind the event `after`, for ever: where the stream breaks off it
        is taken up again. RequestRefusedError where there is no such gallery."""
        url, last = f"{self.query_url}/galleries/{segment(gallery)}/events", after
        while True:
            with contextlib.suppress(httpx2.TransportError):
                async with self._stream(url, last) as response:
                    async for said in httpx2.EventSource(response, 2 * LARGEST_EVENT):
                        last = said.id or last
                        if said.data:
                            yield GalleryEvent(last or "", said.event, json.loads(said.data))
            await asyncio.sleep(_AGAIN)

    @contextlib.asynccontextmanager
    async def _stream(self, url: str, last: str | None) -> AsyncIterator[httpx2.Response]:
        """Events behind the last one. Errors as of any other call."""
        await self._call("GET", f"{self.query_url}/health/live")  # waits for a service that is away
        headers = {"Accept": "text/event-stream", **self._calls.headers(url)}
        headers |= {} if last is None else {"Last-Event-ID": last}
        async with self._calls.http.stream("GET", url, headers=headers, timeout=STREAM_TIMEOUT) as response:
            if response.status_code != 200:
                await response.aread()
                raise NotFoundError(response) if response.status_code == 404 else RequestRefusedError(response)
            yield response


def _once() -> dict[str, str]:
    """However often it is sent, it is one request."""
    return {"Idempotency-Key": str(uuid.uuid4())}
