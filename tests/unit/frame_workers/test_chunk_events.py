"""From a child's frame to events."""

import base64
from datetime import UTC, datetime

import numpy as np

from castlist.contract import events, values, vectors
from castlist.contract.codec import encode
from castlist.contract.ids import crop_key
from frame_workers.handlers.chunk_events import PART_BYTES, chunk_planned, crops_of, faces_encoded
from frame_workers.slots.protocol import Frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OBJECT = values.StoredObject(bucket="castlist", key="videos/1", etag="e")
CHUNK = events.ChunkPlanned(
    event_id="e", occurred_at=NOW, video_id="v", epoch=2, gallery="default", object=OBJECT,
    chunk=3, chunks=9, start=45.0, end=60.0, window=4,
)  # fmt: skip


def track(index: int, sightings: int) -> Frame:
    box = {"left": 1, "top": 2, "width": 80, "height": 80}
    return {
        "track": index,
        "sightings": [{"time": 45 + n / 5, "box": box, "score": 0.123456789} for n in range(sightings)],
        "faces": [
            {"time": 45.0, "box": box, "score": 1.0, "quality": 0.5,
             "encoding": vectors.encode_vector(np.full(128, index, np.float32))}
        ],
        "crop": {"jpeg": base64.b64encode(b"jpeg %d" % index).decode(), "time": 45.0, "box": box,
                 "frame": {"width": 640, "height": 480}, "quality": 0.5},
    }  # fmt: skip


def result(*tracks: Frame) -> Frame:
    return {"tracks": list(tracks), "frames": 75, "faces_skipped": {"low_score": 2}, "warnings": ["truncated"]}


def test_a_large_result_comes_in_parts_that_add_up() -> None:
    """Each is small enough for Kafka, all of them hold each track once, and what is about the chunk is said once."""
    parts = faces_encoded(CHUNK, result(*(track(n, 300) for n in range(60))), NOW)
    assert len(parts) > 2
    assert all(len(encode(part)) < PART_BYTES + 2_000 for part in parts)
    assert [(part.part, part.parts) for part in parts] == [(n, len(parts)) for n in range(len(parts))]
    assert [t.track for part in parts for t in part.tracks] == list(range(60))
    assert sum(part.frames for part in parts) == 75
    assert sum(part.faces_skipped.get("low_score", 0) for part in parts) == 2
    assert len({part.event_id for part in parts}) == len(parts)


def test_a_redo_says_the_same() -> None:
    """Down to the event ids, so that receivers drop it."""
    found = result(*(track(n, 300) for n in range(60)))
    assert faces_encoded(CHUNK, found, NOW) == faces_encoded(CHUNK, found, NOW)


def test_a_chunk_without_faces_is_a_result_too() -> None:
    """The video would never be complete otherwise."""
    (only,) = faces_encoded(CHUNK, result(), NOW)
    assert only.tracks == ()
    assert (only.part, only.parts, only.frames) == (0, 1, 75)


def test_a_face_that_stays_for_hours_fits_into_a_message() -> None:
    """Fewer sightings are told, from the first to near the last."""
    (only,) = faces_encoded(CHUNK, result(track(0, 50_000)), NOW)
    assert len(encode(only)) < PART_BYTES
    times = [sighting.time for sighting in only.tracks[0].sightings]
    assert times[0] == 45
    assert times[-1] > 45 + 49_900 / 5


def test_crops_lie_where_the_events_say() -> None:
    """Their keys name video, epoch, chunk and track."""
    found = result(track(0, 2), track(1, 2))
    crops = crops_of(CHUNK, found)
    (event,) = faces_encoded(CHUNK, found, NOW)
    assert [crops[t.crop.key] for t in event.tracks] == [b"jpeg 0", b"jpeg 1"]
    assert event.tracks[1].crop.key == crop_key("v", 2, 3, 1)


def test_chunks_of_a_stored_plan_are_always_the_same_events() -> None:
    """Whoever hands them out."""
    plan = {
        "_id": "v:2", "gallery": "default", "object": OBJECT.model_dump(), "window": 4,
        "chunks": [{"start": None, "end": 15.0}, {"start": 15.0, "end": None}],
        "settings": values.MatchSettings(smallest_face=40).model_dump(),
    }  # fmt: skip
    first = chunk_planned(plan, "v", 2, 1, NOW)
    assert first == chunk_planned(plan, "v", 2, 1, NOW)
    assert (first.start, first.end, first.chunk, first.chunks) == (15.0, None, 1, 2)
    assert first.settings.smallest_face == 40
