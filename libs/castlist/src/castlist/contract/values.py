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

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from castlist.contract.bounds import (
    ENCODING_LIMIT,
    FASTEST,
    LAST_SECOND,
    LONGEST_MESSAGE,
    MOST_CHUNKS,
    MOST_FACES,
    MOST_HOLES,
    MOST_PARTS,
    MOST_SHIFT,
    MOST_SIGHTINGS,
    MOST_STRETCHES,
    MOST_TRACKS,
    MOST_WARNINGS,
    WHOLE,
)
from castlist.contract.box import Box, Pixels
from castlist.contract.ids import BUCKET_PATTERN, GALLERY_PATTERN, ID_PATTERN, PERSON_PATTERN, TRACK_PATTERN
from castlist.contract.text import printable

ENCODING_SIZE = 128
_ENCODING = struct.Struct(f"<{ENCODING_SIZE}f")
# An id with a pattern says its length there; other texts say how many characters they have at most.
VideoId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
GalleryId = Annotated[str, StringConstraints(pattern=GALLERY_PATTERN)]
Bucket = Annotated[str, StringConstraints(pattern=BUCKET_PATTERN, min_length=3, max_length=63)]
ProfileId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
TaskId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
WatchId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
PersonKey = Annotated[str, StringConstraints(pattern=PERSON_PATTERN)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
"""A word for programs: why something failed, was left out, or is to be warned of."""
Sentence = Annotated[str, BeforeValidator(printable), StringConstraints(max_length=LONGEST_MESSAGE)]
"""What is said to people; who writes it cuts it (`in_short`)."""
ObjectKey = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
VideoName = Annotated[str, BeforeValidator(printable), StringConstraints(max_length=1024)]
ExternalId = Annotated[str, BeforeValidator(printable), StringConstraints(max_length=256)]
PersonName = Annotated[str, BeforeValidator(printable), StringConstraints(min_length=1, max_length=256)]
Tag = Annotated[str, BeforeValidator(printable), StringConstraints(min_length=1, max_length=64)]
BirthDate = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
"""ISO 8601."""
Notes = Annotated[str, StringConstraints(max_length=10_000)]
KeyName = Annotated[str, BeforeValidator(printable), StringConstraints(min_length=1, max_length=128)]
"""What the key is called with which somebody came."""
TrackId = Annotated[str, StringConstraints(pattern=TRACK_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]
Epoch = Annotated[int, Field(ge=1, le=WHOLE)]
Whole = Annotated[int, Field(ge=0, le=WHOLE)]
"""A number of bytes, or of commits."""
Tally = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""How many frames, faces or sightings: a sum of as many as there are chunks is a `Whole` still."""
ChunkIndex = Annotated[int, Field(ge=0, lt=MOST_CHUNKS)]
ChunkCount = Annotated[int, Field(ge=1, le=MOST_CHUNKS)]
PartIndex = Annotated[int, Field(ge=0, lt=MOST_PARTS)]
PartCount = Annotated[int, Field(ge=1, le=MOST_PARTS)]
TrackIndex = Annotated[int, Field(ge=0, lt=MOST_TRACKS)]
Seconds = Annotated[float, Field(ge=-LAST_SECOND, le=LAST_SECOND)]
"""A moment of a video. Before 0 is what comes before the container's start."""
Duration = Annotated[float, Field(ge=0, le=2 * LAST_SECOND)]
FrameRate = Annotated[float, Field(ge=0, le=FASTEST)]
Score = Annotated[float, Field(ge=-1_000, le=1_000)]
Quality = Annotated[float, Field(ge=0, le=1)]


def in_short(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text, or so much of its beginning as fits; what UTF-8 has no form for is replaced."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _checked_encoding(text: str) -> str:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != _ENCODING.size or not _near_zero(_ENCODING.unpack(raw)):
        raise ValueError(f"an encoding is {ENCODING_SIZE} float32 from -{ENCODING_LIMIT} to {ENCODING_LIMIT}")
    return text


def _near_zero(numbers: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, numbers)) and max(map(abs, numbers)) <= ENCODING_LIMIT


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment that UTC has no year for") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time, whatever zone it was given in."""
Encoding = Annotated[
    str,
    StringConstraints(max_length=4 * -(-_ENCODING.size // 3)),
    AfterValidator(_checked_encoding),
    Field(json_schema_extra={"contentEncoding": "base64"}),
]
"""128 little-endian float32, none further from 0 than ENCODING_LIMIT, as base64.

`castlist.contract.vectors` makes arrays of it."""


Days = Annotated[int, Field(ge=1, le=100_000)]
DistanceSetting = Annotated[float, Field(gt=0, lt=1)] | Literal["auto"]
"""Up to which distance persons of different videos are one; `auto` depends on the size of the gallery."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in S3. `etag` is what it was when it was announced; a later change fails the task."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    key: ObjectKey
    etag: Annotated[str, StringConstraints(max_length=256)] | None = None


@dataclass(frozen=True, slots=True)
class FrameSize:
    """An upright frame in square pixels."""

    width: Pixels
    height: Pixels


SMALLEST = 20
"""Pixels of a face up from which there is enough of it to be encoded."""
FULL_FRAME = 360
"""Pixels of a frame's shorter side from which on `smallest_face` is what it says."""


def smallest_face_in(side: float, smallest_face: int) -> float:
    """How many pixels wide the smallest face is that `auto` looks for in a frame with this shorter side.

    Who fills a ninth of a small picture is no less in it than who fills a ninth of a large one, with fewer pixels.
    """
    return max(float(SMALLEST), smallest_face * min(1.0, side / FULL_FRAME))


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How faces are looked for in one task; fixed with its plan, so that a redo is the same.

    Without `identify` people are counted in the video: each is somebody of their own, and no encoding of them is kept.
    The defaults stand for what was made before there was `auto`; what is new begins with NEW_GALLERY.
    """

    detector: Literal["auto", "hog", "cnn"] = "hog"
    samples_per_second: Annotated[float, Field(ge=1, le=30)] = 5.0
    smallest_face: Annotated[int, Field(ge=SMALLEST, le=400)] = 57
    in_video_distance: Annotated[float, Field(gt=0, lt=1)] = 0.38
    minimum_sightings: Annotated[int, Field(ge=1, le=100)] = 2
    identify: bool = True

    def smallest_in(self, frame: FrameSize) -> float:
        """Pixels of the narrowest face looked for in a frame."""
        side = min(frame.width, frame.height)
        return smallest_face_in(side, self.smallest_face) if self.detector == "auto" else float(self.smallest_face)


@dataclass(frozen=True, slots=True)
class Retention:
    """After how many days videos are erased, by when they were recorded or else came, and people, by when they were
    last seen; None: never. Whom somebody has enrolled stays."""

    videos: Days | None = None
    people: Days | None = None


KEPT = Retention()
"""Nothing is erased by itself."""


@dataclass(frozen=True, slots=True)
class GallerySettings(AnalysisSettings):
    """How faces are looked for and matched in a gallery, and how long it keeps what."""

    across_video_distance: DistanceSetting = "auto"
    retention: Retention = KEPT

    @classmethod
    def of(
        cls, analysis: AnalysisSettings, across_video_distance: DistanceSetting, retention: Retention = KEPT
    ) -> "GallerySettings":
        """All parts together."""
        return cls(**asdict(analysis), across_video_distance=across_video_distance, retention=retention)

    @property
    def analysis(self) -> AnalysisSettings:
        """The part that a task takes."""
        return AnalysisSettings(**{field.name: getattr(self, field.name) for field in fields(AnalysisSettings)})


NEW_GALLERY = GallerySettings(detector="auto", smallest_face=40)
"""What a gallery begins with."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face at one moment. `score` is dlib's; -1 where its detector saw no face, or was not asked about this one."""

    time: Seconds
    box: Box
    score: Score


@dataclass(frozen=True, slots=True, order=True)
class LeftOutFace:
    """A face at one moment that nobody was made of, and why; `reason` is a word as in `faces_skipped`."""

    time: Seconds
    box: Box
    reason: Code


@dataclass(frozen=True, slots=True)
class EncodedFace:
    """One of a track's best faces, with its encoding."""

    time: Seconds
    box: Box
    score: Score
    quality: Quality
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Crop:
    """The picture of a face: where it lies, and where in which frame it was cut."""

    key: ObjectKey
    time: Seconds
    box: Box
    frame: FrameSize
    quality: Quality


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed through the frames of a chunk."""

    track: TrackIndex
    sightings: Annotated[tuple[Sighting, ...], Field(max_length=MOST_SIGHTINGS)]
    faces: Annotated[tuple[EncodedFace, ...], Field(max_length=MOST_FACES)]
    crop: Crop


@dataclass(frozen=True, slots=True)
class VideoWarning:
    """What of a video was not read as it should be, and where; without times: in all of it, or nobody knows where.

    `code` is one of `castlist.contract.video_warnings.WARNING_CODES`, or what a newer version says.
    """

    code: Annotated[str, BeforeValidator(printable), StringConstraints(min_length=1, max_length=64)]
    message: Annotated[str, BeforeValidator(printable), StringConstraints(max_length=1000)]
    start: Seconds | None = None
    end: Seconds | None = None


Warnings = Annotated[tuple[VideoWarning, ...], Field(max_length=MOST_WARNINGS)]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a file with one track of pictures on one clock: a file may be several that were joined.

    It is opened from byte `position` up to `end` (None: that of the file). Its first picture, shown at `start` seconds
    of the video, is that of the packet of stream `track` behind `skip` others; timestamps are `shift` seconds more than
    the times shown. `packets` of them are its own, and none is reached by seeking; None: all that follow.
    """

    position: Whole
    end: Whole | None
    track: Tally
    skip: Tally
    packets: Tally | None
    start: Seconds
    shift: Annotated[float, Field(ge=-MOST_SHIFT, le=MOST_SHIFT)]


Stretches = Annotated[tuple[Stretch, ...], Field(max_length=MOST_STRETCHES)]


@dataclass(frozen=True, slots=True)
class Hole:
    """Between which times of a video pictures are missing, in seconds."""

    start: Seconds
    end: Seconds


Holes = Annotated[tuple[Hole, ...], Field(max_length=MOST_HOLES)]


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of video, in seconds."""

    start: Seconds
    end: Seconds
