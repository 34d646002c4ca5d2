"""Every topic, declared once: what it carries, how it is keyed, who writes and reads it. They are created from this."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from castlist.contract import commands
from castlist.contract import events as e

DAY = 24 * 3600


@dataclass(frozen=True)
class Topic:
    """`key` gives an event's key; events of one key stay in order. `retention` is in seconds.

    `ordered`: somebody relies on that order, so that the number of partitions must stay. `erased`: with an erasure go
    all its messages that every group has read; all that the services need of them lies in MongoDB by then.
    """

    name: str
    keyed_by: str
    key: Callable[[Any], str]
    events: tuple[type[e.Event], ...]
    retention: int
    partitions: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    ordered: bool = True
    erased: bool = False

    @property
    def dead(self) -> str:
        """The topic that takes the raw messages which could not be read, with the reason in their headers."""
        return f"{self.name}.dead"


VIDEO_UPLOADED = Topic(
    name="video.uploaded",
    keyed_by="video",
    key=lambda event: event.video_id,
    events=(e.VideoUploaded,),
    retention=30 * DAY,
    partitions=4,
    producers=("ingest", "profile-aggregator", "other systems"),
    consumers=("frame-workers", "profile-aggregator"),
    erased=True,
)
VIDEO_CHUNKS = Topic(
    name="video.chunks",
    keyed_by="video:chunk",
    key=lambda event: f"{event.video_id}:{event.chunk}",
    events=(e.ChunkPlanned,),
    retention=7 * DAY,
    partitions=16,
    producers=("frame-workers", "profile-aggregator"),
    consumers=("frame-workers",),
    ordered=False,
)
FACE_ENCODINGS = Topic(
    name="face.encodings",
    keyed_by="video",
    key=lambda event: event.video_id,
    events=(e.VideoPlanned, e.FacesEncoded, e.ChunkFailed, e.VideoRejected, e.ChunkProgressed),
    retention=7 * DAY,
    partitions=4,
    producers=("frame-workers",),
    consumers=("profile-aggregator", "other systems"),
    erased=True,
)
GALLERY_COMMITS = Topic(
    name="gallery.commits",
    keyed_by="gallery",
    key=lambda event: event.gallery,
    events=(
        e.VideoPeopleFound,
        commands.ChangeCard,
        commands.MergeProfiles,
        commands.SplitProfile,
        commands.RejectAppearance,
        commands.AddPresence,
        commands.EnrolPerson,
        commands.RaiseObjection,
        commands.WithdrawObjection,
        commands.DeleteProfile,
        commands.AnswerSuggestion,
        commands.UndoChange,
        commands.RenameProfile,
        commands.DeleteVideo,
        commands.DeleteGallery,
        commands.ChangeSettings,
        commands.PreviewSettings,
        commands.ImportGallery,
    ),
    retention=30 * DAY,
    partitions=4,
    producers=("profile-aggregator", "query-api", "other systems"),
    consumers=("profile-aggregator",),
    erased=True,
)
VIDEO_CONTROL = Topic(
    name="video.control",
    keyed_by="video",
    key=lambda event: event.video_id,
    events=(commands.CancelVideo,),
    retention=7 * DAY,
    partitions=2,
    producers=("ingest", "profile-aggregator", "other systems"),
    consumers=("frame-workers", "profile-aggregator"),
)
PROFILE_EVENTS = Topic(
    name="profile.events",
    keyed_by="gallery",
    key=lambda event: event.gallery,
    events=(
        e.ProfileCreated,
        e.PersonAppeared,
        e.PersonMoved,
        e.AppearanceRemoved,
        e.PicturesAdded,
        e.PicturesRemoved,
        e.ProfilesMerged,
        e.ProfileRemoved,
        e.ProfileSplit,
        e.ProfileRenamed,
        e.ProfileCardChanged,
        e.GalleryDeleted,
        e.TaskFinished,
        e.CommandFailed,
        e.WatchedPersonAppeared,
    ),
    retention=365 * DAY,
    partitions=4,
    producers=("profile-aggregator", "query-api"),
    consumers=("other systems",),
)

TOPICS: tuple[Topic, ...] = (
    VIDEO_UPLOADED,
    VIDEO_CHUNKS,
    FACE_ENCODINGS,
    GALLERY_COMMITS,
    VIDEO_CONTROL,
    PROFILE_EVENTS,
)
BY_NAME = {topic.name: topic for topic in TOPICS}
DEAD_RETENTION = 90 * DAY


def topic_of(event: e.Event) -> Topic:
    """The one topic that carries events of this type."""
    return next(topic for topic in TOPICS if isinstance(event, topic.events))
