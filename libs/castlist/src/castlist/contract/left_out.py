"""Faces that nobody is made of: all of them counted by the reason, some of them kept with their place."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from castlist.contract.bounds import MOST_LEFT_OUT
from castlist.contract.values import LeftOutFace

OF_A_CHUNK, OF_A_VIDEO = 100, 200
"""So many faces of each reason are kept."""


class LeftOutFaces:
    """Takes faces in the order of time. Of each reason at most `most` are kept, spread evenly over those that came."""

    def __init__(self, most: int) -> None:
        self.counts: Counter[str] = Counter()
        self._most = most
        self._kept: defaultdict[str, list[LeftOutFace]] = defaultdict(list)
        self._every: defaultdict[str, int] = defaultdict(lambda: 1)

    def add(self, face: LeftOutFace) -> None:
        """Count a face, and keep it where it is its turn."""
        reason = face.reason
        turn, self.counts[reason] = self.counts[reason], self.counts[reason] + 1
        if turn % self._every[reason]:
            return
        self._kept[reason].append(face)
        if len(self._kept[reason]) > self._most:
            del self._kept[reason][1::2]
            self._every[reason] *= 2

    def kept(self) -> tuple[LeftOutFace, ...]:
        """In the order of time; MOST_LEFT_OUT of them at most."""
        every = sorted(face for faces in self._kept.values() for face in faces)
        return tuple(every[:: -(-len(every) // MOST_LEFT_OUT)] if every else ())


def put_together(faces: Iterable[LeftOutFace], most: int) -> tuple[LeftOutFace, ...]:
    """Of what several have kept, in whatever order, so many of each reason."""
    together = LeftOutFaces(most)
    for face in sorted(faces):
        together.add(face)
    return together.kept()
