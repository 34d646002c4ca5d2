"""Query parameters, each list its own."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from castlist.api.tasks import Status
from castlist.contract.bounds import WHOLE
from castlist.contract.values import ExternalId, GalleryId, Moment, PersonName, ProfileId, Seconds, Tag, VideoId
from castlist.service.request_parsing import Query
from query_api.http.timecode import TIMECODE

Limit = Annotated[int, Field(ge=1, le=500, description="rows a page")]
InGallery = Annotated[GalleryId | None, Field(description="only those of this gallery")]
InVideo = Annotated[VideoId | None, Field(description="only those of this video")]


ProfileOrder = Literal[
    "created_at", "-created_at", "name", "-name", "last_seen", "-last_seen", "videos", "-videos", "seconds", "-seconds"
]
Hidden = Annotated[
    Literal["true", "false", "any"], Field(description="those that are hidden: only them, none of them, or as others")
]


def wanted_hidden(asked: str) -> tuple[bool, ...]:
    """What `hidden` may be of those who are shown, by what was asked for."""
    return {"true": (True,), "false": (False,)}.get(asked, (False, True))


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
    name: Annotated[
        PersonName | None, Field(description="only those whose name begins so; case and accents do not matter")
    ] = None
    unnamed: Annotated[bool | None, Field(description="only those without a name, or only those with one")] = None
    hidden: Hidden = "false"
    tag: Annotated[Tag | None, Field(description="only those with this tag")] = None
    seen_after: Annotated[
        Moment | None, Field(description="only those in a video that was recorded then or later (or else came to us)")
    ] = None
    seen_before: Annotated[
        Moment | None, Field(description="only those in a video that was recorded before; with both: between them")
    ] = None
    min_videos: Annotated[int | None, Field(ge=1, le=WHOLE, description="only those in at least so many videos")] = None
    companion: Annotated[
        ProfileId | None, Field(alias="with", description="only those who are in a video with this profile")
    ] = None
    together: Annotated[bool, Field(description="and are on screen with it at the same time")] = False
    sort: Annotated[ProfileOrder, Field(description="by what, upwards, or with `-` downwards")] = "created_at"

    @field_validator("together")
    @classmethod
    def _with_somebody(cls, together: bool, others: ValidationInfo) -> bool:
        if together and others.data.get("companion") is None:
            raise ValueError("`with` says with whom")
        return together


class OnScreenQuery(Query):
    """Whom to show of those who are in a video."""

    hidden: Hidden = "false"


class MarkerQuery(OnScreenQuery):
    """Whose stretches of a video."""

    profile: Annotated[ProfileId | None, Field(description="only this person's")] = None


class EdlQuery(Query):
    """Where the timeline of an EDL begins."""

    begin: Annotated[
        Annotated[str, Field(pattern=TIMECODE)], Field(description="the timecode at which the timeline begins")
    ] = "01:00:00:00"


class MarkerEdlQuery(MarkerQuery, EdlQuery):
    """Whose stretches of a video, as markers of a timeline."""


class TracksQuery(OnScreenQuery):
    """Whose tracks, and when."""

    start: Annotated[Seconds | None, Field(description="only those on screen from then on, in seconds")] = None
    end: Annotated[Seconds | None, Field(description="only those on screen before, in seconds")] = None


class TimelineQuery(Paged):
    """In which order of the videos' moments."""

    sort: Annotated[Literal["at", "-at"], Field(description="the oldest, or the newest first")] = "at"


class PeopleOfVideoQuery(Paged):
    """Who of those in a video."""

    hidden: Hidden = "false"


class VideoQuery(Paged):
    """Which videos."""

    gallery: InGallery = None
    sha256: Annotated[
        Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None, Field(description="only that with these bytes")
    ] = None
    external_id: Annotated[
        ExternalId | None, Field(min_length=1, description="only those that were put in with it")
    ] = None


class TrialQuery(Query):
    """Whether it is to be done."""

    dry_run: Annotated[bool, Field(description="whether nothing is done, and only said what it would do")] = False


class DeletionQuery(Query):
    """How a person, or a video, is deleted."""

    erase: Annotated[
        bool, Field(description="whether all goes that could find those who go again, for good; with a receipt")
    ] = False
