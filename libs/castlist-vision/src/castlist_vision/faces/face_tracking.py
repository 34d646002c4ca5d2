"""Follow the faces of a chunk through its frames, and encode the best of each."""

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from castlist.contract.box import Box
from castlist.contract.left_out import OF_A_CHUNK, LeftOutFaces
from castlist.contract.values import LeftOutFace, Sighting
from castlist.contract.vectors import VectorFace
from castlist_vision.faces.alignment import align
from castlist_vision.faces.best_faces import NOT_SEEN, BestFaces, Face, Judge
from castlist_vision.faces.detector import NEIGHBOURHOOD, Detection, distinct
from castlist_vision.faces.encoder import Encoder, encode_faces
from castlist_vision.faces.face_crop import cut_crop
from castlist_vision.faces.found_track import FoundTrack, are_one, joined
from castlist_vision.faces.track_continuity import TRANSITION, TrackContinuity
from castlist_vision.faces.tracker import LINK, Track, Tracker
from castlist_vision.frames.changed_regions import ChangedRegionFinder
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Gray

NEWCOMERS_EVERY = 1.0
"""Seconds between two looks for new faces, where something changed; in between only known faces are looked at."""
# dlib's boxes come in steps of 6/5, so a face of the smallest size may get the box below it.
_SMALL = 0.85
_VISIBLE = 0.5


class Detector(Protocol):
    """What finds faces: `FaceDetector` or `AutoDetector`."""

    @property
    def judge(self) -> Judge | None:
        """What looks closer at the best faces of a track, if anything does."""
        ...

    def smallest(self, gray: Gray) -> float: ...

    def within(self, gray: Gray, regions: Iterable[Box]) -> list[Detection]: ...

    def near(self, gray: Gray, faces: Iterable[Box]) -> list[Detection]: ...


def reason_left_out(face: Box, shape: tuple[int, ...], smallest: float) -> str | None:
    """Why nobody is made of a face in a picture of `shape`, if so: `too_small` or `outside_frame`."""
    if face.width < _SMALL * smallest:
        return "too_small"
    return "outside_frame" if face.clipped(shape).area < _VISIBLE * face.area else None


class FaceTracker:
    """Looks at one sampled frame after the other; `found` and `left_out` are whole after the last `cut`.

    `left_out` counts sightings (of `low_score`: tracks of a single one) by the reason, and keeps some.
    """

    def __init__(self, detector: Detector, encoder: Encoder, samples_per_second: float) -> None:
        self.found: list[FoundTrack] = []
        self.left_out = LeftOutFaces(OF_A_CHUNK)
        self._detector = detector
        self._encoder = encoder
        self._tracker = Tracker()
        self._best: defaultdict[int, BestFaces] = defaultdict(lambda: BestFaces(detector.judge))
        self._likeness: defaultdict[int, TrackContinuity] = defaultdict(lambda: TrackContinuity(encoder))
        self._changes = ChangedRegionFinder()
        self._earlier: deque[tuple[Frame, list[Detection]]] = deque(maxlen=round(NEWCOMERS_EVERY * samples_per_second))
        self._newcomers_again = -math.inf
        self._shape: tuple[int, ...] = ()
        self._tolerance = 0.5 / samples_per_second
        self._parted_from: dict[int, int] = {}

    def cut(self) -> None:
        """End all tracks; the next look is at the whole frame."""
        self._finish(self._tracker.end_all())
        self._earlier.clear()
        self._changes.forget()
        self._newcomers_again = -math.inf

    def look(self, frame: Frame) -> None:
        """Find the faces of this frame and continue their tracks. A change of the frame's size is a cut, too."""
        if frame.gray.shape != self._shape:
            self.cut()
            self._shape = frame.gray.shape
        self._finish(self._tracker.end_lost(frame.time))
        wanted = [found for found in self._faces(frame) if self._is_wanted(found, frame)]
        for track, sighting in self._tracker.update(frame.time, wanted):
            if len(track.sightings) == 1:
                self._look_back(track)
            if not self._is_like_before(track, frame, sighting):
                track = self._part(track)
            self._best[track.index].offer(frame, sighting)
        self._earlier.append((frame, wanted))

    def _faces(self, frame: Frame) -> list[Detection]:
        known = self._tracker.regions()
        found = self._detector.near(frame.gray, known)
        if frame.time < self._newcomers_again - self._tolerance:
            return found
        self._newcomers_again = frame.time + NEWCOMERS_EVERY
        spared = [face.scaled(NEIGHBOURHOOD).clipped(self._shape) for face in known]
        regions = self._changes.regions(frame.gray, self._detector.smallest(frame.gray), spared)
        return distinct([*found, *self._detector.within(frame.gray, regions)])

    def _look_back(self, track: Track) -> None:
        """Give a new track the sightings it had before its region was looked at: who comes and goes has few others."""
        earlier: list[tuple[Frame, Sighting]] = []
        (first,) = track.sightings
        box = first.box
        for frame, known in reversed(self._earlier):
            found = [d for d in self._detector.near(frame.gray, [box]) if d.box.overlap(box) >= LINK]
            best = max(found, key=lambda d: d.box.overlap(box), default=None)
            if best is None or any(best.box.overlap(other.box) >= LINK for other in known):
                break
            box = best.box
            earlier.append((frame, Sighting(frame.time, best.box, best.score)))
            known.append(best)
        for frame, sighting in reversed(earlier):
            track.sightings.insert(-1, sighting)
            self._best[track.index].offer(frame, sighting)

    def hold(self, time: float) -> None:
        """What was looked at last is still to be seen: its faces are there at this time, too."""
        if self._earlier:
            _, faces = self._earlier[-1]
            self._finish(self._tracker.end_lost(time))
            self._tracker.update(time, faces)

    def _is_like_before(self, track: Track, frame: Frame, sighting: Sighting) -> bool:
        likeness = self._likeness[track.index]
        return not likeness.is_due(frame.time) or likeness.holds(frame, sighting)

    def _part(self, track: Track) -> Track:
        """End the track where another face took its place; what lies between the two is neither's best face."""
        ended, begun = self._tracker.part(track)
        self._best[ended.index].forget_since(begun.sightings[0].time - TRANSITION)
        self._parted_from[begun.index] = ended.index
        self._finish([ended])
        return begun

    def _is_wanted(self, found: Detection, frame: Frame) -> bool:
        """Whether the face is large enough and inside the frame; otherwise it is counted as skipped."""
        reason = reason_left_out(found.box, frame.gray.shape, self._detector.smallest(frame.gray))
        if reason is not None:
            self.leave_out(frame.time, found.box, reason)
        return reason is None

    def leave_out(self, time: float, face: Box, reason: str) -> None:
        """Count a face that nobody is to be made of."""
        self.left_out.add(LeftOutFace(time, face.clipped(self._shape), reason))

    def _finish(self, tracks: list[Track]) -> None:
        for track in tracks:
            best = self._best.pop(track.index)
            self._likeness.pop(track.index, None)
            faces = best.faces(track.sightings[-1].time - track.sightings[0].time)
            if len(track.sightings) == 1 and faces[0].score < 0:
                self.leave_out(track.sightings[0].time, track.sightings[0].box, "low_score")
                continue
            encodings = encode_faces(self._encoder, [align(face.picture, face.in_picture) for face in faces])
            found = FoundTrack(
                track.index,
                self._scored(track.sightings, faces),
                tuple(
                    VectorFace(face.time, face.box, face.score, face.quality, encoding)
                    for face, encoding in zip(faces, encodings, strict=True)
                ),
                cut_crop(max(faces, key=lambda face: (face.quality, -face.time))),
            )
            self.found.append(self._with_what_was_before(found))

    def _with_what_was_before(self, found: FoundTrack) -> FoundTrack:
        """The track, and the one that it was parted from where both are one after all."""
        parted_from = self._parted_from.pop(found.index, None)
        at = next((at for at, one in enumerate(self.found) if one.index == parted_from), None)
        if at is None or not are_one(self.found[at], found):
            return found
        return joined(self.found.pop(at), found)

    def _scored(self, sightings: Sequence[Sighting], faces: Sequence[Face]) -> tuple[Sighting, ...]:
        """With boxes clipped to the frame; where there is a judge, with its scores of the faces that were chosen."""
        judged = {face.time: face.score for face in faces} if self._detector.judge else None
        return tuple(
            Sighting(
                seen.time,
                seen.box.clipped(self._shape),
                seen.score if judged is None else judged.get(seen.time, NOT_SEEN),
            )
            for seen in sightings
        )
