"""What can be configured on the frame-workers."""

import os
from typing import Annotated, Literal

from pydantic import Field

from castlist.contract.bounds import LONGEST_VIDEO
from castlist.service.settings import Settings as Shared


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Settings(Shared):
    """The shared settings, and the workers' own."""

    workers: Annotated[int, Field(ge=1, description="chunks worked on at a time; default all cores")] = Field(
        default_factory=_cores
    )
    encoder: Annotated[
        Literal["onnx", "dlib"], Field(description="what computes encodings; dlib's own is the slow reference")
    ] = "onnx"
    fetched_bytes: Annotated[int, Field(ge=0, description="disk for fetched videos that are not in use")] = 20 * 2**30
    largest_video_bytes: Annotated[int, Field(ge=1, description="a larger object is refused")] = 20 * 2**30
    longest_video_seconds: Annotated[float, Field(gt=0, le=LONGEST_VIDEO, description="a longer video is refused")] = (
        24 * 3600.0
    )
    job_cpu_seconds: Annotated[
        float,
        Field(gt=0, description="CPU that any job may take before its child is killed; ten times that with `cnn`"),
    ] = 600.0
    job_seconds: Annotated[
        float, Field(gt=0, description="time that it may take, for whatever reason; ten times that with `cnn`")
    ] = 3600.0
    child_memory_bytes: Annotated[int, Field(gt=0, description="a larger child is killed")] = 2 * 2**30
    drain_seconds: Annotated[float, Field(ge=0, description="what running chunks get after SIGTERM")] = 5.0
    stuck_seconds: Annotated[
        float, Field(gt=0, description="the process exits when there is work and nothing has happened for so long")
    ] = 120.0
