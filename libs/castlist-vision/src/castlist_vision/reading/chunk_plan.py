"""Cut a video into chunks: the unit that workers take, redo and count."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from castlist.contract.bounds import MOST_HOLES
from castlist.contract.values import Hole, Stretch

CHUNK_SECONDS = 15.0
LONGEST_GAP = 30.0
# A stretch without keyframes is decoded from its beginning by each of its pieces. Eight of them at most keep that below
# 4.5 times the decoding, however long the stretch.
_PIECES = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """The frames with start <= time < end, in seconds; None is open, so that no frame falls off either edge.

    `stretches` of the file hold them, in this order (none: the file as it is opened); between the times of a hole
    pictures are missing.
    """

    index: int
    start: float | None
    end: float | None
    stretches: tuple[Stretch, ...] = ()
    holes: tuple[Hole, ...] = ()

    def holds(self, time: float) -> bool:
        """Whether a frame shown at `time` belongs to this chunk."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def plan_chunks(
    keyframes: Sequence[float],
    duration: float,
    stretches: Sequence[Stretch] = (),
    holes: Sequence[Hole] = (),
) -> tuple[Chunk, ...]:
    """Chunks of about 15 s that begin at keyframes; a longer stretch than 30 s without one is cut by time.

    `keyframes` and `duration` are seconds as a player shows them; stretches and holes follow one another. Every moment
    from minus to plus infinity is in exactly one chunk, and the same arguments always give the same chunks.
    """
    start = min(0.0, duration, *keyframes)
    inner = sorted({k for k in keyframes if start < k < duration})
    candidates = list(inner)
    for before, after in pairwise([start, *inner, duration]):
        candidates += _cuts_by_time(before, after)
    cuts: list[float] = []
    last = start
    for candidate, following in pairwise([*sorted(candidates), duration]):
        # Cut here unless waiting for the next possibility comes closer to the length aimed at.
        if abs(candidate - last - CHUNK_SECONDS) <= abs(following - last - CHUNK_SECONDS):
            cuts.append(last := candidate)
    if cuts and duration - cuts[-1] < CHUNK_SECONDS / 5:
        cuts.pop()
    return chunks_between(cuts, stretches, holes)


def chunks_between(
    cuts: Sequence[float], stretches: Sequence[Stretch] = (), holes: Sequence[Hole] = ()
) -> tuple[Chunk, ...]:
    """The chunks that these times, in their order, part a video into."""
    edges = [None, *cuts, None]
    begins = [stretch.start for stretch in stretches]
    of_stretches = _Spans(begins, [*begins[1:], math.inf])
    of_holes = _Spans([hole.start for hole in holes], [hole.end for hole in holes])
    return tuple(
        Chunk(
            index,
            begin,
            end,
            tuple(stretches[of_stretches.within(begin, end)]),
            tuple(holes[of_holes.within(begin, end)][:MOST_HOLES]),
        )
        for index, (begin, end) in enumerate(pairwise(edges))
    )


@dataclass(frozen=True, slots=True)
class _Spans:
    """When each of several begins and ends; one after the other."""

    begins: Sequence[float]
    ends: Sequence[float]

    def within(self, start: float | None, end: float | None) -> slice:
        """Which of them have a part in this time."""
        first = 0 if start is None else bisect_right(self.ends, start)
        return slice(first, len(self.begins) if end is None else bisect_left(self.begins, end))


def _cuts_by_time(before: float, after: float) -> list[float]:
    """Where to cut between two neighbouring keyframes."""
    if after - before <= LONGEST_GAP:
        return []
    pieces = min(_PIECES, round((after - before) / CHUNK_SECONDS))
    return [before + (after - before) * i / pieces for i in range(1, pieces)]
