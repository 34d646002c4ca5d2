"""Watches: who wants to hear when a person is in a video."""

from pydantic import AwareDatetime, ConfigDict

from castlist.api.examples import MADE, PROFILE, WATCH
from castlist.api.resource import Id, Page, Resource
from castlist.contract.values import GalleryId

MOST_WATCHES = 1_000
"""Of a gallery."""


class Watch(Resource):
    """That somebody wants to hear when a profile is in a video. `holder`: the profile that holds its people now, as far
    as is known; null where none does."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": WATCH, "gallery": "newsroom", "profile_id": PROFILE, "holder": PROFILE, "created_at": MADE
            }
        }
    )  # fmt: skip

    id: Id
    gallery: GalleryId
    profile_id: Id
    holder: Id | None
    created_at: AwareDatetime


class WatchPage(Page[Watch]):
    """Watches, the oldest first."""
