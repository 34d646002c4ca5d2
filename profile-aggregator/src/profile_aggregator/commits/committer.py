"""Committing what is pending for a gallery: any number of times, from any number of processes, with one effect.

Everything that one commit changes happens in one transaction, which a ledger entry and a compare-and-swap on the
gallery's version guard. Clustering is done before it, outside of the event loop.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from castlist.contract.commands import DeleteGallery, EnrolPerson
from castlist.contract.ids import BY_HAND, enrolment_id
from castlist.ports.errors import AlreadyExistsError, TooLargeError, TooLongError, UnavailableError
from castlist.service.metrics import COMMIT_SECONDS, COMMITS, COMMITTED_VIDEOS
from castlist.store.pending import command_id, event_of, ledger_id, recluster_id
from castlist.store.query import ascending, eq, not_of_kind, with_id, with_ids
from castlist.store.records.change_history import CommandError
from castlist.store.records.pending import LedgerRecord, PendingCommand, PendingRecluster, PendingRecord, PendingVideo
from castlist.store.records.tasks import TaskError
from castlist.store.records.videos import CommittedEpoch
from castlist.store.store import Store
from castlist.tasks import lifecycle
from castlist.tasks.commands import Command, apply_in, fail_in, stage
from castlist_identity.galleries.reclustering import (
    MOVES,
    ClusteredComponent,
    cluster_component,
    keys_and_names,
    next_batch,
)
from profile_aggregator.commits.commands import command_of, is_import
from profile_aggregator.commits.commit_plan import CommitPlan, StaleGalleryError
from profile_aggregator.commits.commit_planner import CommitPlanner, backlog_of
from profile_aggregator.commits.commit_transaction import TaskEndedError, end_uncommitted, write
from profile_aggregator.commits.gallery_cache import GalleryCache, GalleryGoneError
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.deletion.gallery_deletion import close_in
from profile_aggregator.deletion.removals import removal
from profile_aggregator.videos.found_people import drop_people

log = logging.getLogger(__name__)
_PATIENCE = 50
"""How often a batch is matched again because the gallery moved on, before others get their turn."""
_NOT_CARRIED_OUT = CommandError("internal", "It could not be carried out; the log says why.")
_PEOPLE = 2_000
"""Of the videos of one commit."""
_TRIES = 3
"""How often what is alone takes too long before it is not MongoDB's slowness that is to blame."""
_TOO_LARGE_COMMAND = CommandError("limits_exceeded", "It changes more than one commit can.")
_TOO_LARGE = TaskError("limits_exceeded", "It has more people than one commit can take into a gallery.")
_NOT_COMMITTED = TaskError("internal", "Its people could not be committed to the gallery; the log says why.")
_GALLERY_DELETED = TaskError("video_deleted", "Its gallery was deleted.")
_NO_GALLERY = CommandError("not_found", "The gallery was deleted.")
_SUPERSEDED = TaskError("superseded", "A newer task on the same video took over.")


class Committer:
    """Commits pending videos; one instance a process."""

    def __init__(
        self,
        store: Store,
        said: GalleryLog,
        galleries: GalleryCache,
        clock: Callable[[], datetime],
        batch: int,
        ring_import: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._said = store, said
        self._galleries, self._clock, self._batch = galleries, clock, batch
        self._planner, self._ring_import = CommitPlanner(store, clock), ring_import
        self._clustered: dict[str, ClusteredComponent] = {}
        self._at_once: dict[str, int] = {}
        self._divisor: dict[str, int] = {}
        self._too_long: dict[str, int] = {}

    async def stage(self, command: Command) -> None:
        """Remember a command; a `commit` carries it out, once."""
        await stage(self._store, command, self._clock())

    async def refuse(self, command: Command, reason: str) -> None:
        """Carry a command out no more: `internal` is its outcome."""
        pending = await self._store.pending.get(command_id(command.event_id))
        if pending is not None:
            await self.fail_command(pending, CommandError("internal", reason))

    async def commit(self, gallery: str) -> bool:
        """Commit what is pending, the oldest first, up to a batch of it; False if nothing was, or if what was is an
        import, which is carried out elsewhere.

        UnavailableError if a server is away; safe to repeat.
        """
        waiting = eq(PendingRecord.gallery, gallery) & not_of_kind(PendingRecluster)
        arrival = [ascending(PendingRecord.created_at), ascending(PendingRecord.id)]
        async with self._galleries.lock(gallery):
            limit = self._at_once.get(gallery, self._batch)
            pending = await self._store.pending.find(waiting, sort=arrival, limit=limit)
            if pending and is_import(pending[0]):
                self._ring_import(gallery)  # it takes its time, and the others must not wait for it
                return False
            if pending:
                await self._commit_some(gallery, _together(pending))
        if not pending:
            await self._said.caught_up(gallery)
        return bool(pending)

    async def recluster(self, gallery: str) -> bool:
        """Cluster the next batch of the backlog again; False once nothing is left of it.

        A large component is clustered while others commit, and again if they touched it. UnavailableError if a
        server is away; safe to repeat, and to leave off at any time.
        """
        async with self._galleries.lock(gallery):
            try:
                cached = await self._galleries.current(gallery)
            except GalleryGoneError:
                return False
            pending = await self._store.pending.get(recluster_id(gallery))
            if pending is None:
                self._clustered.pop(gallery, None)
                return False
            backlog, known = backlog_of(pending), cached.gallery
            divisor = self._divisor.get(gallery, 1)
            batch = await asyncio.to_thread(next_batch, known, backlog, cached.seen, divisor)
            members = [known.members[key] for key in batch.keys] if batch.large else []
            clustered = self._clustered.get(gallery)
            if not batch.large or (clustered is not None and clustered.members == keys_and_names(members)):
                try:
                    plan = await self._planner.for_recluster(gallery, batch, backlog, cached, clustered)
                    await self._write(plan)
                except (StaleGalleryError, AlreadyExistsError):
                    self._galleries.forget(gallery)
                    return True
                except TooLargeError as error:
                    if divisor >= MOVES:
                        raise
                    self._divisor[gallery] = 2 * divisor
                    log.warning(
                        "commit_too_large", extra={"gallery": gallery, "pending": 0, "reason": str(error)[:200]}
                    )
                    return True
                if divisor > 1:
                    self._divisor[gallery] = divisor // 2
                await self._follow(plan)
                await self._said.caught_up(gallery)
                return True
            distance, links = known.distance, known.links
        self._clustered[gallery] = await asyncio.to_thread(cluster_component, members, distance, links)
        return True

    async def _commit_some(self, gallery: str, pending: Sequence[PendingRecord]) -> None:
        batch = await self._admissible(pending)
        attempts = 0
        while batch:
            attempts += 1
            started = time.monotonic()
            try:
                if isinstance(command_of(batch[0]), DeleteGallery):
                    await self._close(batch[0])
                    return
                cached = await self._galleries.current(gallery)
                plan = await self._planner.for_batch(gallery, batch, cached)
                await self._write(plan)
            except (StaleGalleryError, AlreadyExistsError) as stale:
                if attempts > _PATIENCE:
                    raise UnavailableError(f"gallery {gallery} keeps changing: {stale!r}"[:300]) from stale
                COMMITS.labels("stale").inc()
                self._galleries.forget(gallery)
                batch = await self._admissible(batch)
                continue
            except GalleryGoneError:
                COMMITS.labels("refused").inc()
                for one in batch:
                    if isinstance(one, PendingVideo):
                        await self._end_uncommitted(one, lifecycle.CANCELLED, _GALLERY_DELETED)
                    else:
                        await self.fail_command(one, _NO_GALLERY)
                return
            except TaskEndedError as ended:
                COMMITS.labels("ended").inc()
                await self._end_uncommitted(ended.pending, lifecycle.CANCELLED, _SUPERSEDED)
                batch = [one for one in batch if one.id != ended.pending.id]
                continue
            except CommandRefusedError as refused:
                COMMITS.labels("refused").inc()
                await self.fail_command(batch[0], CommandError(refused.code, str(refused), refused.changes))
                return
            except UnavailableError:
                raise
            except TooLargeError as error:
                COMMITS.labels("too_large").inc()
                await self._commit_less(gallery, batch, error)
                return
            except Exception:
                COMMITS.labels("failed").inc()
                self._galleries.forget(gallery)
                await self._isolate(gallery, batch)
                return
            # It has won: nothing that goes wrong from here on may undo it, or fail a task that is done.
            self._at_once[gallery] = min(self._batch, 2 * self._at_once.get(gallery, self._batch))
            COMMIT_SECONDS.observe(time.monotonic() - started)
            COMMITTED_VIDEOS.inc(len(batch))
            await self._follow(plan)
            return

    async def _close(self, one: PendingRecord) -> None:
        """The gallery is deleted, from now on; what is in it goes bit by bit."""
        await self._store.transaction(lambda transaction: close_in(transaction, one, self._clock()))
        self._galleries.forget(one.gallery)
        COMMITS.labels("done").inc()
        log.info("gallery_deleted", extra={"gallery": one.gallery})
        self._said.wake(one.gallery)

    async def _write(self, plan: CommitPlan) -> None:
        """The transaction, and nothing else. StaleGalleryError, TaskEndedError, AlreadyExistsError undo it."""
        try:
            await self._store.transaction(lambda transaction: write(transaction, plan, self._clock()))
        except UnavailableError:
            self._galleries.forget(plan.gallery)  # whether it was written is unknown
            raise

    async def _follow(self, plan: CommitPlan) -> None:
        """What is in memory follows a commit that has won, and what it says goes out."""
        try:
            await asyncio.to_thread(plan.succeeded)
        except Exception:
            log.exception("commit_not_followed", extra={"gallery": plan.gallery})
            self._galleries.forget(plan.gallery)  # half changed; MongoDB has it all
        COMMITS.labels("done").inc()
        log.info(
            "gallery_committed",
            extra={
                "gallery": plan.gallery,
                "gallery_version": plan.cached.version,
                "videos": [one.id for one in plan.batch],
                "moved": len(plan.diff.moved),
                "distance": plan.distance,
            },
        )
        self._said.wake(plan.gallery)

    async def _commit_less(self, gallery: str, batch: Sequence[PendingRecord], error: TooLargeError) -> None:
        """It does not fit into one transaction: half of it may. One that does not on its own fails for its owner."""
        log.warning("commit_too_large", extra={"gallery": gallery, "pending": len(batch), "reason": str(error)[:200]})
        self._galleries.forget(gallery)
        if len(batch) > 1:
            self._at_once[gallery] = half = len(batch) // 2
            await self._commit_some(gallery, batch[:half])
            await self._commit_some(gallery, batch[half:])
            return
        one = batch[0]
        tries = self._too_long[one.id] = self._too_long.get(one.id, 0) + 1
        if isinstance(error, TooLongError) and tries < _TRIES:
            raise UnavailableError(f"MongoDB may have been slow: {error}") from error
        del self._too_long[one.id]
        if isinstance(one, PendingVideo):
            await self._end_uncommitted(one, lifecycle.FAILED, _TOO_LARGE)
        else:
            await self.fail_command(one, _TOO_LARGE_COMMAND)

    async def _isolate(self, gallery: str, batch: Sequence[PendingRecord]) -> None:
        """Something about this batch fails: halve it until it is one video, whose task fails."""
        if len(batch) > 1:
            half = len(batch) // 2
            await self._commit_some(gallery, batch[:half])
            await self._commit_some(gallery, batch[half:])
            return
        log.exception("commit_failed", extra={"pending": batch[0].id})
        one = batch[0]
        if not isinstance(one, PendingVideo):
            await self.fail_command(one, _NOT_CARRIED_OUT)
            return
        await self._end_uncommitted(one, lifecycle.FAILED, _NOT_COMMITTED)

    async def fail_command(self, one: PendingRecord, error: CommandError) -> None:
        """It would fail again, and its gallery would never settle: that it failed is its outcome."""
        now = self._clock()

        async def body(transaction: Store) -> None:
            await transaction.ledger.insert(LedgerRecord(id=ledger_id(one), at=now, failed=True))
            await fail_in(transaction, event_of(one), now, error)
            if isinstance(one, PendingCommand) and one.name == EnrolPerson.__name__:
                await transaction.removals.replace(removal(enrolment_id(event_of(one)), BY_HAND, BY_HAND, now))
            await transaction.pending.delete(with_id(one.id))

        with contextlib.suppress(AlreadyExistsError):  # another process was first
            await self._store.transaction(body)

    async def _admissible(self, pending: Sequence[PendingRecord]) -> list[PendingRecord]:
        """What of `pending` is still to be committed: not in the ledger, and no newer epoch is there or beside it."""
        videos = [one for one in pending if isinstance(one, PendingVideo)]
        applied, known = await asyncio.gather(
            self._store.ledger.ids(with_ids(ledger_id(one) for one in pending)),
            self._store.videos.find_parts(CommittedEpoch, with_ids(one.video_id for one in videos)),
        )
        newest = {committed.id: committed.committed_epoch or 0 for committed in known}
        for video in videos:
            newest[video.video_id] = max(newest.get(video.video_id, 0), video.epoch)
        admissible: list[PendingRecord] = []
        for one in pending:
            if ledger_id(one) in applied:
                await self.forget_applied(one)
            elif isinstance(one, PendingVideo) and one.epoch < newest[one.video_id]:
                await self._end_uncommitted(one, lifecycle.CANCELLED, _SUPERSEDED)
            else:
                admissible.append(one)
        return admissible

    async def forget_applied(self, one: PendingRecord) -> None:
        """It is in the ledger: nothing is left to do."""
        if isinstance(one, PendingVideo):
            await drop_people(self._store, one.video_id, one.epoch)

        async def body(transaction: Store) -> None:
            if isinstance(one, PendingCommand):
                await apply_in(transaction, event_of(one), self._clock())
            await transaction.pending.delete(with_id(one.id))

        await self._store.transaction(body)

    async def _end_uncommitted(self, one: PendingVideo, status: lifecycle.FinalStatus, error: TaskError) -> None:
        now = self._clock()
        await self._store.transaction(lambda transaction: end_uncommitted(transaction, one, status, error, now))


def _together(pending: Sequence[PendingRecord]) -> Sequence[PendingRecord]:
    """What in front goes into one commit: videos with so many people at most, or one video or command."""
    together: list[PendingRecord] = []
    people = 0
    for one in itertools.takewhile(lambda one: isinstance(one, PendingVideo), pending):
        people += one.people if isinstance(one, PendingVideo) else 0
        if together and people > _PEOPLE:
            break
        together.append(one)
    return together or pending[:1]
