"""What a client may say about a video, and what it is answered."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
)

from castlist.contract.values import Gallery, VideoId
from castlist.service.operations import field_errors
from castlist.service.problems import Problem

M = TypeVar("M", bound=BaseModel)

NAME_LENGTH = 255


def clean_name(name: object) -> object:
    """A file's name as text: never a path, nothing that does not print, bounded."""
    if not isinstance(name, str):
        return name
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if unicodedata.category(c)[0] != "C").strip()[:NAME_LENGTH] or None


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


Name = Annotated[str | None, BeforeValidator(clean_name)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# Names only: an access point's ARN, say, would have us speak to other servers.
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")]


class Details(BaseModel):
    """The fields that go with a video."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: Gallery = "default"
    name: Name = None
    recorded_at: Moment | None = None
    external_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    again: bool = False


class ObjectReference(BaseModel):
    """An object that is in S3 already."""

    model_config = ConfigDict(extra="forbid")

    bucket: Bucket
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Announcement(Details):
    """The JSON body of `POST /videos`."""

    object: ObjectReference
    video_id: VideoId | None = None


class VideoAccepted(BaseModel):
    """The answer to `POST /videos`."""

    video_id: str
    task_id: str
    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    status: Literal["queued", "processing", "done", "failed", "cancelled"]
    duplicate: bool


class TaskCancelled(BaseModel):
    """The answer to a cancel."""

    id: str
    video_id: str
    status: Literal["cancelled"]


def valid(model: type[M], given: object) -> M:
    """What was said, as `model`; Problem 422 naming each field that is missing, unknown or out of range."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Problem(422, "What was said about the video is not valid.", errors=field_errors(error)) from None
