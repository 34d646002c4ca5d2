"""The values that events, records and answers are made of: one form of each in all of them.

Times in a video are seconds as a player shows them (presentation time minus the container's start). They are plain
dataclasses: pydantic checks them where they come in from outside, and not inside.
"""

import base64
import math
import struct
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from castlist.contract.box import Box, Pixels
from castlist.contract.ids import GALLERY_PATTERN, ID_PATTERN

ENCODING_SIZE = 128
_ENCODING = struct.Struct(f"<{ENCODING_SIZE}f")
VideoId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
GalleryId = Annotated[str, StringConstraints(pattern=GALLERY_PATTERN)]
# Whole numbers end where JSON's readers and MongoDB's int64 still agree on them.
Epoch = Annotated[int, Field(ge=1, le=2**31 - 1)]
Index = Annotated[int, Field(ge=0, le=2**53 - 1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _checked_encoding(text: str) -> str:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != _ENCODING.size or not all(map(math.isfinite, _ENCODING.unpack(raw))):
        raise ValueError(f"an encoding is {ENCODING_SIZE} finite float32")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment that UTC has no year for") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time, whatever zone it was given in."""
Encoding = Annotated[
    str, AfterValidator(_checked_encoding), Field(json_schema_extra={"contentEncoding": "base64", "maxLength": 684})
]
"""128 little-endian float32 as base64; `castlist.contract.vectors` makes arrays of it."""


DistanceSetting = Annotated[float, Field(gt=0, lt=1)] | Literal["auto"]
"""Up to which distance persons of different videos are one; `auto` depends on the size of the gallery."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in S3. `etag` is what it was when it was announced; a later change fails the task."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class FrameSize:
    """An upright frame in square pixels."""

    width: Pixels
    height: Pixels


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How faces are looked for in one task; fixed with its plan, so that a redo is the same."""

    detector: Literal["hog", "cnn"] = "hog"
    samples_per_second: Annotated[float, Field(ge=1, le=30)] = 5.0
    smallest_face: Annotated[int, Field(ge=20, le=400)] = 57
    in_video_distance: Annotated[float, Field(gt=0, lt=1)] = 0.38
    minimum_sightings: Annotated[int, Field(ge=1, le=100)] = 2


@dataclass(frozen=True, slots=True)
class GallerySettings(AnalysisSettings):
    """How faces are looked for and matched in a gallery."""

    across_video_distance: DistanceSetting = "auto"

    @classmethod
    def of(cls, analysis: AnalysisSettings, across_video_distance: DistanceSetting) -> "GallerySettings":
        """Both parts together."""
        return cls(**asdict(analysis), across_video_distance=across_video_distance)

    @property
    def analysis(self) -> AnalysisSettings:
        """The part that a task takes."""
        return AnalysisSettings(**{field.name: getattr(self, field.name) for field in fields(AnalysisSettings)})


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face at one moment."""

    time: float
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class EncodedFace:
    """One of a track's best faces, with its encoding."""

    time: float
    box: Box
    score: float
    quality: float
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Crop:
    """The picture of a face: where it lies, and where in which frame it was cut."""

    key: str
    time: float
    box: Box
    frame: FrameSize
    quality: float


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed through the frames of a chunk."""

    track: Index
    sightings: tuple[Sighting, ...]
    faces: tuple[EncodedFace, ...]
    crop: Crop


@dataclass(frozen=True, slots=True)
class VideoWarning:
    """What of a video was not read as it should be, and where; without times: in all of it, or nobody knows where.

    `code` is one of `castlist.contract.video_warnings.WARNING_CODES`, or what a newer version says.
    """

    code: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    message: Annotated[str, StringConstraints(max_length=1000)]
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of video, in seconds."""

    start: float
    end: float
