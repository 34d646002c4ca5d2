"""A task: one run over a video, and its cancelling."""

from datetime import datetime
from typing import Literal

import msgspec

from castlist.contract.values import AnalysisSettings, VideoWarning
from castlist.store.records.collection import AGGREGATOR, INGEST, QUERY, REPLAYED, WORKERS, Collection, index
from castlist.store.records.record import Record

Status = Literal["queued", "processing", "done", "failed", "cancelled"]


class TaskError(msgspec.Struct, frozen=True):
    """Why a task failed or was cancelled; `code` is one of `castlist.tasks.lifecycle.ERROR_CODES`."""

    code: str
    message: str


class TaskRecord(Record, frozen=True, kw_only=True):
    """One run over a video. `status` never leaves a final state; `settings` are those of its plan."""

    video_id: str
    video_name: str
    gallery: str
    epoch: int
    status: Status
    progress: float = 0.0
    chunks_done: int = 0
    chunks_planned: int | None = None
    settings: AnalysisSettings | None = None
    faces_skipped: dict[str, int] = msgspec.field(default_factory=dict)
    warnings: tuple[VideoWarning | str, ...] = ()
    error: TaskError | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    clear_after: datetime | None = None
    """when what it was worked out from may go; None before it ended, and once that is gone"""
    announced: int = 0
    """how often the reconciler has announced its work again"""
    announce_after: datetime | None = None
    """not before then once more"""


class SkippedFaces(Record, frozen=True, kw_only=True):
    """Of a task: how many faces nobody is made of, by reason."""

    faces_skipped: dict[str, int] = msgspec.field(default_factory=dict)


class CancelRecord(Record, frozen=True, kw_only=True):
    """A run that was cancelled, whatever comes later."""

    at: datetime


class ResolvedCancelRecord(Record, frozen=True, kw_only=True):
    """Which epoch a cancel without one meant, by `video:event`: resolved once."""

    epoch: int
    at: datetime


TASKS = Collection(
    name="tasks",
    record=TaskRecord,
    id="task",
    owner=AGGREGATOR,
    writers=(INGEST, WORKERS),
    readers=(QUERY,),
    kept="as long as its video",
    growth="runs over videos",
    indexes=(
        index(TaskRecord.created_at, TaskRecord.id),
        index(TaskRecord.gallery, TaskRecord.created_at, TaskRecord.id),
        index(TaskRecord.video_id, TaskRecord.epoch, unique=True),
        index(TaskRecord.clear_after),
        index(TaskRecord.status, TaskRecord.announce_after, TaskRecord.updated_at),
        index(TaskRecord.status, TaskRecord.created_at, TaskRecord.id),
        index(TaskRecord.gallery, TaskRecord.status, TaskRecord.created_at, TaskRecord.id),
    ),
)
CANCELS = Collection(
    name="cancels",
    record=CancelRecord,
    id="run",
    owner=AGGREGATOR,
    writers=(INGEST,),
    readers=(WORKERS,),
    kept="90 days",
    growth="runs cancelled in 90 days",
    indexes=(index(CancelRecord.at, expireAfterSeconds=REPLAYED),),
)
RESOLVED_CANCELS = Collection(
    name="resolved_cancels",
    record=ResolvedCancelRecord,
    id="video:event",
    owner=AGGREGATOR,
    writers=(WORKERS,),
    readers=(),
    kept="90 days",
    growth="cancels without an epoch of 90 days",
    indexes=(index(ResolvedCancelRecord.at, expireAfterSeconds=REPLAYED),),
)
