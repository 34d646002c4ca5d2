"""Where the faces of a run's tracks were, packed into documents of a bounded size. Pure.

Of each track the first and the last sighting are kept, and between them one every 0.15 seconds at most: enough to draw
a box over the video, and a day with three people on screen all the time takes some 40 MB. A row has 24 bytes.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from castlist.contract.values import Sighting

EVERY = 0.15
"""Seconds between two sightings that are kept, at least."""
PART_BYTES = 1_000_000
"""Past so many bytes a document ends. What is read of one at once is written as JSON within some 30 ms."""
_HEAD = struct.Struct("<III")
_ROW = np.dtype([("ms", "<i4"), ("left", "<i4"), ("top", "<i4"), ("width", "<i4"), ("height", "<i4"), ("score", "<f4")])
TrackIndex = tuple[int, int]
"""Chunk, and track in it."""


class KeptTrack(NamedTuple):
    """One face followed through a chunk: rows of milliseconds, left, top, width, height, score."""

    chunk: int
    track: int
    rows: npt.NDArray[np.void]

    @property
    def start(self) -> float:
        """When it was seen first, in seconds."""
        return int(self.rows["ms"][0]) / 1000

    @property
    def end(self) -> float:
        """When it was seen last."""
        return int(self.rows["ms"][-1]) / 1000

    def boxes(self) -> list[list[float]]:
        """Each as seconds, left, top, width, height, score."""
        scores = np.round(self.rows["score"].astype(np.float64), 3).tolist()
        return [[row[0] / 1000, *row[1:5], score] for row, score in zip(self.rows.tolist(), scores, strict=True)]


class PackedTracks(NamedTuple):
    """Some tracks, the first seen first, and between which seconds they are."""

    start: float
    end: float
    tracks: bytes


def kept(chunk: int, track: int, sightings: Sequence[Sighting]) -> KeptTrack | None:
    """What is kept of a track; None of one without sightings."""
    ordered = sorted(sightings, key=lambda seen: seen.time)
    chosen = [seen for n, seen in enumerate(ordered) if n in (0, len(ordered) - 1)]
    if not chosen:
        return None
    last, between = ordered[0].time, []
    for seen in ordered[1:-1]:
        if seen.time - last >= EVERY:
            between.append(seen)
            last = seen.time
    chosen[1:1] = between
    rows = [
        (round(seen.time * 1000), seen.box.left, seen.box.top, seen.box.width, seen.box.height, seen.score)
        for seen in chosen
    ]
    return KeptTrack(chunk, track, np.array(rows, _ROW))


def packed(tracks: Iterable[KeptTrack]) -> Iterator[PackedTracks]:
    """All of them, as many in a document as it has room for."""
    some: list[KeptTrack] = []
    size = 0
    for one in sorted(tracks, key=lambda track: (track.start, track.chunk, track.track)):
        size += _HEAD.size + one.rows.nbytes
        some.append(one)
        if size >= PART_BYTES:
            yield _packed(some)
            some, size = [], 0
    if some:
        yield _packed(some)


def _packed(some: Sequence[KeptTrack]) -> PackedTracks:
    pieces = [_HEAD.pack(one.chunk, one.track, len(one.rows)) + one.rows.tobytes() for one in some]
    return PackedTracks(min(one.start for one in some), max(one.end for one in some), b"".join(pieces))


def unpacked(tracks: bytes) -> Iterator[KeptTrack]:
    """The tracks in a document, in their order."""
    place = 0
    while place < len(tracks):
        chunk, track, count = _HEAD.unpack_from(tracks, place)
        rows = np.frombuffer(tracks, _ROW, count, place + _HEAD.size)
        yield KeptTrack(chunk, track, rows)
        place += _HEAD.size + rows.nbytes


def tracks_in(pairs: bytes) -> list[TrackIndex]:
    """Of which tracks a person was put together, as `PersonRecord.tracks` has them."""
    return [(int(chunk), int(track)) for chunk, track in np.frombuffer(pairs, "<u4").reshape(-1, 2)]
