"""What query-api answers. The single source of its OpenAPI document; a test holds the views to it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from castlist.contract.values import Box, FrameSize, MatchSettings, Segment

Status = Literal["queued", "processing", "done", "failed", "cancelled"]


class TaskError(BaseModel):
    """Why a task failed or was cancelled; the codes are listed in docs/problems.md."""

    code: str
    message: str


class Task(BaseModel):
    """One run over one video."""

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
    settings: Annotated[MatchSettings | None, Field(description="how its faces are looked for; null until planned")]
    faces_skipped: dict[str, int]
    warnings: list[str]
    error: TaskError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    eta_seconds: float | None


class TaskPage(BaseModel):
    items: list[Task]
    next_cursor: str | None


class CropView(BaseModel):
    """One face: where to get its picture, and where it is in its frame."""

    url: str
    time: float
    box: Box
    frame: FrameSize
    quality: float


class Appearance(BaseModel):
    """A profile in a video. Times in seconds; `faces` counts sightings."""

    video_id: str
    video_name: str
    first_seen: float
    last_seen: float
    seconds: float
    faces: int
    segments: list[Segment]
    crop: CropView | None


class AppearancePage(BaseModel):
    items: list[Appearance]
    next_cursor: str | None


class Profile(BaseModel):
    """One person in one gallery, with the newest 100 appearances."""

    id: str
    gallery: str
    name: str | None
    created_at: datetime
    updated_at: datetime
    video_count: int
    appearances: list[Appearance]


class ProfilePage(BaseModel):
    items: list[Profile]
    next_cursor: str | None


class Video(BaseModel):
    """A stored video; sizes are of its upright frame, in square pixels."""

    id: str
    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    duration: float | None
    width: int | None
    height: int | None
    frame_rate: float | None
    recorded_at: datetime | None
    external_id: str | None
    latest_task_id: str
    created_at: datetime


class VideoPage(BaseModel):
    items: list[Video]
    next_cursor: str | None


class Gallery(BaseModel):
    """`settled`: no task is open, and no commit or re-clustering is pending."""

    id: str
    videos: int
    profiles: int
    tasks_open: int
    settled: bool


class GalleryPage(BaseModel):
    items: list[Gallery]
    next_cursor: str | None


class GallerySettings(MatchSettings):
    """How faces are looked for and matched in a gallery."""

    across_video_distance: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = "auto"


class GallerySettingsChange(BaseModel):
    """Settings to change; those not named stay."""

    model_config = {"extra": "forbid"}

    detector: Literal["hog", "cnn"] | None = None
    samples_per_second: Annotated[float, Field(ge=1, le=30)] | None = None
    smallest_face: Annotated[int, Field(ge=20, le=400)] | None = None
    in_video_distance: Annotated[float, Field(gt=0, lt=1)] | None = None
    minimum_sightings: Annotated[int, Field(ge=1, le=100)] | None = None
    across_video_distance: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] | None = None


class ProfileChange(BaseModel):
    """What can be changed about a profile."""

    model_config = {"extra": "forbid"}

    name: Annotated[str, Field(min_length=1, max_length=256)] | None


class Commanded(BaseModel):
    """A command was accepted; it takes effect with the gallery's next commit."""

    command: str
    gallery: str


class Suggestion(BaseModel):
    """Two profiles that may be one person, for a person to decide."""

    profiles: tuple[str, str]
    distance: float


class Suggestions(BaseModel):
    items: list[Suggestion]
