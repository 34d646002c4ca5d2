"""What children do: the pure stages, from a message to a message. Runs in a child only."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from castlist.children.messages import Job, JobMessage, JobRejectedError, Progress
from castlist.contract.bounds import FASTEST
from castlist.contract.values import Crop, Track, in_short
from castlist.service.json_logging import configure
from castlist_vision import chunk_pipeline
from castlist_vision.faces.centerface import CenterFace, ModelUnavailableError, make_centerface
from castlist_vision.faces.encoder import make_encoder
from castlist_vision.faces.found_track import FoundTrack
from castlist_vision.reading.chunk_plan import Chunk, plan_chunks
from castlist_vision.reading.graphics_card import GraphicsCard
from castlist_vision.reading.media_errors import MediaError
from castlist_vision.reading.probe import Limits, probe
from frame_workers.slots.protocol import DETECTOR_UNAVAILABLE, ChunkJob, ChunkResult, PlanJob, PlanResult, Span


@contextmanager
def _rejections() -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        raise JobRejectedError(error.code, str(error)) from error


def planner(options: dict[str, Any]) -> tuple[JobMessage, Job]:
    """Probes and plans: PlanJob → PlanResult."""
    limits = Limits(seconds=options["longest_seconds"])
    _, without_auto = _centerface(CenterFace, options["cache"])  # not on a device: it does not look at anything

    def job(message: JobMessage, _: Progress) -> JobMessage:
        with _rejections():
            found = probe(Path(PlanJob.model_validate(message).path), limits)
        chunks = plan_chunks(found.keyframes, found.duration, found.stretches, found.holes)
        return PlanResult(
            chunks=tuple(
                Span(start=chunk.start, end=chunk.end, stretches=chunk.stretches, holes=chunk.holes) for chunk in chunks
            ),
            duration=found.duration,
            width=found.width,
            height=found.height,
            frame_rate=min(found.frame_rate, FASTEST),
            warnings=found.warnings,
            without_auto=without_auto,
        ).message()

    return {}, job


def chunker(options: dict[str, Any]) -> tuple[JobMessage, Job]:
    """Works through chunks: ChunkJob → ChunkResult."""
    configure("frame-workers", options["log_level"])
    cv2.setNumThreads(1)
    encoder = make_encoder(options["encoder"], Path(options["cache"]))
    centerface, without_auto = _centerface(make_centerface, options["cache"])
    card = GraphicsCard()

    def job(message: JobMessage, progress: Progress) -> JobMessage:
        asked = ChunkJob.model_validate(message)
        chunk = Chunk(asked.chunk, asked.start, asked.end, asked.stretches, asked.holes)
        if asked.settings.detector == "auto" and without_auto is not None:
            raise JobRejectedError(DETECTOR_UNAVAILABLE, without_auto)
        with _rejections():
            found = chunk_pipeline.analyse_chunk(
                Path(asked.path), chunk, asked.settings, encoder, progress, centerface, card
            )
        return ChunkResult(
            tracks=tuple(map(_track, found.tracks)),
            jpegs={track.index: base64.b64encode(track.crop.jpeg).decode("ascii") for track in found.tracks},
            frames=found.frames,
            faces_skipped=found.faces_skipped,
            left_out=found.left_out,
            warnings=found.warnings,
        ).message()

    return {"encoder": encoder.name}, job


def _centerface(make: Callable[[Path], CenterFace], cache: str) -> tuple[CenterFace | None, str | None]:
    """The network, or why it cannot be had."""
    try:
        return make(Path(cache)), None
    except ModelUnavailableError as error:
        return None, in_short(str(error))


def _track(found: FoundTrack) -> Track:
    crop = found.crop
    return Track(
        track=found.index,
        sightings=found.sightings,
        faces=tuple(face.encoded() for face in found.faces),
        crop=Crop(str(found.index), crop.time, crop.box, crop.frame, crop.quality),
    )
