"""What the two services answer: one model a resource, for the service, its OpenAPI document, and the client.

The services write them without checking (`query_api.rendering`); a test holds what they write to these models. Fields
that a newer service adds are kept by an older client.
"""

from dataclasses import asdict
from typing import Annotated, Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
)

from castlist.contract import values
from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings, FrameSize, PersonName, Segment

Status = Literal["queued", "processing", "done", "failed", "cancelled"]
R = TypeVar("R", bound="Resource")

_VIDEO, _TASK, _PROFILE = (
    "7b0c1f6e-3f5e-5d7c-9a53-0f1f0d0c2b11",
    "2f9a4a0e-8f52-5b5c-8c1d-6f0e3f9d7a22",
    "c0d1f1a4-11f7-5a0b-b7c6-4d6f0b8e3c33",
)
_COMMAND = "e5c9c1d3-63b7-5d68-9f54-0b2d3a8f5e55"
_MADE, _BEGUN, _ENDED = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", "2026-01-02T03:04:17Z"


class Resource(BaseModel):
    """A JSON document of one of the services."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_serialization_defaults_required=True)


class Page(Resource, Generic[R]):
    """A part of a list. `next_cursor` asks for the part behind it; null at the end."""

    items: list[R]
    next_cursor: str | None


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

    video_id: str
    task_id: str
    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    status: Status
    duplicate: bool


class TaskCancelled(Resource):
    """A task that was stopped."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": _TASK, "video_id": _VIDEO, "status": "cancelled"}})

    id: str
    video_id: str
    status: Literal["cancelled"]


# --- tasks ------------------------------------------------------------------------------------------------------------


class TaskError(Resource):
    """Why a task failed or was cancelled; the codes are listed in docs/problems.md."""

    code: str
    message: str


class TaskWarning(Resource):
    """What of the video was not read as it should be; the codes are listed in docs/problems.md.

    `start` and `end` are seconds of the video, and are left out where it has no place in it.
    """

    code: str
    message: str
    start: float | None = None
    end: float | None = None

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class Task(Resource):
    """One run over one video. A task never leaves a final state: `done`, `failed` or `cancelled`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _TASK, "video_id": _VIDEO, "video_name": "lobby.mp4", "gallery": "newsroom", "epoch": 1,
                "status": "processing", "progress": 0.4125, "chunks_done": 5, "chunks_planned": 12, "people": None,
                "settings": {"detector": "hog", "samples_per_second": 5.0, "smallest_face": 57,
                             "in_video_distance": 0.38, "minimum_sightings": 2},
                "faces_skipped": {"too_small": 3},
                "warnings": [{"code": "truncated", "message": "The file ends early: these are the people of its "
                              "readable part.", "start": 31.2}],
                "error": None, "created_at": _MADE,
                "started_at": _BEGUN, "finished_at": None, "eta_seconds": 14.2,
            }
        }
    )  # fmt: skip

    id: str
    video_id: str
    video_name: str
    gallery: str
    epoch: int
    status: Status
    progress: Annotated[float, Field(ge=0, le=1)]
    chunks_done: int
    chunks_planned: int | None
    people: Annotated[int | None, Field(description="how many profiles its video has now; null until done")]
    settings: Annotated[
        AnalysisSettings | None, Field(description="how its faces are looked for; null until planned")
    ] = None
    faces_skipped: dict[str, int]
    warnings: list[TaskWarning]
    error: TaskError | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    eta_seconds: float | None = None

    @property
    def final(self) -> bool:
        """Whether it will stay as it is."""
        return self.status in ("done", "failed", "cancelled")


class TaskPage(Page[Task]):
    """Tasks, the oldest first."""


# --- people -----------------------------------------------------------------------------------------------------------


class CropPicture(Resource):
    """One face: where to get its picture (relative to query-api), and where it is in which frame."""

    url: str
    time: float
    box: Box
    frame: FrameSize
    quality: float


class Appearance(Resource):
    """A profile in a video. Times are seconds of the video; `faces` counts sightings.

    Without a crop only where its video is being removed.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "video_id": _VIDEO, "video_name": "lobby.mp4", "first_seen": 0.4, "last_seen": 31.0, "seconds": 11.9,
                "faces": 57, "segments": [{"start": 0.4, "end": 9.1}, {"start": 27.8, "end": 31.0}],
                "crop": {"url": f"/crops/{_VIDEO}/1/0-3.jpg", "time": 3.2,
                         "box": {"left": 210, "top": 88, "width": 96, "height": 96},
                         "frame": {"width": 640, "height": 480}, "quality": 0.93},
            }
        }
    )  # fmt: skip

    video_id: str
    video_name: str
    first_seen: float
    last_seen: float
    seconds: float
    faces: int
    segments: list[Segment]
    crop: CropPicture | None


class AppearancePage(Page[Appearance]):
    """Appearances, the newest first."""


class Profile(Resource):
    """One person in one gallery. `appearances` are the newest 100, or the one in the video that was asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _PROFILE, "gallery": "newsroom", "name": "Ada Lovelace", "created_at": _MADE,
                "updated_at": _ENDED, "video_count": 1, "appearances": [],
            }
        }
    )  # fmt: skip

    id: str
    gallery: str
    name: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    video_count: int
    appearances: list[Appearance]


class ProfilePage(Page[Profile]):
    """People."""


class ProfileChange(BaseModel):
    """What can be changed about a profile."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Ada Lovelace"}})

    name: PersonName | None


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

    id: str
    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    duration: float | None
    width: int | None
    height: int | None
    frame_rate: float | None
    recorded_at: AwareDatetime | None
    external_id: str | None
    latest_task_id: str
    created_at: AwareDatetime


class VideoPage(Page[Video]):
    """Videos, the oldest first."""


# --- galleries --------------------------------------------------------------------------------------------------------


class Gallery(Resource):
    """A namespace of people. `settled`: no task is open, and no commit or re-clustering is pending."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": "newsroom", "videos": 12, "profiles": 7, "tasks_open": 0, "settled": True}}
    )

    id: str
    videos: int
    profiles: int
    tasks_open: int
    settled: bool


class GalleryPage(Page[Gallery]):
    """Galleries, by their names."""


_KINDS = get_type_hints(values.GallerySettings, include_extras=True)
_SETTINGS: dict[str, Any] = {name: (kind, ...) for name, kind in _KINDS.items()}
_CHANGES: dict[str, Any] = {name: (kind, None) for name, kind in _KINDS.items()}
GallerySettings = create_model(
    "GallerySettings",
    __base__=Resource,
    __doc__="How faces are looked for and matched in a gallery.",
    **_SETTINGS,
)
GallerySettings.model_config["json_schema_extra"] = {"example": asdict(values.GallerySettings())}
GallerySettingsChange = create_model(
    "GallerySettingsChange",
    __config__=ConfigDict(extra="forbid", json_schema_extra={"example": {"samples_per_second": 10.0}}),
    __doc__="Settings to change; those not named stay. Later tasks use them; a new distance re-clusters the gallery.",
    **_CHANGES,
)


class Suggestion(Resource):
    """Two profiles that may be one person, for a person to decide."""

    profiles: tuple[str, str]
    distance: float


class Suggestions(Resource):
    """Pairs of profiles that may be one person, the nearest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"items": [{"profiles": [_PROFILE, "d4b8b0c2-52a6-5c57-8e43-9a1c2f7e4d44"], "distance": 0.53}]}
        }
    )

    items: list[Suggestion]


class ProblemField(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """Why a request was not answered (RFC 9457). `type` is explained in docs/problems.md."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemField] | None = None


# --- commands ---------------------------------------------------------------------------------------------------------


class CommandAccepted(Resource):
    """A command was accepted; it takes effect with a commit of the gallery. `GET /commands/{id}` says what became of
    it."""

    model_config = ConfigDict(json_schema_extra={"example": {"command": _COMMAND, "gallery": "newsroom"}})

    command: str
    gallery: str


class Command(Resource):
    """A command and what became of it. `at`: when it was accepted; `error`: why it failed, as a problem."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _COMMAND, "gallery": "newsroom", "kind": "rename_profile", "status": "failed", "at": _MADE,
                "error": {"type": "/docs/problems#not-found", "title": "Not found", "status": 404,
                          "detail": "There is no such profile."},
            }
        }
    )  # fmt: skip

    id: str
    gallery: str
    kind: str
    status: Literal["pending", "applied", "failed"]
    at: AwareDatetime
    error: ProblemDocument | None

    @property
    def final(self) -> bool:
        """Whether it will stay as it is."""
        return self.status != "pending"
