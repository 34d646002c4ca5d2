"""Query parameters, each list its own."""

from typing import Annotated, Literal

from pydantic import Field

from castlist.contract.values import Gallery, VideoId
from castlist.service.operations import Query
from query_api.schemas import Status

Limit = Annotated[int, Field(ge=1, le=500, description="rows a page")]
Cursor = Annotated[str, Field(max_length=2048, description="`next_cursor` of the page before")]


class Paged(Query):
    """A list in pages."""

    limit: Limit = 50
    cursor: Cursor | None = None


class TaskQuery(Paged):
    gallery: Gallery | None = None
    status: Status | None = None
    video_id: VideoId | None = None


class ProfileQuery(Paged):
    gallery: Gallery | None = None
    video_id: VideoId | None = None
    name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    sort: Literal["created_at", "-created_at", "name"] = "created_at"


class VideoQuery(Paged):
    gallery: Gallery | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    external_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
