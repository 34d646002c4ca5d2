"""Query parameters, each list its own."""

from typing import Annotated, Literal

from pydantic import Field

from castlist.api.resources import Status
from castlist.contract.values import ExternalId, GalleryId, PersonName, Seconds, VideoId
from castlist.service.request_parsing import Query

Limit = Annotated[int, Field(ge=1, le=500, description="rows a page")]
InGallery = Annotated[GalleryId | None, Field(description="only those of this gallery")]
InVideo = Annotated[VideoId | None, Field(description="only those of this video")]


class Paged(Query):
    """A list in pages."""

    limit: Limit = 50
    cursor: Annotated[
        Annotated[str, Field(max_length=2048)] | None, Field(description="`next_cursor` of the page before")
    ] = None


class TaskQuery(Paged):
    """Which tasks."""

    gallery: InGallery = None
    status: Annotated[Status | None, Field(description="only those in this state")] = None
    video_id: InVideo = None


class ProfileQuery(Paged):
    """Which people, in which order."""

    gallery: InGallery = None
    video_id: InVideo = None
    name: Annotated[PersonName | None, Field(description="only those of exactly this name")] = None
    sort: Annotated[
        Literal["created_at", "-created_at", "name"], Field(description="the oldest, the newest, or by name")
    ] = "created_at"


Hidden = Annotated[
    Literal["true", "false", "any"], Field(description="those that are hidden: only them, none of them, or as others")
]


class OnScreenQuery(Query):
    """Whom to show of those who are in a video."""

    hidden: Hidden = "false"


class TracksQuery(OnScreenQuery):
    """Whose tracks, and when."""

    start: Annotated[Seconds | None, Field(description="only those on screen from then on, in seconds")] = None
    end: Annotated[Seconds | None, Field(description="only those on screen before, in seconds")] = None


class TimelineQuery(Paged):
    """In which order of the videos' moments."""

    sort: Annotated[Literal["at", "-at"], Field(description="the oldest, or the newest first")] = "at"


class VideoQuery(Paged):
    """Which videos."""

    gallery: InGallery = None
    sha256: Annotated[
        Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None, Field(description="only that with these bytes")
    ] = None
    external_id: Annotated[
        ExternalId | None, Field(min_length=1, description="only those that were put in with it")
    ] = None
