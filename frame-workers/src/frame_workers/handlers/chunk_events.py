"""From what a child found in a chunk to the events that say so, small enough for Kafka."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter

from castlist.contract.events import ChunkPlanned, FacesEncoded
from castlist.contract.ids import chunk_key, crop_key, event_id
from castlist.contract.values import Track
from frame_workers.slots.protocol import ChunkResult

_DIGITS = 32
PART_BYTES = 500_000
# A stretch without keyframes can be hours long: of a face that stays so long this many sightings are told, evenly.
_MOST_SIGHTINGS = 2_000
_TRACK = TypeAdapter(Track)


def digest_of(result: ChunkResult) -> str:
    """What tells this result from another of the same chunk."""
    return hashlib.sha256(result.model_dump_json().encode()).hexdigest()[:_DIGITS]


def jpegs_of(chunk: ChunkPlanned, result: ChunkResult, digest: str) -> dict[str, bytes]:
    """JPEGs by their key in the bucket."""
    return {_crop_key(chunk, track, digest): base64.b64decode(jpeg) for track, jpeg in result.jpegs.items()}


def faces_encoded(chunk: ChunkPlanned, result: ChunkResult, digest: str, now: datetime) -> list[FacesEncoded]:
    """The result of a chunk, in as many parts as it needs; the same result always gives the same parts."""
    parts = list(_parts([_placed(chunk, _thinned(track), digest) for track in result.tracks]))
    key = chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)
    return [
        FacesEncoded(
            event_id=event_id("FacesEncoded", key, digest, number),
            occurred_at=now,
            video_id=chunk.video_id,
            epoch=chunk.epoch,
            gallery=chunk.gallery,
            chunk=chunk.chunk,
            part=number,
            parts=len(parts),
            digest=digest,
            # Facts about the whole chunk are told once: receivers add them up.
            frames=result.frames if number == 0 else 0,
            tracks=tuple(part),
            faces_skipped=result.faces_skipped if number == 0 else {},
            left_out=result.left_out if number == 0 else (),
            warnings=result.warnings if number == 0 else (),
        )
        for number, part in enumerate(parts)
    ]


def _crop_key(chunk: ChunkPlanned, track: int, digest: str) -> str:
    return crop_key(chunk.video_id, chunk.epoch, chunk.chunk, track, digest)


def _placed(chunk: ChunkPlanned, track: Track, digest: str) -> Track:
    return replace(track, crop=replace(track.crop, key=_crop_key(chunk, track.track, digest)))


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
