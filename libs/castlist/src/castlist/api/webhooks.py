"""Webhooks: where what happens in a gallery is sent, and what was sent."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from castlist.api.examples import MADE, WEBHOOK
from castlist.api.resource import EventId, HttpStatus, Id, Page, Resource, Text, Word
from castlist.contract.topics import PROFILE_EVENTS
from castlist.contract.values import GalleryId, Tally

MOST_WEBHOOKS = 20
"""Of a gallery."""
MOST_REPLAYED = 500
EVENT_NAMES = frozenset(kind.model_fields["event"].default for kind in PROFILE_EVENTS.events)
_LONGEST_URL = 2_000
_DELIVERY = f"{WEBHOOK}:41:1"


def _known(name: str) -> str:
    if name not in EVENT_NAMES:
        raise ValueError(f"one of {', '.join(sorted(EVENT_NAMES))}")
    return name


EventName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(EVENT_NAMES)})]
Url = Annotated[str, StringConstraints(max_length=_LONGEST_URL, pattern=r"^https?://[\x21-\x7e]+$")]


class NewWebhook(BaseModel):
    """Where to send what happens in a gallery. `events`: the names of those to send; none: all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"url": "https://example.com/castlist", "events": ["TaskFinished", "WatchedPersonAppeared"]}
        },
    )

    url: Url
    events: Annotated[list[EventName], Field(max_length=len(EVENT_NAMES))] = []


class Webhook(Resource):
    """Where what happens in a gallery is sent. `waiting`: whether something may still be to be sent. `failing_since`:
    since when no attempt succeeds. `disabled_at`: when the receiver answered 410, after which nothing is sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": WEBHOOK, "gallery": "newsroom", "url": "https://example.com/castlist",
                "events": ["TaskFinished", "WatchedPersonAppeared"], "created_at": MADE, "waiting": False,
                "failing_since": None, "disabled_at": None,
            }
        }
    )  # fmt: skip

    id: Id
    gallery: GalleryId
    url: Text
    events: Annotated[list[Word], Field(max_length=len(EVENT_NAMES))]
    created_at: AwareDatetime
    waiting: bool
    failing_since: AwareDatetime | None
    disabled_at: AwareDatetime | None


class WebhookPage(Page[Webhook]):
    """Webhooks, the oldest first."""


class WebhookSecret(Webhook):
    """A new webhook, with the secret that its messages are signed with. It is shown here and never again."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": WEBHOOK, "gallery": "newsroom", "url": "https://example.com/castlist",
                "events": ["TaskFinished", "WatchedPersonAppeared"], "created_at": MADE, "waiting": False,
                "failing_since": None, "disabled_at": None, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            }
        }
    )  # fmt: skip

    secret: Text


class Delivery(Resource):
    """What became of sending an event to a webhook. `retrying`: it failed and is tried again before anything else is
    sent; `dead`: it was given up; `queued`: it is to be sent once more."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _DELIVERY, "webhook_id": WEBHOOK, "event_id": "d4b8b0c2-52a6-5c57-8e43-9a1c2f7e4d44",
                "event": "TaskFinished", "status": "dead", "attempts": 8, "http_status": 404, "error": "HTTP 404",
                "at": MADE,
            }
        }
    )  # fmt: skip

    id: Annotated[str, StringConstraints(max_length=256)]
    webhook_id: Id
    event_id: EventId
    event: Word
    status: Literal["queued", "retrying", "delivered", "dead"]
    attempts: Tally
    http_status: HttpStatus | None
    error: Text | None
    at: AwareDatetime


class DeliveryPage(Page[Delivery]):
    """Deliveries, those that were tried last first."""


class Replay(BaseModel):
    """What to send once more: these deliveries, or all since a time; of these, only those that were given up unless
    `delivered` is said."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"since": MADE}})

    deliveries: Annotated[
        list[Annotated[str, StringConstraints(max_length=256)]] | None, Field(min_length=1, max_length=MOST_REPLAYED)
    ] = None
    since: AwareDatetime | None = None
    delivered: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> "Replay":
        if (self.deliveries is None) == (self.since is None):
            raise ValueError("either `deliveries` or `since`")
        return self


class Replayed(Resource):
    """How many are sent once more."""

    model_config = ConfigDict(json_schema_extra={"example": {"queued": 3}})

    queued: Tally
