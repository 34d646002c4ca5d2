"""Work through one chunk of a video: from its packets to the faces of the people in it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from frame_workers.best import BestFaces, Face
from frame_workers.crop import Crop, cut_crop
from frame_workers.cuts import CutFinder
from frame_workers.decode import ChunkDecoder
from frame_workers.detect import Detection, DetectSettings, FaceDetector, distinct, inflated
from frame_workers.encode import Encoder, Encoding, align, encode_faces
from frame_workers.picture import Frame, Region
from frame_workers.plan import Chunk
from frame_workers.track import Sighting, Track, Tracker

EVERYWHERE_EVERY = 2.0
"""Seconds between two looks at the whole frame; between them only known faces and their surroundings are looked at."""
# At least two pictures are decoded for each one that is looked at: cuts are found between neighbours.
_PICTURES_PER_SAMPLE = 2.0
# dlib's boxes come in steps of 6/5, so a face of the smallest size may get the box below it.
_SMALL = 0.85
_VISIBLE = 0.5

# One slot is one process on one core: threads would only fight for it.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class EncodedFace:
    """One of the best faces of a track; the box is clipped to its frame."""

    time: float
    box: Region
    score: float
    quality: float
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class FoundTrack:
    """A face followed through the chunk. Boxes are clipped to the frame, in pixels; times in seconds of the video."""

    index: int
    sightings: tuple[Sighting, ...]
    faces: tuple[EncodedFace, ...]
    crop: Crop


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
    follower = _Follower(settings, encoder)
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


class _Follower:
    """Looks at one sampled frame after the other and finishes tracks as they end."""

    def __init__(self, settings: DetectSettings, encoder: Encoder) -> None:
        self.found: list[FoundTrack] = []
        self.skipped: Counter[str] = Counter()
        self._detector = FaceDetector(settings)
        self._encoder = encoder
        self._tracker = Tracker()
        self._best: defaultdict[int, BestFaces] = defaultdict(BestFaces)
        self._everywhere_again = -math.inf
        self._tolerance = 0.5 / settings.samples_per_second

    def cut(self) -> None:
        """End all tracks; the next look is at the whole frame."""
        self._finish(self._tracker.end_all())
        self._everywhere_again = -math.inf

    def look(self, frame: Frame) -> None:
        """Find the faces of this frame and continue their tracks."""
        self._finish(self._tracker.end_lost(frame.time))
        wanted = [found for found in self._faces(frame) if self._is_wanted(found, frame)]
        for track, sighting in self._tracker.update(frame.time, wanted):
            self._best[track.index].offer(frame, sighting)

    def _faces(self, frame: Frame) -> list[Detection]:
        if frame.time < self._everywhere_again - self._tolerance:
            return self._detector.near(frame.gray, self._tracker.regions())
        self._everywhere_again = frame.time + EVERYWHERE_EVERY
        found = self._detector.everywhere(frame.gray)
        return distinct([*found, *self._detector.near(frame.gray, self._tracker.unmatched(found))])

    def _is_wanted(self, found: Detection, frame: Frame) -> bool:
        """Whether the face is large enough and inside the frame; otherwise it is counted as skipped."""
        inside = inflated(found.box, 1.0, frame.gray.shape)
        if found.box.width < _SMALL * self._detector.smallest(frame.gray):
            self.skipped["too_small"] += 1
        elif inside.width * inside.height < _VISIBLE * found.box.width * found.box.height:
            self.skipped["outside_frame"] += 1
        else:
            return True
        return False

    def _finish(self, tracks: list[Track]) -> None:
        for track in tracks:
            best = self._best.pop(track.index)
            if len(track.sightings) == 1 and track.sightings[0].score < 0:
                self.skipped["low_score"] += 1
                continue
            faces = best.faces(track.sightings[-1].time - track.sightings[0].time)
            chips = [align(face.picture, _inside_picture(face)) for face in faces]
            encodings = encode_faces(self._encoder, chips)
            self.found.append(
                FoundTrack(
                    track.index,
                    tuple(track.sightings),
                    tuple(
                        EncodedFace(face.time, face.box, face.score, face.quality, encoding)
                        for face, encoding in zip(faces, encodings, strict=True)
                    ),
                    cut_crop(max(faces, key=lambda face: (face.quality, -face.time))),
                )
            )


def _inside_picture(face: Face) -> Region:
    return Region(
        face.detected.left - face.area.left,
        face.detected.top - face.area.top,
        face.detected.width,
        face.detected.height,
    )
