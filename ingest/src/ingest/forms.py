"""What a client may say about a video, and what it is answered."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from castlist.events import Gallery, VideoId

NAME_LENGTH = 255


def clean_name(name: object) -> object:
    """A file's name as text: never a path, nothing that does not print, bounded."""
    if not isinstance(name, str):
        return name
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if unicodedata.category(c)[0] != "C").strip()[:NAME_LENGTH] or None


Name = Annotated[str | None, BeforeValidator(clean_name)]


class Details(BaseModel):
    """The fields that go with a video."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: Gallery = "default"
    name: Name = None
    recorded_at: AwareDatetime | None = None
    external_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    again: bool = False


class ObjectReference(BaseModel):
    """An object that is in S3 already."""

    model_config = ConfigDict(extra="forbid")

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
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
