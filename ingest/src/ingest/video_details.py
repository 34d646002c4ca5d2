"""What a client may say about a video."""

from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from castlist.contract.text import printable
from castlist.contract.values import Bucket, ExternalId, GalleryId, Moment, VideoId
from castlist.service.problems import Problem, problem_fields

M = TypeVar("M", bound=BaseModel)

NAME_LENGTH = 255


def clean_name(name: object) -> object:
    """A file's name as text: never a path, nothing that does not print, bounded."""
    if not isinstance(name, str):
        return name
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return printable(last).strip()[:NAME_LENGTH] or None


Name = Annotated[Annotated[str, StringConstraints(max_length=NAME_LENGTH)] | None, BeforeValidator(clean_name)]


class Details(BaseModel):
    """The fields that go with a video."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: GalleryId = "default"
    name: Name = None
    recorded_at: Moment | None = None
    external_id: Annotated[ExternalId, Field(min_length=1)] | None = None
    again: bool = False
    identify: Annotated[bool, Field(description="false: people are counted, and not matched with other videos")] = True


class ObjectReference(BaseModel):
    """An object that is in S3 already."""

    model_config = ConfigDict(extra="forbid")

    bucket: Bucket
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Announcement(Details):
    """The JSON body of `POST /videos`."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"object": {"bucket": "archive", "key": "2026/lobby.mp4"}, "gallery": "newsroom"}}
    )

    object: ObjectReference
    video_id: VideoId | None = None


def valid(model: type[M], given: object) -> M:
    """What was said, as `model`; Problem 422 naming each field that is missing, unknown or out of range."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Problem(422, "What was said about the video is not valid.", errors=problem_fields(error)) from None
