"""Tasks: runs over videos."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from castlist.api.examples import BEGUN, MADE, TASK, VIDEO
from castlist.api.resource import Id, Page, Resource, Wait, Word
from castlist.contract.bounds import MOST_REASONS, MOST_WARNINGS
from castlist.contract.values import AnalysisSettings, Epoch, GalleryId, Seconds, Sentence, Tally, VideoName, Whole

Status = Literal["queued", "processing", "done", "failed", "cancelled"]


class TaskCancelled(Resource):
    """A task that was stopped."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": TASK, "video_id": VIDEO, "status": "cancelled"}})

    id: Id
    video_id: Id
    status: Literal["cancelled"]


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
                "id": TASK, "video_id": VIDEO, "video_name": "lobby.mp4", "gallery": "newsroom", "epoch": 1,
                "status": "processing", "progress": 0.4125, "chunks_done": 5, "chunks_planned": 12, "people": None,
                "settings": {"detector": "auto", "samples_per_second": 5.0, "smallest_face": 40,
                             "in_video_distance": 0.38, "minimum_sightings": 2, "identify": True},
                "faces_skipped": {"too_small": 3},
                "warnings": [{"code": "truncated", "message": "The file ends early: these are the people of its "
                              "readable part.", "start": 31.2}],
                "error": None, "created_at": MADE,
                "started_at": BEGUN, "finished_at": None, "eta_seconds": 14.2,
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
