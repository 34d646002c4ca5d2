"""What the workers' children are told and say: jobs and results. The parent checks what comes back against these."""

from typing import Annotated

from pydantic import Field

from castlist.children.messages import JobModel
from castlist.contract.bounds import MOST_CHUNKS, MOST_LEFT_OUT, MOST_REASONS, MOST_TRACKS
from castlist.contract.box import Pixels
from castlist.contract.values import (
    AnalysisSettings,
    Code,
    Duration,
    FrameRate,
    Holes,
    LeftOutFace,
    Seconds,
    Stretches,
    Tally,
    Track,
    Warnings,
)

DETECTOR_UNAVAILABLE = "detector_unavailable"
"""The code of a JobRejectedError that is about this child alone: another may do the job."""


class PlanJob(JobModel):
    """Probe the file at `path` and say how to cut it."""

    path: str


class Span(JobModel):
    """A chunk's part of the video in seconds; None is open. Of the rest `ChunkPlanned` tells."""

    start: Seconds | None
    end: Seconds | None
    stretches: Stretches = ()
    holes: Holes = ()


class PlanResult(JobModel):
    """What the file is, and its chunks. Sizes are of the upright frame, times in seconds.

    `without_auto`: why the detector `auto` cannot be had here; None where it can.
    """

    chunks: Annotated[tuple[Span, ...], Field(min_length=1, max_length=MOST_CHUNKS)]
    duration: Duration
    width: Pixels
    height: Pixels
    frame_rate: FrameRate
    warnings: Warnings
    without_auto: str | None = None


class ChunkJob(JobModel):
    """Find the faces in one chunk of the file at `path`."""

    path: str
    chunk: int
    start: float | None
    end: float | None
    stretches: Stretches = ()
    holes: Holes = ()
    settings: AnalysisSettings


class ChunkResult(JobModel):
    """What is in a chunk. `jpegs` are base64, by the tracks' indexes, which their crops have for keys: where they lie
    is for the parent to say. `faces_skipped` counts sightings, `left_out` has some of them."""

    tracks: Annotated[tuple[Track, ...], Field(max_length=MOST_TRACKS)]
    jpegs: dict[int, str]
    frames: Tally
    faces_skipped: Annotated[dict[Code, Tally], Field(max_length=MOST_REASONS)]
    left_out: Annotated[tuple[LeftOutFace, ...], Field(max_length=MOST_LEFT_OUT)] = ()
    warnings: Warnings
