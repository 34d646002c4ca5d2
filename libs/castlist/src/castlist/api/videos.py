"""Videos, who is on screen in them and when, and where."""

from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from castlist.api.examples import MADE, PROFILE, TASK, VIDEO
from castlist.api.resource import Hash, Id, Page, Resource, Text, Word
from castlist.api.tasks import Status
from castlist.contract.bounds import MOST_LEFT_OUT, MOST_REASONS, MOST_SEGMENTS, MOST_SIGHTINGS, MOST_TRACKS
from castlist.contract.box import Pixels
from castlist.contract.values import (
    Duration,
    ExternalId,
    FrameRate,
    GalleryId,
    PersonName,
    Score,
    Seconds,
    Segment,
    VideoName,
    Whole,
)

MOST_PROFILES = 10_000
"""In a video; a commit does not take more people."""


class VideoAccepted(Resource):
    """A video and its latest task. `duplicate`: the video was there before."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "video_id": VIDEO, "task_id": TASK, "gallery": "newsroom", "name": "lobby.mp4", "bytes": 205376,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "status": "queued",
                "duplicate": False,
            }
        }
    )  # fmt: skip

    video_id: Id
    task_id: Id
    gallery: GalleryId
    name: VideoName
    bytes: Whole | None
    sha256: Hash | None
    status: Status
    duplicate: bool


class Video(Resource):
    """A stored video. The media facts are there once it was planned; sizes are of its upright frame."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": VIDEO, "gallery": "newsroom", "name": "lobby.mp4", "bytes": 205376, "sha256": None,
                "duration": 31.2, "width": 640, "height": 480, "frame_rate": 29.97, "recorded_at": None,
                "external_id": None, "latest_task_id": TASK, "created_at": MADE,
            }
        }
    )  # fmt: skip

    id: Id
    gallery: GalleryId
    name: VideoName
    bytes: Whole | None
    sha256: Hash | None
    duration: Duration | None
    width: Pixels | None
    height: Pixels | None
    frame_rate: FrameRate | None
    recorded_at: AwareDatetime | None
    external_id: ExternalId | None
    latest_task_id: Id
    created_at: AwareDatetime


class VideoPage(Page[Video]):
    """Videos, the oldest first."""


class PersonOnScreen(Resource):
    """A profile in a video, and when it is on screen. `label`: its name, or else the same few letters everywhere."""

    profile_id: Id
    name: PersonName | None
    label: Text
    seconds: Duration
    segments: Annotated[list[Segment], Field(max_length=MOST_SEGMENTS)]


class VideoTimeline(Resource):
    """Who is on screen in a video, and when: the first to be seen comes first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "video_id": VIDEO, "duration": 31.2,
                "people": [{"profile_id": PROFILE, "name": "Ada Lovelace", "label": "Ada Lovelace", "seconds": 11.9,
                            "segments": [{"start": 0.4, "end": 9.1}, {"start": 27.8, "end": 31.0}]}],
            }
        }
    )  # fmt: skip

    video_id: Id
    duration: Duration | None
    people: Annotated[list[PersonOnScreen], Field(max_length=MOST_PROFILES)]


TrackBox = tuple[Seconds, Pixels, Pixels, Pixels, Pixels, Score]
LeftOutBox = tuple[Seconds, Pixels, Pixels, Pixels, Pixels]


class VideoTrack(Resource):
    """One face followed through up to about 15 seconds. `boxes`: time, left, top, width, height, score of each, in
    seconds and pixels of the upright frame; a score of -1: its detector was not asked about this one."""

    id: Annotated[str, StringConstraints(max_length=256)]
    profile_id: Id | None
    start: Seconds
    end: Seconds
    boxes: Annotated[list[TrackBox], Field(max_length=MOST_SIGHTINGS)]


class VideoTracks(Resource):
    """Where people are in a video, for a player to draw. `left_out`: some of the faces that nobody was made of, by
    reason: time, left, top, width, height."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "tracks": [{"id": f"{VIDEO}:1:0:3", "profile_id": PROFILE, "start": 0.4, "end": 9.1,
                            "boxes": [[0.4, 210, 88, 96, 96, 1.31], [9.1, 216, 90, 96, 96, -1.0]]}],
                "left_out": {"too_small": [[3.2, 14, 20, 22, 28]]},
            }
        }
    )  # fmt: skip

    tracks: Annotated[list[VideoTrack], Field(max_length=MOST_TRACKS)]
    left_out: Annotated[
        dict[Word, Annotated[list[LeftOutBox], Field(max_length=MOST_LEFT_OUT)]], Field(max_length=MOST_REASONS)
    ]
