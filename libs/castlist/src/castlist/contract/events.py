"""The contract: every message on every topic.

Facts are named in the past tense; commands, in the imperative, are in commands.py. Unknown fields are ignored, so that
a producer may be newer than its consumers; a version that a consumer does not know is dead-lettered. Older versions are
brought up to the present one in codec.py.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from castlist.contract.values import (
    AnalysisSettings,
    Count,
    Crop,
    Epoch,
    GalleryId,
    Index,
    Moment,
    Segment,
    StoredObject,
    Track,
    VideoId,
    VideoWarning,
)


class Event(BaseModel):
    """What every message carries. `event_id` is derived: a consumer drops the ids it has seen."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    event: str
    version: int
    event_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    occurred_at: Moment


class VideoUploaded(Event):
    """A video is in S3 and wants to be looked through. ingest says so, or any other system."""

    event: Literal["VideoUploaded"] = "VideoUploaded"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch = 1
    gallery: GalleryId = "default"
    object: StoredObject
    name: Annotated[str, StringConstraints(max_length=1024)] | None = None
    bytes: Index | None = None
    sha256: str | None = None
    recorded_at: Moment | None = None
    external_id: Annotated[str, StringConstraints(max_length=256)] | None = None


class ChunkPlanned(Event):
    """One part of a video to be worked through. Frames with start <= time < end belong to it (None: open)."""

    event: Literal["ChunkPlanned"] = "ChunkPlanned"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    object: StoredObject
    chunk: Index
    chunks: Count
    start: float | None
    end: float | None
    window: Count
    """Finishing chunk i hands out chunk i + window: a long video never queues more than this ahead of others."""
    settings: AnalysisSettings = AnalysisSettings()


class VideoPlanned(Event):
    """A video was probed and cut into chunks: this many results make it complete."""

    event: Literal["VideoPlanned"] = "VideoPlanned"
    version: Literal[2] = 2
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunks: Count
    duration: float
    width: Index
    height: Index
    frame_rate: float
    warnings: tuple[VideoWarning, ...] = ()


class FacesEncoded(Event):
    """The faces of one chunk; large results come as `parts` numbered parts, in any order."""

    event: Literal["FacesEncoded"] = "FacesEncoded"
    version: Literal[2] = 2
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunk: Index
    part: Index = 0
    parts: Count = 1
    frames: Index
    tracks: tuple[Track, ...]
    faces_skipped: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")], Index] = {}
    warnings: tuple[VideoWarning, ...] = ()


class ChunkFailed(Event):
    """A chunk cannot be worked through; its task fails with this reason."""

    event: Literal["ChunkFailed"] = "ChunkFailed"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunk: Index
    code: str
    message: str


class VideoRejected(Event):
    """A video cannot be worked through at all; its task fails with this reason."""

    event: Literal["VideoRejected"] = "VideoRejected"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    code: str
    message: str


class ChunkProgressed(Event):
    """How far a running chunk has come, 0 to 1. May be lost; never needed for correctness."""

    event: Literal["ChunkProgressed"] = "ChunkProgressed"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunk: Index
    fraction: Annotated[float, Field(ge=0, le=1)]


class VideoPeopleFound(Event):
    """A video's people are stored as pending and wait to be committed to their gallery."""

    event: Literal["VideoPeopleFound"] = "VideoPeopleFound"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    people: Index


class GalleryEvent(Event):
    """What a commit changed. Folding these by (gallery_version, index) gives what MongoDB holds."""

    gallery: GalleryId
    gallery_version: Index
    index: Index


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
    """This profile has no person left."""

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
    gallery: GalleryId
    task_id: str
    video_id: VideoId
    epoch: Epoch
    status: Literal["done", "failed", "cancelled"]
    code: str | None = None
    message: str | None = None
