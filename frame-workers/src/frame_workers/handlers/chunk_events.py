"""From what a child found in a chunk to the events that say so, small enough for Kafka."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter

from castlist.contract.events import ChunkPlanned, FacesEncoded
from castlist.contract.ids import chunk_key, event_id
from castlist.contract.values import Track
from frame_workers.slots.protocol import ChunkResult

PART_BYTES = 500_000
# A stretch without keyframes can be hours long: of a face that stays so long this many sightings are told, evenly.
_MOST_SIGHTINGS = 2_000
_TRACK = TypeAdapter(Track)


def jpegs_of(result: ChunkResult) -> dict[str, bytes]:
    """JPEGs by their key in the bucket."""
    return {key: base64.b64decode(jpeg) for key, jpeg in result.jpegs.items()}


def faces_encoded(chunk: ChunkPlanned, result: ChunkResult, now: datetime) -> list[FacesEncoded]:
    """The result of a chunk, in as many parts as it needs; the same result always gives the same parts."""
    parts = list(_parts([_thinned(track) for track in result.tracks]))
    key = chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)
    return [
        FacesEncoded(
            event_id=event_id("FacesEncoded", key, number),
            occurred_at=now,
            video_id=chunk.video_id,
            epoch=chunk.epoch,
            gallery=chunk.gallery,
            chunk=chunk.chunk,
            part=number,
            parts=len(parts),
            # Facts about the whole chunk are told once: receivers add them up.
            frames=result.frames if number == 0 else 0,
            tracks=tuple(part),
            faces_skipped=result.faces_skipped if number == 0 else {},
            warnings=result.warnings if number == 0 else (),
        )
        for number, part in enumerate(parts)
    ]


def _thinned(track: Track) -> Track:
    step = -(-len(track.sightings) // _MOST_SIGHTINGS)
    return replace(track, sightings=track.sightings[::step]) if step > 1 else track


def _parts(tracks: Sequence[Track]) -> Iterator[list[Track]]:
    part: list[Track] = []
    size = 0
    for track in tracks:
        length = len(_TRACK.dump_json(track))
        if part and size + length > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(track)
        size += length
    yield part
