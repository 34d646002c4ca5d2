"""Work through one chunk of a video: from its packets to the faces of the people in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from castlist.contract.values import AnalysisSettings, LeftOutFace, VideoWarning
from castlist.contract.video_warnings import summed_up, warning
from castlist_vision.faces.auto_detector import make_detector
from castlist_vision.faces.centerface import CenterFace
from castlist_vision.faces.encoder import Encoder
from castlist_vision.faces.face_tracking import FaceTracker
from castlist_vision.faces.found_track import FoundTrack
from castlist_vision.frames.scene_cuts import CutFinder
from castlist_vision.reading.chunk_plan import Chunk
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.graphics_card import CardFailedError, GraphicsCard

# At least two pictures are decoded for each one that is looked at: cuts are found between neighbours.
_PICTURES_PER_SAMPLE = 2.0
# Of the chunks in which nobody is found, in which to look whether faces are too small: it costs as much as four looks.
_LOOKED_CLOSER_AT = 4

# One slot is one process on one core: threads would only fight for it.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What is in a chunk. `faces_skipped` counts sightings by the reason they were left out, and `left_out` has some of
    them; where nobody is found, one picture is looked at for faces that are `too_small`."""

    tracks: tuple[FoundTrack, ...]
    frames: int
    faces_skipped: dict[str, int]
    left_out: tuple[LeftOutFace, ...]
    warnings: tuple[VideoWarning, ...]


def analyse_chunk(
    path: Path,
    chunk: Chunk,
    settings: AnalysisSettings,
    encoder: Encoder,
    progress: Callable[[float], None] = lambda fraction: None,
    centerface: CenterFace | None = None,
    card: GraphicsCard | None = None,
) -> ChunkResult:
    """Everything that is done to a chunk. `progress` hears 0 to 1, never falling, a few times a second of video.

    The same file, chunk, settings and encoder give the same result. Raises a MediaError where the file cannot be read,
    ModelUnavailableError where the settings ask for `auto` and there is no `centerface`. Where the `card` fails it is
    done again in software.
    """
    told = 0.0

    def heard(fraction: float) -> None:
        nonlocal told
        told = max(told, fraction)
        progress(told)

    finest = 1 / (_PICTURES_PER_SAMPLE * settings.samples_per_second)
    try:
        return _analysed(ChunkDecoder(path, chunk, finest, card), chunk, settings, encoder, heard, centerface)
    except CardFailedError:
        return _analysed(ChunkDecoder(path, chunk, finest), chunk, settings, encoder, heard, centerface)


def _analysed(
    decoder: ChunkDecoder,
    chunk: Chunk,
    settings: AnalysisSettings,
    encoder: Encoder,
    progress: Callable[[float], None],
    centerface: CenterFace | None,
) -> ChunkResult:
    cuts = CutFinder()
    detector = make_detector(settings, centerface)
    tracker = FaceTracker(detector, encoder, settings.samples_per_second)
    rate = settings.samples_per_second
    sampled, shown_until, seen_until, looks, late = None, 0.0, 0.0, 0, None
    for frame in decoder:
        sample = math.floor(frame.time * rate)
        if sampled is not None:
            _hold(tracker, rate, sampled + 1, min(sample, math.floor(seen_until * rate)) if frame.parted else sample)
        seen_until = frame.time + frame.duration
        if cuts.is_cut(frame.thumbnail, frame.time) or frame.parted:
            tracker.cut()
        if sample != sampled or frame.parted:
            sampled, shown_until = sample, frame.time + frame.duration
            tracker.look(frame)
            looks += 1
            if looks & (looks - 1) == 0:
                late = frame  # one from the second half, wherever that begins
            progress(decoder.fraction(frame.time))
    if sampled is not None:
        _hold(tracker, rate, sampled + 1, math.floor(shown_until * rate))
    tracker.cut()
    if late is not None and not tracker.found and chunk.index % _LOOKED_CLOSER_AT == 0:
        for face in detector.smaller(late.gray):
            tracker.leave_out(late.time, face.box, "too_small")
    progress(1.0)
    tracks = tuple(sorted(tracker.found, key=lambda track: track.index))
    warnings = [warning("damaged", hole.start, hole.end) for hole in decoder.damage]
    if decoder.lost:
        warnings.append(warning("pictures_lost", chunk.start or 0.0, chunk.end))
    skipped = dict(sorted(tracker.left_out.counts.items()))
    return ChunkResult(tracks, decoder.frames, skipped, tracker.left_out.kept(), summed_up(warnings))


def _hold(tracker: FaceTracker, rate: float, first: int, end: int) -> None:
    """Between frames that are further apart than samples the earlier one is still shown."""
    for sample in range(first, end):
        tracker.hold(sample / rate)
