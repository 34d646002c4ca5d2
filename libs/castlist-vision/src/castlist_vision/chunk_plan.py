"""Cut a video into chunks: the unit that workers take, redo and count."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

CHUNK_SECONDS = 15.0
LONGEST_GAP = 30.0
# A stretch without keyframes is decoded from its beginning by each of its pieces. Eight of them at most keep that below
# 4.5 times the decoding, however long the stretch.
_PIECES = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """The frames with start <= time < end, in seconds; None is open, so that no frame falls off either edge."""

    index: int
    start: float | None
    end: float | None

    def holds(self, time: float) -> bool:
        """Whether a frame shown at `time` belongs to this chunk."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def plan_chunks(keyframes: Sequence[float], duration: float) -> tuple[Chunk, ...]:
    """Chunks of about 15 s that begin at keyframes; a longer stretch than 30 s without one is cut by time.

    `keyframes` and `duration` are seconds as a player shows them. Every moment from minus to plus infinity is in
    exactly one chunk, and the same arguments always give the same chunks.
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
    edges = [None, *cuts, None]
    return tuple(Chunk(index, begin, end) for index, (begin, end) in enumerate(pairwise(edges)))


def _cuts_by_time(before: float, after: float) -> list[float]:
    """Where to cut between two neighbouring keyframes."""
    if after - before <= LONGEST_GAP:
        return []
    pieces = min(_PIECES, round((after - before) / CHUNK_SECONDS))
    return [before + (after - before) * i / pieces for i in range(1, pieces)]
