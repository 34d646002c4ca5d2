"""The largest events and records that the bounds allow fit into Kafka and MongoDB; those beyond are refused."""

from typing import Any

import pytest

from castlist.adapters.memory import MemoryDocuments
from castlist.adapters.memory.stored_values import size_of, stored
from castlist.contract import bounds
from castlist.contract.box import Box
from castlist.contract.codec import encode
from castlist.contract.events import ChunkFailed, ChunkPlanned, PersonAppeared, TaskFinished, VideoUploaded
from castlist.contract.values import Crop, FrameSize, LeftOutFace, Segment, StoredObject
from castlist.contract.video_warnings import warning
from castlist.ports.errors import DocumentTooLargeError, MessageTooLargeError
from castlist.store import outbox
from castlist.store.query import plain
from castlist.store.records.persons import LeftOutRecord
from castlist.store.records.runs import ChunkResultRecord, ChunkSpan, PlanRecord
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.store import Store
from castlist_identity.videos.appearance import Presence, appearance_of
from castlist_vision.reading.chunk_plan import plan_chunks
from testkit.examples import AT, example

ID = "v" * 128
TIME = -172799.12345678901
BOX = Box(*[bounds.MOST_PIXELS] * 4)
CROP = Crop("é" * 1024, TIME, BOX, FrameSize(bounds.MOST_PIXELS, bounds.MOST_PIXELS), 0.12345678901234567)
WORST = "\x01" * bounds.LONGEST_MESSAGE
"""JSON takes six characters for each of these."""
RUN: dict[str, Any] = {"video_id": ID, "epoch": bounds.WHOLE, "event_id": "\x01" * 128}
SEGMENT = Segment(TIME, TIME)
LARGEST = [
    example(
        PersonAppeared,
        **RUN,
        persons=(f"{ID}:{bounds.WHOLE}:{bounds.WHOLE}",) * bounds.MOST_PERSONS,
        segments=(SEGMENT,) * bounds.MOST_SEGMENTS,
        crop=CROP,
    ),
    example(ChunkFailed, **RUN, message=WORST),
    example(TaskFinished, **RUN, message=WORST),
    example(VideoUploaded, **RUN, name="\x01" * 1024, object=StoredObject("b" * 63, "\x01" * 1024, "\x01" * 256)),
    example(ChunkPlanned, **RUN, object=StoredObject("b" * 63, "\x01" * 1024, "\x01" * 256)),
]


@pytest.mark.parametrize("event", LARGEST, ids=lambda event: event.event)
async def test_the_largest_event_fits_into_kafka(event: Any) -> None:
    """With every field at its bound; it goes through the outbox, too."""
    assert len(encode(event)) <= bounds.LARGEST_EVENT
    await outbox.add(Store(MemoryDocuments()), event, AT)


async def test_an_event_beyond_kafka_is_not_put_into_the_outbox() -> None:
    """What it would make true is undone with it; the error names the event."""
    store = Store(MemoryDocuments())
    beyond = LARGEST[0].model_copy(update={"segments": (SEGMENT,) * (2 * bounds.MOST_SEGMENTS)})

    async def body(transaction: Store) -> None:
        await transaction.tasks.insert(TASK)
        await outbox.add(transaction, beyond, AT)

    with pytest.raises(MessageTooLargeError, match="PersonAppeared"):
        await store.transaction(body)
    assert await store.tasks.count() == await store.outbox.count() == 0


TASK = TaskRecord(
    id=ID, video_id=ID, video_name="é" * 1024, gallery="g" * 63, epoch=bounds.WHOLE, status="failed",
    faces_skipped={f"{n:064}": bounds.WHOLE for n in range(bounds.MOST_REASONS)},
    warnings=tuple(warning("damaged", TIME, TIME, "é" * 1000) for _ in range(bounds.MOST_WARNINGS)),
    error=TaskError("c" * 64, "é" * bounds.LONGEST_MESSAGE), created_at=AT, updated_at=AT,
)  # fmt: skip
PLAN = PlanRecord(
    id=ID, gallery="g" * 63, object=StoredObject("b" * 63, "é" * 1024, "é" * 256),
    chunks=(ChunkSpan(TIME, TIME),) * bounds.MOST_CHUNKS, window=bounds.MOST_CHUNKS, duration=TIME, width=1, height=1,
    frame_rate=25.0, warnings=TASK.warnings, created_at=AT,
)  # fmt: skip
RESULT = ChunkResultRecord(
    id=ID, run=ID, chunk=0, part=0, parts=bounds.MOST_PARTS, event="é" * bounds.LARGEST_EVENT, at=AT,
)  # fmt: skip


LEFT_OUT = LeftOutRecord(id=ID, faces=(LeftOutFace(TIME, BOX, "r" * 64),) * bounds.MOST_LEFT_OUT)


@pytest.mark.parametrize("record", [TASK, PLAN, RESULT, LEFT_OUT], ids=lambda record: type(record).__name__)
def test_the_largest_record_fits_into_mongodb(record: Any) -> None:
    """With room to spare."""
    assert size_of(stored(plain(record))) < bounds.LARGEST_DOCUMENT / 2


async def test_a_record_beyond_mongodb_is_refused() -> None:
    """It is named."""
    beyond = ChunkResultRecord(id="v:1:0:0", run="v:1", chunk=0, part=0, parts=1, event="x" * 2**24, at=AT)
    with pytest.raises(DocumentTooLargeError, match="chunks v:1:0:0"):
        await Store(MemoryDocuments()).chunks.insert(beyond)


@pytest.mark.parametrize("gap", [0.2, 5.0, 29.0])
def test_the_longest_video_has_no_more_chunks_than_allowed(gap: float) -> None:
    """However near its keyframes are."""
    keyframes = [gap * n for n in range(int(bounds.LONGEST_VIDEO / gap))]
    assert len(plan_chunks(keyframes, bounds.LONGEST_VIDEO)) <= bounds.MOST_CHUNKS


def test_somebody_who_comes_and_goes_all_day_has_segments_that_fit() -> None:
    """Where there would be too many, shorter absences are passed over: from the first to the last moment."""
    times = [4.0 * n for n in range(21_600)]
    found = appearance_of([Presence(21_600, tuple(Segment(time, time + 1.0) for time in times), None)])
    assert 0 < len(found.segments) <= bounds.MOST_SEGMENTS
    assert (found.first_seen, found.last_seen) == (0.0, times[-1] + 1.0)
    few = appearance_of([Presence(9_000, tuple(Segment(time, time + 1.0) for time in times[:9_000]), None)])
    assert len(few.segments) == 9_000
