"""Chunks of a stored plan as the events that hand them out: by the planner, and again by a process that redoes it."""

from collections.abc import Iterable
from datetime import datetime

from castlist.contract.events import ChunkPlanned
from castlist.contract.ids import event_id
from castlist.store.records.runs import PlanRecord


def chunks_planned(
    plan: PlanRecord, video_id: str, epoch: int, chunks: Iterable[int], now: datetime
) -> list[ChunkPlanned]:
    """These chunks of the plan; the same events however often they are made."""
    return [
        ChunkPlanned(
            event_id=event_id("ChunkPlanned", plan.id, chunk),
            occurred_at=now,
            video_id=video_id,
            epoch=epoch,
            gallery=plan.gallery,
            object=plan.object,
            chunk=chunk,
            chunks=len(plan.chunks),
            start=plan.chunks[chunk].start,
            end=plan.chunks[chunk].end,
            stretches=plan.chunks[chunk].stretches,
            holes=plan.chunks[chunk].holes,
            window=plan.window,
            settings=plan.settings,
        )
        for chunk in chunks
    ]
