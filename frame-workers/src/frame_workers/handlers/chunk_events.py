"""From what a child found in a chunk to the events that say so, small enough for Kafka."""

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime

from castlist.contract import events, values
from castlist.contract.ids import attempt_key, chunk_key, crop_key, event_id
from castlist.ports.documents import Document
from frame_workers.slots.protocol import Frame

PART_BYTES = 500_000
# A stretch without keyframes can be hours long: of a face that stays so long this many sightings are told, evenly.
_MOST_SIGHTINGS = 2_000


def crops_of(chunk: events.ChunkPlanned, result: Frame) -> dict[str, bytes]:
    """JPEGs by their key in the bucket."""
    return {
        crop_key(chunk.video_id, chunk.epoch, chunk.chunk, track["track"]): base64.b64decode(track["crop"]["jpeg"])
        for track in result["tracks"]
    }


def faces_encoded(chunk: events.ChunkPlanned, result: Frame, now: datetime) -> list[events.FacesEncoded]:
    """The result of a chunk, in as many parts as it needs; the same result always gives the same parts."""
    tracks = [_track(chunk, track) for track in result["tracks"]]
    parts = list(_parts(tracks))
    key = chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)
    return [
        events.FacesEncoded(
            event_id=event_id("FacesEncoded", key, number),
            occurred_at=now,
            video_id=chunk.video_id,
            epoch=chunk.epoch,
            gallery=chunk.gallery,
            chunk=chunk.chunk,
            part=number,
            parts=len(parts),
            # Facts about the whole chunk are told once: receivers add them up.
            frames=result["frames"] if number == 0 else 0,
            tracks=tuple(part),
            faces_skipped=result["faces_skipped"] if number == 0 else {},
            warnings=tuple(result["warnings"]) if number == 0 else (),
        )
        for number, part in enumerate(parts)
    ]


def _track(chunk: events.ChunkPlanned, track: Frame) -> values.Track:
    sightings = track["sightings"]
    step = -(-len(sightings) // _MOST_SIGHTINGS)
    key = crop_key(chunk.video_id, chunk.epoch, chunk.chunk, track["track"])
    return values.Track.model_validate(
        {**track, "sightings": sightings[:: max(1, step)], "crop": {**track["crop"], "key": key}}
    )


def _parts(tracks: Sequence[values.Track]) -> Iterator[list[values.Track]]:
    part: list[values.Track] = []
    size = 0
    for track in tracks:
        length = len(track.model_dump_json())
        if part and size + length > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(track)
        size += length
    yield part


def chunk_planned(plan: Document, video_id: str, epoch: int, chunk: int, now: datetime) -> events.ChunkPlanned:
    """One chunk of a stored plan."""
    return events.ChunkPlanned(
        event_id=event_id("ChunkPlanned", attempt_key(video_id, epoch), chunk),
        occurred_at=now,
        video_id=video_id,
        epoch=epoch,
        gallery=plan["gallery"],
        object=values.StoredObject.model_validate(plan["object"]),
        chunk=chunk,
        chunks=len(plan["chunks"]),
        start=plan["chunks"][chunk]["start"],
        end=plan["chunks"][chunk]["end"],
        window=plan["window"],
        settings=values.MatchSettings.model_validate(plan["settings"]),
    )
