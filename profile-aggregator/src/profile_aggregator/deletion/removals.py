"""What commits have left behind goes: written down in their transactions, and carried out until it is through.

Crops belong to a run, so that what a later run of the same video has cut out, or cuts out meanwhile, stays.
"""

import logging
from collections.abc import Iterable
from datetime import datetime

from castlist.contract.ids import crops_prefix, run_key
from castlist.contract.values import StoredObject
from castlist.ports.objects import Objects
from castlist.store.query import above, add, ascending, at_least, below, eq, one_of, with_id, with_ids, within
from castlist.store.records.erasures import ErasureRecord, RemovalRecord
from castlist.store.records.pending import PendingRecord
from castlist.store.records.persons import LeftOutRecord, PersonRecord, TracksRecord
from castlist.store.records.runs import AttemptsRecord, ChunkResultRecord, PlanRecord, ResultRun
from castlist.store.records.tasks import CancelRecord, ResolvedCancelRecord
from castlist.store.store import Store
from castlist.tasks.video_objects import remove_upload
from profile_aggregator.deletion.leftovers import carry_out_each
from profile_aggregator.videos.found_people import drop_people
from profile_aggregator.videos.found_tracks import drop_tracks

log = logging.getLogger(__name__)
REMOVE_EVERY = 1.0


def removal(
    video_id: str,
    first: int,
    last: int,
    at: datetime,
    *,
    deleted: bool = False,
    object: StoredObject | None = None,
    erasure: str | None = None,
) -> RemovalRecord:
    """The record of what is to go, for the transaction that makes it so."""
    id = f"{run_key(video_id, last)}:{first}{':deleted' if deleted else ''}"
    return RemovalRecord(
        id=id, video_id=video_id, first=first, last=last, deleted=deleted, object=object, at=at, erasure=erasure
    )


class Removals:
    """The worker that carries removals out."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects

    async def round(self) -> None:
        """All there are. UnavailableError if S3 is away."""
        left = await self._store.removals.ids(at_least(RemovalRecord.id, ""))
        await carry_out_each(left, self._carry_out, _failed)

    async def _carry_out(self, id: str) -> None:
        removal = await self._store.removals.get(id)
        if removal is None:  # another process was faster
            return
        video, prefix = removal.video_id, f"crops/{removal.video_id}/"
        keys = [info.key.removeprefix(prefix) for info in await self._objects.list(prefix)]
        crops, uploads = 0, 0
        for epoch in _epochs(removal, (key.partition("/")[0] for key in keys)):
            crops += await self._objects.delete_prefix(crops_prefix(video, epoch))
        nobody = within(PersonRecord.id, f"{video}:", f"{video};") & eq(PersonRecord.profile_id, None)
        for epoch in _epochs(removal, (key.split(":")[1] for key in await self._store.persons.ids(nobody))):
            await drop_people(self._store, video, epoch)
        runs = await self._store.left_out.ids(within(LeftOutRecord.id, f"{video}:", f"{video};"))
        await self._store.left_out.delete(with_ids(_meant(removal, runs)))
        parts = await self._store.tracks.ids(within(TracksRecord.id, f"{video}:", f"{video};"))
        for epoch in _epochs(removal, (part.split(":")[1] for part in parts)):
            await drop_tracks(self._store, video, epoch)
        if removal.deleted:
            if removal.object is not None:
                uploads = int(await remove_upload(self._store, self._objects, removal.object))
            await self._forget_runs(removal)
        await self._store.transaction(lambda transaction: _done(transaction, removal, crops, uploads))

    async def _forget_runs(self, removal: RemovalRecord) -> None:
        """Results, plans and cancels of what runs there were, however large their numbers are."""
        store, first, end = self._store, f"{removal.video_id}:", f"{removal.video_id};"
        runs = set(await store.plans.ids(within(PlanRecord.id, first, end)))
        runs |= set(await store.pending.ids(within(PendingRecord.id, first, end)))
        runs |= set(await store.cancels.ids(within(CancelRecord.id, first, end)))
        order, after = [ascending(ChunkResultRecord.run)], first
        while True:  # one look for each run, not for each of its results
            beyond = above(ChunkResultRecord.run, after) & below(ChunkResultRecord.run, end)
            found = await store.chunks.find_parts(ResultRun, beyond, sort=order, limit=1)
            if not found:
                break
            after = found[0].run
            runs.add(after)
        gone = _meant(removal, runs)
        await store.chunks.delete(one_of(ChunkResultRecord.run, gone))
        await store.plans.delete(with_ids(gone))
        await store.cancels.delete(with_ids(gone))
        await store.pending.delete(with_ids(gone))
        jobs = await store.attempts.ids(within(AttemptsRecord.id, first, end))
        given_up = set(_meant(removal, (job.rpartition(":")[0] for job in jobs)))
        await store.attempts.delete(with_ids(job for job in jobs if job.rpartition(":")[0] in given_up))
        if removal.erasure is not None:
            await store.resolved_cancels.delete(within(ResolvedCancelRecord.id, first, end))


async def _done(transaction: Store, removal: RemovalRecord, crops: int, uploads: int) -> None:
    """It is through; the erasure that it is part of counts it, once."""
    there = await transaction.removals.delete(with_id(removal.id))
    if there and removal.erasure is not None:
        counted = add(ErasureRecord.crops, crops) & add(ErasureRecord.objects, uploads)
        await transaction.erasures.update(with_id(removal.erasure), counted)


def _failed(id: str) -> None:
    video, last, *_ = id.split(":")
    log.exception("removal_failed", extra={"video": video, "epoch": int(last)})


def _meant(removal: RemovalRecord, runs: Iterable[str]) -> list[str]:
    """Those of a video's runs."""
    return [run_key(removal.video_id, epoch) for epoch in _epochs(removal, (run.rpartition(":")[2] for run in runs))]


def _epochs(removal: RemovalRecord, numbers: Iterable[str]) -> list[int]:
    """Those of the runs that are there which are meant: never a loop over what numbers there could be."""
    there = {int(number) for number in numbers if number.isdecimal()}
    return sorted(epoch for epoch in there if removal.first <= epoch <= removal.last)
