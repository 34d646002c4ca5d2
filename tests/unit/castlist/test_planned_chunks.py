"""The events that hand out a plan's chunks."""

from datetime import UTC, datetime

from castlist.contract.values import AnalysisSettings, StoredObject
from castlist.store.records.runs import ChunkSpan, PlanRecord
from castlist.tasks.planned_chunks import chunks_planned

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = PlanRecord(
    id="v:2", gallery="default", object=StoredObject(bucket="castlist", key="videos/1", etag="e"),
    chunks=(ChunkSpan(None, 15.0), ChunkSpan(15.0, None)), settings=AnalysisSettings(smallest_face=40), window=4,
    duration=30.0, width=640, height=480, frame_rate=25.0, created_at=NOW,
)  # fmt: skip


def test_chunks_of_a_stored_plan_are_always_the_same_events() -> None:
    """Whichever process hands them out, consumers drop the repetition."""
    (second,) = chunks_planned(PLAN, "v", 2, [1], NOW)
    assert [second] == chunks_planned(PLAN, "v", 2, [1], NOW)
    assert (second.start, second.end, second.chunk, second.chunks) == (15.0, None, 1, 2)
    assert (second.window, second.object, second.settings) == (4, PLAN.object, PLAN.settings)
