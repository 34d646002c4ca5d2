"""Follow faces: link what is found at one moment with what was found before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from castlist.contract.box import Box
from castlist.contract.values import Sighting
from castlist_vision.faces.detector import Detection

LINK = 0.25
"""Intersection over union from which on two boxes are one face a sample later."""
PATIENCE = 2.0
"""For how many seconds a lost face is still looked for where it was."""


@dataclass(slots=True)
class Track:
    """One face followed; its sightings in the order of time."""

    index: int
    sightings: list[Sighting] = field(default_factory=list)


class Tracker:
    """The tracks of one chunk, numbered in the order they begin."""

    def __init__(self) -> None:
        self._alive: list[Track] = []
        self._begun = 0

    def regions(self) -> list[Box]:
        """Where the faces that are followed (or were lost a moment ago) were last seen."""
        return [track.sightings[-1].box for track in self._alive]

    def update(self, time: float, detections: Sequence[Detection]) -> list[tuple[Track, Sighting]]:
        """Continue tracks with what was found at `time`, begin one for each other detection.

        The closest pairs are linked first. Returns the track and the sighting of each detection.
        """
        pairs = [
            (track.sightings[-1].box.overlap(found.box), -track.index, -number)
            for track in self._alive
            for number, found in enumerate(detections)
        ]
        followed = {track.index: track for track in self._alive}
        links: dict[int, Track] = {}
        for closeness, index, number in sorted(pairs, reverse=True):
            if closeness >= LINK and -index in followed and -number not in links:
                links[-number] = followed.pop(-index)
        result = []
        for number, found in enumerate(detections):
            track = links.get(number) or self._begin()
            sighting = Sighting(time, found.box, found.score)
            track.sightings.append(sighting)
            result.append((track, sighting))
        return result

    def part(self, track: Track) -> tuple[Track, Track]:
        """End a track before its last sighting, which begins another one; (ended, begun)."""
        self._alive.remove(track)
        begun = self._begin()
        begun.sightings.append(track.sightings.pop())
        return track, begun

    def end_lost(self, time: float) -> list[Track]:
        """End and return the tracks that have not been seen for too long."""
        lost = [track for track in self._alive if time - track.sightings[-1].time > PATIENCE]
        self._alive = [track for track in self._alive if track not in lost]
        return lost

    def end_all(self) -> list[Track]:
        """End and return all tracks: after a cut no face is where it was."""
        ended, self._alive = self._alive, []
        return ended

    def _begin(self) -> Track:
        track = Track(self._begun)
        self._begun += 1
        self._alive.append(track)
        return track
