"""The contract: every message on every topic.

Facts are named in the past tense, commands in the imperative. Unknown fields are ignored, so that a producer may be
newer than its consumers; a version that a consumer does not know is dead-lettered. Times in a video are seconds as a
player shows them (presentation time minus the container's start); pixels are integers of the upright frame.
"""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from castlist.ids import GALLERY_PATTERN, ID_PATTERN

ENCODING_SIZE = 128

VideoId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Gallery = Annotated[str, StringConstraints(pattern=GALLERY_PATTERN)]
# Whole numbers end where JSON's readers and MongoDB's int64 still agree on them.
Epoch = Annotated[int, Field(ge=1, le=2**31 - 1)]
Index = Annotated[int, Field(ge=0, le=2**53 - 1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


def encode_vector(vector: NDArray[np.float32]) -> str:
    """128 float32, little-endian, as base64."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")


def decode_vector(text: str) -> NDArray[np.float32]:
    """The inverse of `encode_vector`; ValueError for anything but 128 finite numbers."""
    vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    if vector.shape != (ENCODING_SIZE,) or not np.isfinite(vector).all():
        raise ValueError(f"an encoding is {ENCODING_SIZE} finite float32")
    return vector.astype(np.float32)


def _checked_vector(value: Any) -> str:
    text = encode_vector(value) if isinstance(value, np.ndarray) else value
    if not isinstance(text, str):
        raise ValueError("an encoding is base64 text")
    decode_vector(text)
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment that UTC has no year for") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time, whatever zone it was given in."""

Encoding = Annotated[
    str, BeforeValidator(_checked_vector), Field(json_schema_extra={"contentEncoding": "base64", "maxLength": 684})
]
"""128 little-endian float32 as base64; an array is accepted when a model is built."""


class Model(BaseModel):
    """A frozen value of the contract."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Event(Model):
    """What every message carries. `event_id` is derived: a consumer drops the ids it has seen."""

    event: str
    version: int
    event_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    occurred_at: Moment


class StoredObject(Model):
    """An object in S3. `etag` is what it was when it was announced; a later change fails the task."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    etag: str | None = None


class Box(Model):
    """A face in its upright frame, clipped to it, in pixels."""

    left: Index
    top: Index
    width: Index
    height: Index


class FrameSize(Model):
    """An upright frame in square pixels."""

    width: Index
    height: Index


# --- video.uploaded ---------------------------------------------------------------------------------------------------


class VideoUploaded(Event):
    """A video is in S3 and wants to be looked through. ingest says so, or any other system."""

    event: Literal["VideoUploaded"] = "VideoUploaded"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch = 1
    gallery: Gallery = "default"
    object: StoredObject
    name: Annotated[str, StringConstraints(max_length=1024)] | None = None
    bytes: Index | None = None
    sha256: str | None = None
    recorded_at: Moment | None = None
    external_id: Annotated[str, StringConstraints(max_length=256)] | None = None


# --- video.chunks -----------------------------------------------------------------------------------------------------


class MatchSettings(Model):
    """How faces are looked for in one task; fixed with its plan, so that a redo is the same."""

    detector: Literal["hog", "cnn"] = "hog"
    samples_per_second: Annotated[float, Field(ge=1, le=30)] = 5.0
    smallest_face: Annotated[int, Field(ge=20, le=400)] = 57
    in_video_distance: Annotated[float, Field(gt=0, lt=1)] = 0.38
    minimum_sightings: Annotated[int, Field(ge=1, le=100)] = 2


class ChunkPlanned(Event):
    """One part of a video to be worked through. Frames with start <= time < end belong to it (None: open)."""

    event: Literal["ChunkPlanned"] = "ChunkPlanned"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    object: StoredObject
    chunk: Index
    chunks: Count
    start: float | None
    end: float | None
    window: Count
    """Finishing chunk i hands out chunk i + window: a long video never queues more than this ahead of others."""
    settings: MatchSettings = MatchSettings()


# --- face.encodings ---------------------------------------------------------------------------------------------------


class VideoPlanned(Event):
    """A video was probed and cut into chunks: this many results make it complete."""

    event: Literal["VideoPlanned"] = "VideoPlanned"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    chunks: Count
    duration: float
    width: Index
    height: Index
    frame_rate: float
    warnings: tuple[str, ...] = ()


class Sighting(Model):
    """A face at one moment."""

    time: float
    box: Box
    score: float


class EncodedFace(Model):
    """One of a track's best faces, with its encoding."""

    time: float
    box: Box
    score: float
    quality: float
    encoding: Encoding


class Crop(Model):
    """The picture of a face: where it lies, and where in which frame it was cut."""

    key: str
    time: float
    box: Box
    frame: FrameSize
    quality: float


class Track(Model):
    """One face followed through the frames of a chunk."""

    track: Index
    sightings: tuple[Sighting, ...]
    faces: tuple[EncodedFace, ...]
    crop: Crop


class FacesEncoded(Event):
    """The faces of one chunk; large results come as `parts` numbered parts, in any order."""

    event: Literal["FacesEncoded"] = "FacesEncoded"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    chunk: Index
    part: Index = 0
    parts: Count = 1
    frames: Index
    tracks: tuple[Track, ...]
    faces_skipped: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")], Index] = {}
    warnings: tuple[str, ...] = ()


class ChunkFailed(Event):
    """A chunk cannot be worked through; its task fails with this reason."""

    event: Literal["ChunkFailed"] = "ChunkFailed"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    chunk: Index
    code: str
    message: str


class VideoRejected(Event):
    """A video cannot be worked through at all; its task fails with this reason."""

    event: Literal["VideoRejected"] = "VideoRejected"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    code: str
    message: str


class ChunkProgressed(Event):
    """How far a running chunk has come, 0 to 1. May be lost; never needed for correctness."""

    event: Literal["ChunkProgressed"] = "ChunkProgressed"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    chunk: Index
    fraction: Annotated[float, Field(ge=0, le=1)]


# --- gallery.commits --------------------------------------------------------------------------------------------------


class VideoPeopleFound(Event):
    """A video's people are stored as pending and wait to be committed to their gallery."""

    event: Literal["VideoPeopleFound"] = "VideoPeopleFound"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: Gallery
    people: Index


class RenameProfile(Event):
    """Give a profile a name (or take it away, with None)."""

    event: Literal["RenameProfile"] = "RenameProfile"
    version: Literal[1] = 1
    gallery: Gallery
    profile_id: str
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None


class DeleteVideo(Event):
    """Remove a video: its people from their profiles, then its object, crops and records."""

    event: Literal["DeleteVideo"] = "DeleteVideo"
    version: Literal[1] = 1
    gallery: Gallery
    video_id: VideoId


class ChangeSettings(Event):
    """Replace the matching settings of a gallery. A new distance re-clusters it."""

    event: Literal["ChangeSettings"] = "ChangeSettings"
    version: Literal[1] = 1
    gallery: Gallery
    settings: MatchSettings
    across_video_distance: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = "auto"


# --- video.control ----------------------------------------------------------------------------------------------------


class CancelVideo(Event):
    """Stop the work on a video. Without an epoch: the one current when this is first received, resolved once."""

    event: Literal["CancelVideo"] = "CancelVideo"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch | None = None


# --- profile.events ---------------------------------------------------------------------------------------------------


class GalleryEvent(Event):
    """What a commit changed. Folding these by (gallery_version, index) gives what MongoDB holds."""

    gallery: Gallery
    gallery_version: Index
    index: Index


class Segment(Model):
    """A stretch of video, in seconds."""

    start: float
    end: float


class ProfileCreated(GalleryEvent):
    event: Literal["ProfileCreated"] = "ProfileCreated"
    version: Literal[1] = 1
    profile_id: str


class PersonAppeared(GalleryEvent):
    """A profile's appearance in a video, as it stands from this version on (it replaces an earlier one)."""

    event: Literal["PersonAppeared"] = "PersonAppeared"
    version: Literal[1] = 1
    profile_id: str
    video_id: VideoId
    epoch: Epoch
    persons: tuple[str, ...]
    segments: tuple[Segment, ...]
    seconds: float
    faces: Index
    crop: Crop


class PersonMoved(GalleryEvent):
    """A video person belongs to another profile now."""

    event: Literal["PersonMoved"] = "PersonMoved"
    version: Literal[1] = 1
    person: str
    video_id: VideoId
    from_profile: str
    to_profile: str


class AppearanceRemoved(GalleryEvent):
    event: Literal["AppearanceRemoved"] = "AppearanceRemoved"
    version: Literal[1] = 1
    profile_id: str
    video_id: VideoId


class ProfilesMerged(GalleryEvent):
    """`retired` has no people of its own any more; its id leads to `into` for ever."""

    event: Literal["ProfilesMerged"] = "ProfilesMerged"
    version: Literal[1] = 1
    retired: str
    into: str


class ProfileRemoved(GalleryEvent):
    """Nobody is left in this profile."""

    event: Literal["ProfileRemoved"] = "ProfileRemoved"
    version: Literal[1] = 1
    profile_id: str


class ProfileSplit(GalleryEvent):
    """Some of `profile_id`'s people became (or joined) `into`."""

    event: Literal["ProfileSplit"] = "ProfileSplit"
    version: Literal[1] = 1
    profile_id: str
    into: str


class ProfileRenamed(GalleryEvent):
    event: Literal["ProfileRenamed"] = "ProfileRenamed"
    version: Literal[1] = 1
    profile_id: str
    name: str | None


class TaskFinished(Event):
    """A task came to its end. Not part of a gallery's history: failed tasks change nothing in it."""

    event: Literal["TaskFinished"] = "TaskFinished"
    version: Literal[1] = 1
    gallery: Gallery
    task_id: str
    video_id: VideoId
    epoch: Epoch
    status: Literal["done", "failed", "cancelled"]
    code: str | None = None
    message: str | None = None


def now_utc() -> datetime:
    """The wall clock, for the edges; pure stages get the time as an argument."""
    return datetime.now(UTC)
