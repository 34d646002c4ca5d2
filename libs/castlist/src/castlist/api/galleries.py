"""Galleries, how much is in them, and their settings."""

from dataclasses import asdict
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from castlist.api.resource import Page, Resource, TotalSeconds, Word
from castlist.contract import values
from castlist.contract.bounds import MOST_REASONS
from castlist.contract.values import GalleryId, Tally, Whole


class Gallery(Resource):
    """A namespace of people. `settled`: no task is open, and no commit or re-clustering is pending."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": "newsroom", "videos": 12, "profiles": 7, "tasks_open": 0, "settled": True}}
    )

    id: GalleryId
    videos: Tally
    profiles: Tally
    tasks_open: Tally
    settled: bool


class GalleryPage(Page[Gallery]):
    """Galleries, by their names."""


class TaskCounts(Resource):
    """How many tasks are in each state."""

    queued: Tally
    processing: Tally
    done: Tally
    failed: Tally
    cancelled: Tally


class GalleryStats(Resource):
    """How much is in a gallery. `video_seconds`: how long its videos are, as far as they were planned.
    `screen_seconds`: how long its people are seen in them, each on their own. `faces_skipped`: faces that nobody was
    made of, by reason; as everywhere, of each video's latest run that was done.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "newsroom", "videos": 12, "video_seconds": 5400.5, "people": 7, "named": 3, "unnamed": 4,
                "hidden": 1, "appearances": 31, "screen_seconds": 1830.25, "faces_skipped": {"too_small": 41},
                "tasks": {"queued": 1, "processing": 2, "done": 10, "failed": 1, "cancelled": 0},
            }
        }
    )  # fmt: skip

    id: GalleryId
    videos: Tally
    video_seconds: TotalSeconds
    people: Tally
    named: Tally
    unnamed: Tally
    hidden: Tally
    appearances: Tally
    screen_seconds: TotalSeconds
    faces_skipped: Annotated[dict[Word, Whole], Field(max_length=MOST_REASONS)]
    tasks: TaskCounts


_KINDS = get_type_hints(values.GallerySettings, include_extras=True)
_SETTINGS: dict[str, Any] = {name: (kind, ...) for name, kind in _KINDS.items()}
_CHANGES: dict[str, Any] = {name: (kind, None) for name, kind in _KINDS.items()}
GallerySettings = create_model(
    "GallerySettings",
    __base__=Resource,
    __doc__="How faces are looked for and matched in a gallery.",
    **_SETTINGS,
)
GallerySettings.model_config["json_schema_extra"] = {"example": asdict(values.NEW_GALLERY)}
GallerySettingsChange = create_model(
    "GallerySettingsChange",
    __config__=ConfigDict(extra="forbid", json_schema_extra={"example": {"samples_per_second": 10.0}}),
    __doc__="Settings to change; those not named stay. Later tasks use them; a new distance re-clusters the gallery.",
    **_CHANGES,
)


class NewGallery(BaseModel):
    """A gallery to be made. Settings that are not named are those of any new gallery."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"id": "newsroom", "settings": {"smallest_face": 60}}}
    )

    id: GalleryId
    settings: GallerySettingsChange | None = None
