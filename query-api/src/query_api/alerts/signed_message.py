"""An event as a webhook gets it, by Standard Webhooks (https://www.standardwebhooks.com). Pure."""

from datetime import datetime

import orjson
from standardwebhooks import Webhook

from query_api.alerts.feed_reading import FeedEvent


def body_of(event: FeedEvent) -> bytes:
    """`type`, `timestamp` (when it happened), and `data`: the event as it is on `profile.events`."""
    head = orjson.dumps({"type": event.name, "timestamp": event.occurred_at})
    return head[:-1] + b',"data":' + event.text.encode() + b"}"


def headers_of(event: FeedEvent, body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """Signed anew for each attempt: receivers refuse what was signed long ago. The id stays, by which they know an
    event that they have."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "castlist",
        "webhook-id": event.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event.event_id, now, body.decode()),
    }
