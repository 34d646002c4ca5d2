"""The contract: every message on every topic.

Facts are named in the past tense; commands, in the imperative, are in commands.py. Unknown fields are ignored, so that
a producer may be newer than its consumers; a version that a consumer does not know is dead-lettered. Older versions are
brought up to the present one in codec.py.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from castlist.contract.bounds import (
    MOST_LEFT_OUT,
    MOST_PERSONS,
    MOST_PICTURES,
    MOST_REASONS,
    MOST_SEGMENTS,
    MOST_TAGS,
    MOST_TRACKS,
)
from castlist.contract.box import Pixels
from castlist.contract.ids import is_enrolment
from castlist.contract.text import printable
from castlist.contract.values import (
    AnalysisSettings,
    BirthDate,
    ChunkCount,
    ChunkIndex,
    Code,
    Crop,
    Duration,
    Epoch,
    ExternalId,
    FrameRate,
    GalleryId,
    Holes,
    LeftOutFace,
    Moment,
    Notes,
    PartCount,
    PartIndex,
    PersonKey,
    PersonName,
    ProfileId,
    Seconds,
    Segment,
    Sentence,
    Sha256,
    StoredObject,
    Stretches,
    Tag,
    Tally,
    TaskId,
    Track,
    VideoId,
    VideoName,
    Warnings,
    WatchId,
    Whole,
)

EventId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Event(BaseModel):
    """What every message carries. `event_id` is derived: a consumer drops the ids it has seen."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    event: str
    version: int
    event_id: EventId
    occurred_at: Moment


class VideoUploaded(Event):
    """A video is in S3 and wants to be looked through. ingest says so, or any other system."""

    event: Literal["VideoUploaded"] = "VideoUploaded"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch = 1
    gallery: GalleryId = "default"
    object: StoredObject
    name: VideoName | None = None
    bytes: Whole | None = None
    sha256: Sha256 | None = None
    recorded_at: Moment | None = None
    external_id: ExternalId | None = None
    identify: bool = True
    """whether its people are matched with those of other videos; where the gallery's settings say no, they are not"""

    @field_validator("video_id")
    @classmethod
    def _is_a_video(cls, video_id: str) -> str:
        if is_enrolment(video_id):
            raise ValueError("ids of this form stand for pictures of known people")
        return video_id

    @property
    def shown_name(self) -> str:
        """What the video is called: as was said, or the last part of the object's key."""
        return self.name or printable(self.object.key.rsplit("/", 1)[-1]) or "unnamed"


class ChunkPlanned(Event):
    """One part of a video to be worked through. Frames with start <= time < end belong to it (None: open)."""

    event: Literal["ChunkPlanned"] = "ChunkPlanned"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    object: StoredObject
    chunk: ChunkIndex
    chunks: ChunkCount
    start: Seconds | None
    end: Seconds | None
    stretches: Stretches = ()
    """how to read its frames; none: as the file is opened"""
    holes: Holes = ()
    window: ChunkCount
    """Finishing chunk i hands out chunk i + window: a long video never queues more than this ahead of others."""
    settings: AnalysisSettings = AnalysisSettings()


class VideoPlanned(Event):
    """A video was probed and cut into chunks: this many results make it complete."""

    event: Literal["VideoPlanned"] = "VideoPlanned"
    version: Literal[2] = 2
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunks: ChunkCount
    duration: Duration
    width: Pixels
    height: Pixels
    frame_rate: FrameRate
    warnings: Warnings = ()


class FacesEncoded(Event):
    """The faces of one chunk; large results come as `parts` numbered parts, in any order."""

    event: Literal["FacesEncoded"] = "FacesEncoded"
    version: Literal[2] = 2
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunk: ChunkIndex
    part: PartIndex = 0
    parts: PartCount = 1
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]*$", max_length=64)] = ""
    """Of the whole result: parts with different ones do not belong together. Earlier versions gave none."""
    frames: Tally
    tracks: Annotated[tuple[Track, ...], Field(max_length=MOST_TRACKS)]
    faces_skipped: Annotated[dict[Code, Tally], Field(max_length=MOST_REASONS)] = {}
    left_out: Annotated[tuple[LeftOutFace, ...], Field(max_length=MOST_LEFT_OUT)] = ()
    """some of those that were skipped: where and when they were"""
    warnings: Warnings = ()


class ChunkFailed(Event):
    """A chunk cannot be worked through; its task fails with this reason."""

    event: Literal["ChunkFailed"] = "ChunkFailed"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunk: ChunkIndex
    code: Code
    message: Sentence


class VideoRejected(Event):
    """A video cannot be worked through at all; its task fails with this reason."""

    event: Literal["VideoRejected"] = "VideoRejected"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    code: Code
    message: Sentence


class ChunkProgressed(Event):
    """How far a running chunk has come, 0 to 1. May be lost; never needed for correctness."""

    event: Literal["ChunkProgressed"] = "ChunkProgressed"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    chunk: ChunkIndex
    fraction: Annotated[float, Field(ge=0, le=1)]


class VideoPeopleFound(Event):
    """A video's people are stored as pending and wait to be committed to their gallery."""

    event: Literal["VideoPeopleFound"] = "VideoPeopleFound"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch
    gallery: GalleryId
    people: Tally


class GalleryEvent(Event):
    """What a commit changed. Folding these by (gallery_version, index) gives what MongoDB holds.

    `count`: how many events of this version there are. `previous_version`: the one before it that has any, 0 for the
    first. So a reader sees what is missing; events of before 0.2.0 say neither.
    """

    gallery: GalleryId
    gallery_version: Whole
    index: Tally
    count: Tally | None = None
    previous_version: Whole | None = None


class ProfileCreated(GalleryEvent):
    event: Literal["ProfileCreated"] = "ProfileCreated"
    version: Literal[1] = 1
    profile_id: ProfileId


class PersonAppeared(GalleryEvent):
    """A profile's appearance in a video, as it stands from this version on (it replaces an earlier one).

    `manual`: nobody was found there, a person said so; then there is no crop, and `epoch` is 0. Long lists come as
    numbered parts, one event after the other: each adds its persons and segments to the part before.
    """

    event: Literal["PersonAppeared"] = "PersonAppeared"
    version: Literal[2] = 2
    profile_id: ProfileId
    video_id: VideoId
    epoch: Whole
    persons: Annotated[tuple[PersonKey, ...], Field(max_length=MOST_PERSONS)]
    segments: Annotated[tuple[Segment, ...], Field(max_length=MOST_SEGMENTS)]
    seconds: Duration
    faces: Whole
    crop: Crop | None
    manual: bool = False
    part: PartIndex = 0
    parts: PartCount = 1


class PersonMoved(GalleryEvent):
    """A video person belongs to another profile now. `video_id` is that of an enrolment where it is a picture."""

    event: Literal["PersonMoved"] = "PersonMoved"
    version: Literal[1] = 1
    person: PersonKey
    video_id: VideoId
    from_profile: ProfileId
    to_profile: ProfileId


class AppearanceRemoved(GalleryEvent):
    event: Literal["AppearanceRemoved"] = "AppearanceRemoved"
    version: Literal[1] = 1
    profile_id: ProfileId
    video_id: VideoId


class PicturesAdded(GalleryEvent):
    """A profile is known by the pictures of an enrolment, by these from this version on (they replace earlier ones).
    Each is a person, and has a crop where there is one."""

    event: Literal["PicturesAdded"] = "PicturesAdded"
    version: Literal[1] = 1
    profile_id: ProfileId
    enrolment_id: VideoId
    persons: Annotated[tuple[PersonKey, ...], Field(max_length=MOST_PICTURES)]
    crops: Annotated[tuple[Crop | None, ...], Field(max_length=MOST_PICTURES)]


class PicturesRemoved(GalleryEvent):
    """A profile is known by none of the pictures of an enrolment any more."""

    event: Literal["PicturesRemoved"] = "PicturesRemoved"
    version: Literal[1] = 1
    profile_id: ProfileId
    enrolment_id: VideoId


class ProfilesMerged(GalleryEvent):
    """`retired` has no people of its own any more; its id leads to `into` for ever."""

    event: Literal["ProfilesMerged"] = "ProfilesMerged"
    version: Literal[1] = 1
    retired: ProfileId
    into: ProfileId


class ProfileRemoved(GalleryEvent):
    """This profile has no person left."""

    event: Literal["ProfileRemoved"] = "ProfileRemoved"
    version: Literal[1] = 1
    profile_id: ProfileId


class ProfileSplit(GalleryEvent):
    """Some of `profile_id`'s people became (or joined) `into`."""

    event: Literal["ProfileSplit"] = "ProfileSplit"
    version: Literal[1] = 1
    profile_id: ProfileId
    into: ProfileId


class ProfileRenamed(GalleryEvent):
    event: Literal["ProfileRenamed"] = "ProfileRenamed"
    version: Literal[1] = 1
    profile_id: ProfileId
    name: PersonName | None


class ProfileCardChanged(GalleryEvent):
    """What is known of a person besides the name, all of it, as it stands from this version on."""

    event: Literal["ProfileCardChanged"] = "ProfileCardChanged"
    version: Literal[1] = 1
    profile_id: ProfileId
    external_id: ExternalId | None
    birth_date: BirthDate | None
    notes: Notes | None
    tags: Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)]
    favourite: bool
    hidden: bool
    cover: VideoId | None


class GalleryDeleted(GalleryEvent):
    """Nothing is left of the gallery: no profile, no appearance. What comes after this begins it anew."""

    event: Literal["GalleryDeleted"] = "GalleryDeleted"
    version: Literal[1] = 1


class WatchedPersonAppeared(Event):
    """Somebody whom a watch is for is in a video: said once for a watch and a video. Not part of a gallery's history.

    `watched` is the profile that the watch was made for, `profile_id` the one that holds its people now: another one
    where it was merged away. `crop` is null where nobody was found and a person said so (`manual`).
    """

    event: Literal["WatchedPersonAppeared"] = "WatchedPersonAppeared"
    version: Literal[1] = 1
    gallery: GalleryId
    watch_id: WatchId
    watched: ProfileId
    profile_id: ProfileId
    video_id: VideoId
    first_seen: Seconds
    last_seen: Seconds
    seconds: Duration
    faces: Whole
    crop: Crop | None
    manual: bool = False


class CommandFailed(Event):
    """A command on a gallery was not carried out. Not part of a gallery's history: it changes nothing in it."""

    event: Literal["CommandFailed"] = "CommandFailed"
    version: Literal[1] = 1
    gallery: GalleryId
    command_id: EventId
    kind: Code
    code: Code
    message: Sentence


class TaskFinished(Event):
    """A task came to its end. Not part of a gallery's history: failed tasks change nothing in it."""

    event: Literal["TaskFinished"] = "TaskFinished"
    version: Literal[1] = 1
    gallery: GalleryId
    task_id: TaskId
    video_id: VideoId
    epoch: Epoch
    status: Literal["done", "failed", "cancelled"]
    code: Code | None = None
    message: Sentence | None = None
