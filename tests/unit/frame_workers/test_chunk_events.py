"""From a child's result to events."""

import base64
from datetime import UTC, datetime

from castlist.contract import events, values
from castlist.contract.box import Box
from castlist.contract.codec import encode
from castlist.contract.ids import crop_key
from castlist.contract.video_warnings import warning
from frame_workers.handlers.chunk_events import PART_BYTES, digest_of, jpegs_of
from frame_workers.handlers.chunk_events import faces_encoded as in_parts
from frame_workers.slots.protocol import ChunkResult

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = events.ChunkPlanned(
    event_id="e", occurred_at=NOW, video_id="v", epoch=2, gallery="default",
    object=values.StoredObject(bucket="castlist", key="videos/1", etag="e"),
    chunk=3, chunks=9, start=45.0, end=60.0, window=4,
)  # fmt: skip
BOX = Box(1, 2, 80, 80)
ENCODING = base64.b64encode(bytes(512)).decode()


def track(index: int, sightings: int) -> values.Track:
    """A face seen that often, five times a second."""
    return values.Track(
        track=index,
        sightings=tuple(values.Sighting(45 + n / 5, BOX, 0.123456789) for n in range(sightings)),
        faces=(values.EncodedFace(45.0, BOX, 1.0, 0.5, ENCODING),),
        crop=values.Crop(str(index), 45.0, BOX, values.FrameSize(640, 480), 0.5),
    )


def result(*tracks: values.Track) -> ChunkResult:
    """What a child found."""
    jpegs = {track.track: base64.b64encode(b"jpeg %d" % track.track).decode() for track in tracks}
    return ChunkResult(
        tracks=tracks, jpegs=jpegs, frames=75, faces_skipped={"low_score": 2}, warnings=(warning("truncated", 3.0),)
    )


def faces_encoded(chunk: events.ChunkPlanned, found: ChunkResult, now: datetime) -> list[events.FacesEncoded]:
    """Its parts."""
    return in_parts(chunk, found, digest_of(found), now)


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
    """Each track's key leads to its picture."""
    found = result(track(0, 2), track(1, 2))
    digest = digest_of(found)
    jpegs = jpegs_of(CHUNK, found, digest)
    assert set(jpegs) == {crop_key("v", 2, 3, track, digest) for track in (0, 1)}
    (event,) = faces_encoded(CHUNK, found, NOW)
    assert [jpegs[one.crop.key] for one in event.tracks] == [b"jpeg 0", b"jpeg 1"]


def test_results_that_differ_are_told_apart() -> None:
    """Their parts carry another digest and other ids, their crops lie elsewhere: also where only pictures differ."""
    one = result(*(track(n, 300) for n in range(60)))
    for other in (
        one.model_copy(update={"tracks": one.tracks[1:]}),
        one.model_copy(update={"jpegs": {**one.jpegs, 7: base64.b64encode(b"another").decode()}}),
    ):
        parts, others = faces_encoded(CHUNK, one, NOW), faces_encoded(CHUNK, other, NOW)
        assert len({part.digest for part in parts}) == 1
        assert parts[0].digest not in {part.digest for part in others}
        assert not {part.event_id for part in parts} & {part.event_id for part in others}
        assert not jpegs_of(CHUNK, one, digest_of(one)).keys() & jpegs_of(CHUNK, other, digest_of(other)).keys()
