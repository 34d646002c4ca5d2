"""What the two services answer: one model a resource, for the service, its OpenAPI document, and the client.

The services write them without checking (`query_api.rendering`); a test holds what they write to these models. Fields
that a newer service adds are kept by an older client.
"""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
)

from castlist.contract import values
from castlist.contract.bounds import (
    MOST_LEFT_OUT,
    MOST_LINK_VIDEOS,
    MOST_NAMED,
    MOST_REASONS,
    MOST_SEGMENTS,
    MOST_SIGHTINGS,
    MOST_TAGS,
    MOST_TRACKS,
    MOST_WARNINGS,
    WHOLE,
)
from castlist.contract.box import Box, Pixels
from castlist.contract.ids import ID_PATTERN
from castlist.contract.values import (
    AnalysisSettings,
    BirthDate,
    Duration,
    Epoch,
    ExternalId,
    FrameRate,
    FrameSize,
    GalleryId,
    KeyName,
    Notes,
    PersonName,
    Quality,
    Score,
    Seconds,
    Segment,
    Sentence,
    Tag,
    Tally,
    TrackId,
    VideoName,
    Whole,
)

Status = Literal["queued", "processing", "done", "failed", "cancelled"]
R = TypeVar("R", bound="Resource")
MOST_PROBLEMS = 100
"""Fields of a request that an answer names."""
MOST_SUGGESTIONS = 1_000
MOST_CHANGED = 100_000
"""Profiles that one change is about."""
MOST_DETAILS = 32
MOST_PROFILES = 10_000
"""In a video; a commit does not take more people."""
MOST_MATCHES, MOST_SEARCHED = 20, 100
"""Profiles that a face is compared with in an answer, and faces of one picture."""
MOST_CROP = 2**20 + 32
"""Characters of a `data:` URL."""
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
EventId = Annotated[str, StringConstraints(max_length=128)]
Hash = Annotated[str, StringConstraints(max_length=64)]
Word = Annotated[str, StringConstraints(max_length=64)]
Text = Annotated[str, StringConstraints(max_length=4_096)]
Distance = Annotated[float, Field(ge=0, le=1_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Wait = Annotated[float, Field(ge=0, le=WHOLE)]
TotalSeconds = Annotated[float, Field(ge=0, le=WHOLE)]
HttpStatus = Annotated[int, Field(ge=100, le=599)]

_VIDEO, _TASK, _PROFILE = (
    "7b0c1f6e-3f5e-5d7c-9a53-0f1f0d0c2b11",
    "2f9a4a0e-8f52-5b5c-8c1d-6f0e3f9d7a22",
    "c0d1f1a4-11f7-5a0b-b7c6-4d6f0b8e3c33",
)
_OTHER = "d4b8b0c2-52a6-5c57-8e43-9a1c2f7e4d44"
_COMMAND = "e5c9c1d3-63b7-5d68-9f54-0b2d3a8f5e55"
_MADE, _BEGUN, _ENDED = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", "2026-01-02T03:04:17Z"


class Resource(BaseModel):
    """A JSON document of one of the services."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_serialization_defaults_required=True)


class Page(Resource, Generic[R]):
    """A part of a list. `next_cursor` asks for the part behind it; null at the end."""

    items: Annotated[list[R], Field(max_length=500)]
    next_cursor: Text | None


# --- ingest -----------------------------------------------------------------------------------------------------------


class VideoAccepted(Resource):
    """A video and its latest task. `duplicate`: the video was there before."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "video_id": _VIDEO, "task_id": _TASK, "gallery": "newsroom", "name": "lobby.mp4", "bytes": 205376,
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


class TaskCancelled(Resource):
    """A task that was stopped."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": _TASK, "video_id": _VIDEO, "status": "cancelled"}})

    id: Id
    video_id: Id
    status: Literal["cancelled"]


# --- tasks ------------------------------------------------------------------------------------------------------------


class TaskError(Resource):
    """Why a task failed or was cancelled; the codes are listed in docs/problems.md."""

    code: Word
    message: Sentence


def _is_absent(value: object) -> bool:
    return value is None


class TaskWarning(Resource):
    """What of the video was not read as it should be; the codes are listed in docs/problems.md.

    `start` and `end` are seconds of the video, and are left out where it has no place in it.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    code: Word
    message: Sentence
    start: Annotated[Seconds | None, Field(exclude_if=_is_absent)] = None
    end: Annotated[Seconds | None, Field(exclude_if=_is_absent)] = None


class Task(Resource):
    """One run over one video. A task never leaves a final state: `done`, `failed` or `cancelled`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _TASK, "video_id": _VIDEO, "video_name": "lobby.mp4", "gallery": "newsroom", "epoch": 1,
                "status": "processing", "progress": 0.4125, "chunks_done": 5, "chunks_planned": 12, "people": None,
                "settings": {"detector": "auto", "samples_per_second": 5.0, "smallest_face": 40,
                             "in_video_distance": 0.38, "minimum_sightings": 2, "identify": True},
                "faces_skipped": {"too_small": 3},
                "warnings": [{"code": "truncated", "message": "The file ends early: these are the people of its "
                              "readable part.", "start": 31.2}],
                "error": None, "created_at": _MADE,
                "started_at": _BEGUN, "finished_at": None, "eta_seconds": 14.2,
            }
        }
    )  # fmt: skip

    id: Id
    video_id: Id
    video_name: VideoName
    gallery: GalleryId
    epoch: Epoch
    status: Status
    progress: Annotated[float, Field(ge=0, le=1)]
    chunks_done: Tally
    chunks_planned: Tally | None
    people: Annotated[Tally | None, Field(description="how many profiles its video has now; null until done")]
    settings: Annotated[
        AnalysisSettings | None, Field(description="how its faces are looked for; null until planned")
    ] = None
    faces_skipped: Annotated[dict[Word, Whole], Field(max_length=MOST_REASONS)]
    warnings: Annotated[list[TaskWarning], Field(max_length=MOST_WARNINGS)]
    error: TaskError | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    eta_seconds: Wait | None = None

    @property
    def final(self) -> bool:
        """Whether it will stay as it is."""
        return self.status in ("done", "failed", "cancelled")


class TaskPage(Page[Task]):
    """Tasks, the oldest first."""


# --- people -----------------------------------------------------------------------------------------------------------


class CropPicture(Resource):
    """One face: where to get its picture (relative to query-api), and where it is in which frame."""

    url: Text
    time: Seconds
    box: Box
    frame: FrameSize
    quality: Quality


class Appearance(Resource):
    """A profile in a video. Times are seconds of the video; `faces` counts sightings.

    `manual`: no face was found, a person said so. Only then, and where its video is being removed, is there no crop.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "video_id": _VIDEO, "video_name": "lobby.mp4", "first_seen": 0.4, "last_seen": 31.0, "seconds": 11.9,
                "faces": 57, "segments": [{"start": 0.4, "end": 9.1}, {"start": 27.8, "end": 31.0}],
                "crop": {"url": f"/crops/{_VIDEO}/1/0-3.jpg", "time": 3.2,
                         "box": {"left": 210, "top": 88, "width": 96, "height": 96},
                         "frame": {"width": 640, "height": 480}, "quality": 0.93},
                "manual": False,
            }
        }
    )  # fmt: skip

    video_id: Id
    video_name: VideoName
    first_seen: Seconds
    last_seen: Seconds
    seconds: Duration
    faces: Whole
    segments: Annotated[list[Segment], Field(max_length=MOST_SEGMENTS)]
    crop: CropPicture | None
    manual: bool = False


class AppearancePage(Page[Appearance]):
    """Appearances, the newest first."""


class TimelineEntry(Appearance):
    """An appearance in the life of a profile. `at`: when its video was recorded, or else came to us."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "at": _MADE, "video_id": _VIDEO, "video_name": "lobby.mp4", "first_seen": 0.4, "last_seen": 9.1,
                "seconds": 8.7, "faces": 40, "manual": False, "segments": [{"start": 0.4, "end": 9.1}], "crop": None,
            }
        }
    )  # fmt: skip

    at: AwareDatetime


class TimelinePage(Page[TimelineEntry]):
    """Appearances in the order of their videos' moments."""


class Cover(BaseModel):
    """Which crop stands for a person: that of this video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video_id: Id


class Profile(Resource):
    """One person in one gallery. `appearances` are the newest 100, or the one in the video that was asked for.

    `first_seen` and `last_seen` are the earliest and the latest of its videos, by when these were recorded, or else
    came to us; `seconds` is for how long it is seen in all of them.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _PROFILE, "gallery": "newsroom", "name": "Ada Lovelace", "external_id": "staff-17",
                "birth_date": "1815-12-10", "notes": "Speaks at the opening.", "tags": ["guest"], "favourite": True,
                "hidden": False, "cover": {"video_id": _VIDEO}, "created_at": _MADE, "updated_at": _ENDED,
                "first_seen": _MADE, "last_seen": _MADE, "seconds": 11.9, "video_count": 1, "pictures": [],
                "appearances": [],
            }
        }
    )  # fmt: skip

    id: Id
    gallery: GalleryId
    name: PersonName | None
    external_id: ExternalId | None = None
    birth_date: BirthDate | None = None
    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] = []
    favourite: bool = False
    hidden: bool = False
    cover: Cover | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None
    seconds: TotalSeconds = 0
    video_count: Tally
    pictures: Annotated[
        list[CropPicture], Field(max_length=MOST_CHANGED, description="by which the person was enrolled")
    ] = []
    appearances: Annotated[list[Appearance], Field(max_length=100)]


class ProfilePage(Page[Profile]):
    """People."""


class ProfileChange(BaseModel):
    """What to write on a profile's card; null clears a field, those not named stay."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Ada Lovelace", "tags": ["guest"], "favourite": True}}
    )

    name: PersonName | None = None
    external_id: ExternalId | None = None
    birth_date: date | None = None
    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    favourite: bool | None = None
    hidden: bool | None = None
    cover: Cover | None = None


class ProfilesToMerge(BaseModel):
    """Which profiles are this person, too."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"profiles": [_OTHER]}})

    profiles: Annotated[list[Id], Field(min_length=1, max_length=MOST_NAMED)]


class ProfileSplit(BaseModel):
    """Which appearances, or which tracks, are somebody else: of the profile `into`, or of a new one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"videos": [_VIDEO]}})

    videos: Annotated[list[Id], Field(max_length=MOST_NAMED)] = []
    tracks: Annotated[list[TrackId], Field(max_length=MOST_NAMED)] = []
    into: Id | None = None


class Rejection(BaseModel):
    """Which appearance does not belong to a profile, and why."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"video_id": _VIDEO, "reason": "not_this_person"}}
    )

    video_id: Id
    reason: Literal["not_this_person", "not_a_face"]


class ObjectingProfile(BaseModel):
    """Which profile is of somebody who objects to being known."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"profile_id": _PROFILE}})

    profile_id: Id


class ManualPresence(BaseModel):
    """Where a profile is although no face was found: in a span of the video (without one: all of it), in a box."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"video_id": _VIDEO, "start": 12.0, "end": 31.5}}
    )

    video_id: Id
    start: Seconds | None = None
    end: Seconds | None = None
    box: Box | None = None


class Answer(BaseModel):
    """What a suggestion's two are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"answer": "same"}})

    answer: Literal["same", "different"]


class FaceMatch(Resource):
    """A profile that somebody may be. `distance`: of encodings; `likeness`: the share of such pairs that are one person
    (docs/identity.md)."""

    profile: Profile
    distance: Distance
    likeness: Share


class SearchedFace(Resource):
    """A face of a picture, its `box` in pixels of the picture as it is looked at, and the profiles nearest to it.

    `crop` is a `data:` URL of a JPEG: nothing is kept of a picture that was searched with.
    """

    box: Box
    quality: Quality
    crop: Annotated[str, StringConstraints(max_length=MOST_CROP)]
    matches: Annotated[list[FaceMatch], Field(max_length=MOST_MATCHES)]


class SearchResult(Resource):
    """The faces of a picture, the largest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "faces": [
                    {
                        "box": {"left": 210, "top": 88, "width": 96, "height": 96}, "quality": 0.93,
                        "crop": "data:image/jpeg;base64,…",
                        "matches": [
                            {
                                "profile": Profile.model_config["json_schema_extra"]["example"],  # type: ignore[index]
                                "distance": 0.31, "likeness": 0.999,
                            }
                        ],
                    }
                ]
            }
        }
    )  # fmt: skip

    faces: Annotated[list[SearchedFace], Field(max_length=MOST_SEARCHED)]


class SimilarProfiles(Resource):
    """The other profiles of a gallery that are nearest to one, the nearest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "profile": Profile.model_config["json_schema_extra"]["example"],  # type: ignore[index]
                        "distance": 0.52, "likeness": 0.51,
                    }
                ]
            }
        }
    )  # fmt: skip

    items: Annotated[list[FaceMatch], Field(max_length=MOST_MATCHES)]


# --- videos -----------------------------------------------------------------------------------------------------------


class Video(Resource):
    """A stored video. The media facts are there once it was planned; sizes are of its upright frame."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _VIDEO, "gallery": "newsroom", "name": "lobby.mp4", "bytes": 205376, "sha256": None,
                "duration": 31.2, "width": 640, "height": 480, "frame_rate": 29.97, "recorded_at": None,
                "external_id": None, "latest_task_id": _TASK, "created_at": _MADE,
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
                "video_id": _VIDEO, "duration": 31.2,
                "people": [{"profile_id": _PROFILE, "name": "Ada Lovelace", "label": "Ada Lovelace", "seconds": 11.9,
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
                "tracks": [{"id": f"{_VIDEO}:1:0:3", "profile_id": _PROFILE, "start": 0.4, "end": 9.1,
                            "boxes": [[0.4, 210, 88, 96, 96, 1.31], [9.1, 216, 90, 96, 96, -1.0]]}],
                "left_out": {"too_small": [[3.2, 14, 20, 22, 28]]},
            }
        }
    )  # fmt: skip

    tracks: Annotated[list[VideoTrack], Field(max_length=MOST_TRACKS)]
    left_out: Annotated[
        dict[Word, Annotated[list[LeftOutBox], Field(max_length=MOST_LEFT_OUT)]], Field(max_length=MOST_REASONS)
    ]


# --- galleries --------------------------------------------------------------------------------------------------------


class Gallery(Resource):
    """A namespace of people. `settled`: no task is open, and no commit or re-clustering is pending."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": "newsroom", "videos": 12, "profiles": 7, "tasks_open": 0, "settled": True}}
    )

    id: GalleryId
    videos: Tally
    profiles: Tally
    tasks_open: Tally
    settled: bool


class GalleryPage(Page[Gallery]):
    """Galleries, by their names."""


class TaskCounts(Resource):
    """How many tasks are in each state."""

    queued: Tally
    processing: Tally
    done: Tally
    failed: Tally
    cancelled: Tally


class GalleryStats(Resource):
    """How much is in a gallery. `video_seconds`: how long its videos are, as far as they were planned.
    `screen_seconds`: how long its people are seen in them, each on their own. `faces_skipped`: faces that nobody was
    made of, by reason; as everywhere, of each video's latest run that was done.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "newsroom", "videos": 12, "video_seconds": 5400.5, "people": 7, "named": 3, "unnamed": 4,
                "hidden": 1, "appearances": 31, "screen_seconds": 1830.25, "faces_skipped": {"too_small": 41},
                "tasks": {"queued": 1, "processing": 2, "done": 10, "failed": 1, "cancelled": 0},
            }
        }
    )  # fmt: skip

    id: GalleryId
    videos: Tally
    video_seconds: TotalSeconds
    people: Tally
    named: Tally
    unnamed: Tally
    hidden: Tally
    appearances: Tally
    screen_seconds: TotalSeconds
    faces_skipped: Annotated[dict[Word, Whole], Field(max_length=MOST_REASONS)]
    tasks: TaskCounts


_KINDS = get_type_hints(values.GallerySettings, include_extras=True)
_SETTINGS: dict[str, Any] = {name: (kind, ...) for name, kind in _KINDS.items()}
_CHANGES: dict[str, Any] = {name: (kind, None) for name, kind in _KINDS.items()}
GallerySettings = create_model(
    "GallerySettings",
    __base__=Resource,
    __doc__="How faces are looked for and matched in a gallery.",
    **_SETTINGS,
)
GallerySettings.model_config["json_schema_extra"] = {"example": asdict(values.NEW_GALLERY)}
GallerySettingsChange = create_model(
    "GallerySettingsChange",
    __config__=ConfigDict(extra="forbid", json_schema_extra={"example": {"samples_per_second": 10.0}}),
    __doc__="Settings to change; those not named stay. Later tasks use them; a new distance re-clusters the gallery.",
    **_CHANGES,
)


class NewGallery(BaseModel):
    """A gallery to be made. Settings that are not named are those of any new gallery."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"id": "newsroom", "settings": {"smallest_face": 60}}}
    )

    id: GalleryId
    settings: GallerySettingsChange | None = None


class Suggestion(Resource):
    """Two profiles that may be one person, for a person to decide.

    `likeness`: the share of such pairs that are one, counted among synthetic people.
    """

    id: Id
    profiles: tuple[Id, Id]
    distance: Distance
    likeness: Share


class WeakLink(Resource):
    """A profile that may be two people, and the videos of those of its appearances that fit the others least."""

    id: Id
    profile: Id
    videos: Annotated[list[Id], Field(max_length=MOST_LINK_VIDEOS)]
    distance: Distance
    likeness: Share


class Suggestions(Resource):
    """Pairs of profiles that may be one person, the nearest first; and profiles that may be two, the furthest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "id": "5f0c3f0e-0f0b-5b39-9a49-0a4b1c7f0d11",
                        "profiles": [_PROFILE, _OTHER],
                        "distance": 0.53,
                        "likeness": 0.72,
                    }
                ],
                "weak_links": [],
            }
        }
    )

    items: Annotated[list[Suggestion], Field(max_length=MOST_SUGGESTIONS)]
    weak_links: Annotated[list[WeakLink], Field(max_length=MOST_SUGGESTIONS)]


class ProblemField(BaseModel):
    """What is wrong with one field of a request."""

    field: Text
    message: Text


class ProblemDocument(BaseModel):
    """Why a request was not answered (RFC 9457). `type` is explained in docs/problems.md."""

    type: Text
    title: Text
    status: HttpStatus
    detail: Text
    errors: Annotated[list[ProblemField], Field(max_length=MOST_PROBLEMS)] | None = None


# --- changes ----------------------------------------------------------------------------------------------------------


ERASURES = frozenset({"erase", "objection", "erase_video", "delete_gallery"})
"""Kinds of changes that are not through before they have a receipt."""


class Change(Resource):
    """Something that was changed by hand, and what became of it.

    `at`: when it was accepted, `by`: by whose key. `gallery_version` is the one it made; `profiles` are all that it
    changed, retired ones too; `detail` says more, by kind. `receipt`: of an erasure, what is gone, and what stays
    where for how many days. `error`: why it failed, as a problem.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _COMMAND, "gallery": "newsroom", "kind": "merge", "status": "applied", "by": None, "at": _MADE,
                "gallery_version": 41, "profiles": [_PROFILE, _OTHER], "detail": {"into": _PROFILE},
                "undone_by": None, "undoes": None, "receipt": None, "error": None,
            }
        }
    )  # fmt: skip

    id: EventId
    gallery: GalleryId
    kind: Word
    status: Literal["pending", "applied", "failed"]
    by: KeyName | None
    at: AwareDatetime
    gallery_version: Whole | None
    profiles: Annotated[list[Id], Field(max_length=MOST_CHANGED)]
    detail: Annotated[dict[Word, Any], Field(max_length=MOST_DETAILS)]
    undone_by: EventId | None
    undoes: EventId | None
    receipt: Annotated[dict[Word, Any] | None, Field(max_length=MOST_DETAILS)] = None
    error: ProblemDocument | None

    @property
    def final(self) -> bool:
        """Whether it is applied, an erasure with its receipt, or failed."""
        if self.status == "applied" and self.kind in ERASURES:
            return self.receipt is not None
        return self.status != "pending"


class Objection(Resource):
    """Somebody who objects to being known in a gallery. `id` is that of the change that says so."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": _COMMAND, "at": _MADE, "by": None}})

    id: EventId
    at: AwareDatetime
    by: KeyName | None


class ObjectionPage(Page[Objection]):
    """Objections, the newest first."""


class ChangePage(Page[Change]):
    """Changes, the newest first."""
