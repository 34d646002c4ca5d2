"""What the two services answer, as the client reads it. Fields that a newer service adds are kept."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from castlist.contract.values import Box, FrameSize, Segment

Status = Literal["queued", "processing", "done", "failed", "cancelled"]


class Answer(BaseModel):
    """A JSON document of one of the services."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Accepted(Answer):
    """`POST /videos`: the video and its latest task. `duplicate`: the video was there before.

    `began`: this request made the task (which the service says by its status code, 202 rather than 200).
    """

    video_id: str
    task_id: str
    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    status: Status
    duplicate: bool
    began: bool = False


class TaskError(Answer):
    """Why a task failed; `code` is one of a documented list."""

    code: str
    message: str


class TaskSettings(Answer):
    """How faces are looked for in a task, fixed when it is planned; later changes are for later tasks."""

    detector: str
    samples_per_second: float
    smallest_face: int
    in_video_distance: float
    minimum_sightings: int


class Task(Answer):
    """One run over one video. `people` is how many were found, once it is done; `settings` are there once planned."""

    id: str
    video_id: str
    video_name: str
    gallery: str
    epoch: int
    status: Status
    progress: float
    chunks_done: int
    chunks_planned: int | None
    people: int | None
    settings: TaskSettings | None = None
    faces_skipped: dict[str, int]
    warnings: list[str]
    error: TaskError | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    eta_seconds: float | None = None

    @property
    def final(self) -> bool:
        """Whether it will stay as it is."""
        return self.status in ("done", "failed", "cancelled")


class Crop(Answer):
    """The picture of a face, and where in which frame it was cut. `url` is relative to query-api."""

    url: str
    time: float
    box: Box
    frame: FrameSize
    quality: float


class Appearance(Answer):
    """A person in a video; times are seconds of the video. Without a crop only where its video is being removed."""

    video_id: str
    video_name: str
    first_seen: float
    last_seen: float
    seconds: float
    faces: int
    segments: list[Segment]
    crop: Crop | None


class Profile(Answer):
    """A person in a gallery. `appearances` are the newest 100, or the one in the video that was asked for."""

    id: str
    gallery: str
    name: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    video_count: int
    appearances: list[Appearance]


class Video(Answer):
    """One stored object. The media facts are there once it has been probed."""

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


class GalleryState(Answer):
    """`settled`: no task is open, and no commit or re-clustering is pending."""

    id: str
    videos: int
    profiles: int
    tasks_open: int
    settled: bool
