"""Work through one chunk of a video: from its packets to the faces of the people in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from frame_workers.cuts import CutFinder
from frame_workers.decode import ChunkDecoder
from frame_workers.detect import DetectSettings, FaceDetector
from frame_workers.encode import Encoder
from frame_workers.follow import EncodedFace, FaceFollower, FoundTrack
from frame_workers.plan import Chunk

__all__ = ["ChunkResult", "EncodedFace", "FoundTrack", "work_chunk"]

# At least two pictures are decoded for each one that is looked at: cuts are found between neighbours.
_PICTURES_PER_SAMPLE = 2.0

# One slot is one process on one core: threads would only fight for it.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What is in a chunk. `faces_skipped` counts sightings by the reason they were left out."""

    tracks: tuple[FoundTrack, ...]
    frames: int
    faces_skipped: dict[str, int]
    warnings: tuple[str, ...]


def work_chunk(
    path: Path,
    chunk: Chunk,
    settings: DetectSettings,
    encoder: Encoder,
    progress: Callable[[float], None] = lambda fraction: None,
) -> ChunkResult:
    """Everything that is done to a chunk. `progress` hears 0 to 1, never falling, a few times a second of video.

    The same file, chunk, settings and encoder give the same result. Raises a MediaError where the file cannot be read.
    """
    decoder = ChunkDecoder(path, chunk, 1 / (_PICTURES_PER_SAMPLE * settings.samples_per_second))
    cuts = CutFinder()
    follower = FaceFollower(FaceDetector(settings), encoder, settings.samples_per_second)
    sampled = None
    for frame in decoder:
        if cuts.is_cut(frame.thumbnail):
            follower.cut()
        sample = math.floor(frame.time * settings.samples_per_second)
        if sample != sampled:
            sampled = sample
            follower.look(frame)
            progress(decoder.fraction(frame.time))
    follower.cut()
    progress(1.0)
    tracks = tuple(sorted(follower.found, key=lambda track: track.index))
    warnings = ("truncated",) if decoder.damaged else ()
    return ChunkResult(tracks, decoder.frames, dict(sorted(follower.skipped.items())), warnings)
