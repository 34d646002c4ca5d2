"""What children do: the pure stages, from a frame of JSON to a frame of JSON. Runs in a child only."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from castlist.contract.vectors import encode_vector
from castlist.service.json_logging import configure
from castlist_vision.chunk_pipeline import ChunkResult, FoundTrack, work_chunk
from castlist_vision.chunk_plan import Chunk, plan_chunks
from castlist_vision.detector import DetectSettings
from castlist_vision.encoder import make_encoder
from castlist_vision.geometry import Region
from castlist_vision.media_errors import MediaError
from castlist_vision.probe import Limits, probe
from frame_workers.slots.protocol import Frame, Job, Progress, Refused


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        raise Refused(error.code, str(error)) from error


def planner(options: dict[str, Any]) -> tuple[Frame, Job]:
    """Probes and plans: {path} → {chunks, duration, width, height, frame_rate, warnings}."""
    limits = Limits(seconds=options["longest_seconds"])

    def job(order: Frame, _: Progress) -> Frame:
        with _refusals():
            found = probe(Path(order["path"]), limits)
        chunks = plan_chunks(found.keyframes, found.duration)
        return {
            "chunks": [{"start": chunk.start, "end": chunk.end} for chunk in chunks],
            "duration": found.duration,
            "width": found.width,
            "height": found.height,
            "frame_rate": found.frame_rate,
            "warnings": ["truncated"] if found.truncated else [],
        }

    return {}, job


def chunker(options: dict[str, Any]) -> tuple[Frame, Job]:
    """Works through chunks: {path, chunk, start, end, settings} → {tracks, frames, faces_skipped, warnings}."""
    configure("frame-workers", options["log_level"])
    cv2.setNumThreads(1)
    encoder = make_encoder(options["encoder"], Path(options["cache"]))

    def job(order: Frame, progress: Progress) -> Frame:
        chunk = Chunk(order["chunk"], order["start"], order["end"])
        with _refusals():
            result = work_chunk(Path(order["path"]), chunk, DetectSettings(**order["settings"]), encoder, progress)
        return _chunk_frame(result)

    return {"encoder": encoder.name}, job


def _chunk_frame(result: ChunkResult) -> Frame:
    return {
        "tracks": [_track_frame(track) for track in result.tracks],
        "frames": result.frames,
        "faces_skipped": result.faces_skipped,
        "warnings": list(result.warnings),
    }


def _track_frame(track: FoundTrack) -> Frame:
    crop = track.crop
    return {
        "track": track.index,
        "sightings": [{"time": s.time, "box": _box(s.box), "score": s.score} for s in track.sightings],
        "faces": [
            {
                "time": face.time,
                "box": _box(face.box),
                "score": face.score,
                "quality": face.quality,
                "encoding": encode_vector(face.encoding),
            }
            for face in track.faces
        ],
        "crop": {
            "jpeg": base64.b64encode(crop.jpeg).decode("ascii"),
            "time": crop.time,
            "box": _box(crop.box),
            "frame": {"width": crop.frame_width, "height": crop.frame_height},
            "quality": crop.quality,
        },
    }


def _box(box: Region) -> Frame:
    return {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
