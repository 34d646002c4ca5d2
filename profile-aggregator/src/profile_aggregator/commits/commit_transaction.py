"""What a commit writes, inside its transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TypeVar

from castlist.contract.commands import ChangeSettings, DeleteVideo
from castlist.contract.events import TaskFinished
from castlist.contract.ids import task_id
from castlist.store.pending import ledger_id, recluster_id
from castlist.store.query import add, eq, one_of, raise_to, set_to, with_id, with_ids
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.erasures import ErasureRecord
from castlist.store.records.galleries import GalleryRecord, SuggestionRecord
from castlist.store.records.pending import LedgerRecord, PendingRecluster, PendingVideo
from castlist.store.records.persons import PersonRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.tasks import TaskError
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from castlist.tasks.commands import Command, apply_in
from profile_aggregator.commits.commands import command_of
from profile_aggregator.commits.commit_documents import CommitDocuments
from profile_aggregator.commits.commit_plan import CommitPlan, StaleGalleryError
from profile_aggregator.commits.gallery_log import log_records
from profile_aggregator.commits.stored_decisions import decision_record
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.deletion.listeners import forget_people_in
from profile_aggregator.deletion.removals import removal
from profile_aggregator.deletion.video_deletion import delete_video_in

T = TypeVar("T")


class TaskEndedError(Exception):
    """The task of one of the videos ended otherwise while its people were pending."""

    def __init__(self, pending: PendingVideo) -> None:
        super().__init__(pending.id)
        self.pending = pending


async def write(transaction: Store, plan: CommitPlan, now: datetime) -> None:
    """All of a commit, and what must follow it: what it says, and what is to be removed.

    Raises StaleGalleryError, TaskEndedError, CommandRefusedError or AlreadyExistsError, all of which undo it.
    """
    await transaction.ledger.insert_many(LedgerRecord(id=ledger_id(one), at=now) for one in plan.batch)
    change = (
        add(GalleryRecord.version, 1)
        & set_to(GalleryRecord.committed_at, now)
        & set_to(GalleryRecord.suggestions_due, True)
        & set_to(GalleryRecord.stages, plan.stages)
        & set_to(GalleryRecord.sampled, True)
    )
    if plan.documents.events:
        change &= set_to(GalleryRecord.told, plan.cached.version + 1)
    if plan.distance != plan.cached.gallery.distance:
        change &= set_to(GalleryRecord.distance, plan.distance)
    if plan.faces_skipped is not None:
        change &= set_to(GalleryRecord.faces_skipped, plan.faces_skipped)
    unmoved = with_id(plan.gallery) & eq(GalleryRecord.version, plan.cached.version)
    unmoved &= eq(GalleryRecord.importing, None)
    if await transaction.galleries.update(unmoved, change) is None:
        raise StaleGalleryError
    videos = [one for one in plan.batch if isinstance(one, PendingVideo)]
    # Nobody is shown any more as the runs before these had cut them out.
    before = [removal(one.video_id, 1, one.epoch - 1, now) for one in videos if one.epoch > 1]
    await transaction.removals.replace_many(before)
    finished = await _finish(transaction, videos, now)
    for one in plan.batch:
        if (command := command_of(one)) is not None:
            finished += await _carry_out(transaction, command, plan.erasure, now)
            await _settle(transaction, plan, command, now)
    await apply_documents(transaction, plan.documents)
    await transaction.decisions.replace_many(decision_record(one, plan.gallery) for one in plan.decided)
    if plan.erasure is not None:
        await _erase(transaction, plan.erasure, plan.documents.removed_profiles)
    if plan.objection is not None:
        await transaction.objections.insert(plan.objection)
    if plan.withdrawn is not None:
        await transaction.objections.delete(with_id(plan.withdrawn))
    if plan.batch:
        await transaction.pending.delete(with_ids(one.id for one in plan.batch))
    if plan.backlog is not None:
        await _remember_backlog(transaction, plan, now)
    # A consumer that hears that a task is done has heard of its people.
    said = log_records(plan.gallery, plan.cached.version + 1, [*plan.documents.events, *finished], now)
    await transaction.gallery_log.insert_many(said)


async def _settle(transaction: Store, plan: CommitPlan, command: Command, now: datetime) -> None:
    """What became of the command, and of the change that it takes back."""
    said, id = plan.outcome, command.event_id
    if said is None:
        return
    await apply_in(transaction, id, now, plan.cached.version + 1, said.profiles, said.detail, said.undoes)
    taken_back_by, undone = id, said.undoes
    while undone is not None:  # what that took back holds again, what that did does not, and so on
        change = await transaction.changes.update(with_id(undone), set_to(ChangeRecord.undone_by, taken_back_by))
        if change is None or change.undoes is None:
            return
        restored = await transaction.changes.update(with_id(change.undoes), set_to(ChangeRecord.undone_by, None))
        taken_back_by, undone = change.undoes, None if restored is None else restored.undoes


async def _erase(transaction: Store, erasure: ErasureRecord, removed: Sequence[str]) -> None:
    """What changes have said of people who are erased is known no more, nor where they were told of; the rest
    follows. `removed`: the profiles that the commit takes away, which is no others where a command is its reason."""
    silent = set_to(ChangeRecord.detail, {}) & set_to(ChangeRecord.digest, None)
    if erasure.changes:
        await transaction.changes.update_many(with_ids(erasure.changes), silent)
    if erasure.change is not None:
        await forget_people_in(transaction, erasure.gallery, removed)
    await transaction.erasures.replace(erasure)


async def _finish(transaction: Store, videos: Sequence[PendingVideo], now: datetime) -> list[TaskFinished]:
    """The tasks are done, and the videos know which run was committed."""
    if not videos:
        return []
    runs = {(one.video_id, one.epoch): one for one in videos}
    ended, finished = await lifecycle.finish_all_in(transaction, list(runs), lifecycle.DONE, now)
    if ended:
        raise TaskEndedError(runs[ended[0]])
    for epoch, same in groupby(sorted(videos, key=lambda one: one.epoch), key=lambda one: one.epoch):
        committed = raise_to(VideoRecord.committed_epoch, epoch)
        await transaction.videos.update_many(with_ids(one.video_id for one in same), committed)
    return finished


async def end_uncommitted(
    transaction: Store, video: PendingVideo, status: lifecycle.FinalStatus, error: TaskError, now: datetime
) -> None:
    """Nothing of it reaches a profile: its task ends, unless it has, and what is left of it is to be removed.

    What a task shows that is done all the same, by another process or in spite of an error, stays.
    """
    await lifecycle.finish_in(transaction, video.video_id, video.epoch, status, now, error)
    task = await transaction.tasks.get(task_id(video.video_id, video.epoch))
    if task is None or task.status != lifecycle.DONE:
        await transaction.removals.replace(removal(video.video_id, video.epoch, video.epoch, now))
    await transaction.pending.delete(with_id(video.id))


async def _remember_backlog(transaction: Store, plan: CommitPlan, now: datetime) -> None:
    """What is still to be reconsidered; while there is anything, the gallery is not settled."""
    key, backlog = recluster_id(plan.gallery), plan.backlog
    if backlog is None or backlog.done:
        await transaction.pending.delete(with_id(key))
        return
    keys = tuple(sorted(backlog.keys))
    await transaction.pending.replace(
        PendingRecluster(id=key, gallery=plan.gallery, created_at=now, after=backlog.after, keys=keys)
    )


async def _carry_out(
    transaction: Store, command: Command, erasure: ErasureRecord | None, now: datetime
) -> list[TaskFinished]:
    """What a command writes besides the gallery's persons, and which tasks end with it."""
    match command:
        case ChangeSettings():
            chosen = set_to(GalleryRecord.settings, command.chosen)
            await transaction.galleries.update(with_id(command.gallery), chosen)
        case DeleteVideo():
            video = await transaction.videos.get(command.video_id)
            if video is None or video.gallery != command.gallery:
                raise CommandRefusedError("not_found", "There is no such video.")
            return await delete_video_in(transaction, video, now, None if erasure is None else erasure.id)
    return []


async def apply_documents(transaction: Store, documents: CommitDocuments) -> None:
    """Persons, profiles, appearances and redirects."""
    if documents.removed_persons:
        await transaction.persons.delete(with_ids(documents.removed_persons))
    if documents.forgotten_places:
        await transaction.places.delete(with_ids(documents.forgotten_places))
    if documents.unmatched_persons:
        kept_out = set_to(PersonRecord.profile_id, None) & set_to(PersonRecord.unmatched, True)
        await transaction.persons.update_many(with_ids(documents.unmatched_persons), kept_out)
    await transaction.persons.insert_many(documents.new_persons)
    await transaction.places.insert_many(documents.new_places)
    await transaction.persons.update_each({**documents.placed_persons, **documents.roles})
    for profile, keys in _by_value(documents.moved_persons).items():
        await transaction.persons.update_many(with_ids(keys), set_to(PersonRecord.profile_id, profile))
    for name, keys in _by_value(documents.named_persons).items():
        await transaction.persons.update_many(with_ids(keys), set_to(PersonRecord.name, name))
    if documents.revived_profiles:
        await transaction.redirects.delete(with_ids(documents.revived_profiles))
    await transaction.profiles.insert_many(documents.created_profiles)
    await transaction.profiles.update_each(documents.changed_profiles)
    await transaction.redirects.replace_many(documents.redirects)
    if documents.removed_profiles:
        await transaction.profiles.delete(with_ids(documents.removed_profiles))
        await transaction.suggestions.delete(one_of(SuggestionRecord.profiles, documents.removed_profiles))
    await _set_founders(transaction, documents.founders)
    if documents.removed_appearances:
        await transaction.appearances.delete(with_ids(documents.removed_appearances))
    await transaction.appearances.replace_many(documents.appearances)


def _by_value(values: Mapping[str, T]) -> dict[T, list[str]]:
    """The keys of each value: many of them change alike, in one call."""
    keys: dict[T, list[str]] = defaultdict(list)
    for key, value in values.items():
        keys[value].append(key)
    return keys


async def _set_founders(transaction: Store, founders: Mapping[str, str | None]) -> None:
    """An id is in use or retired: one of the two passes it over."""
    await transaction.profiles.update_each({id: set_to(ProfileRecord.founder, one) for id, one in founders.items()})
    await transaction.redirects.update_each({id: set_to(RedirectRecord.founder, one) for id, one in founders.items()})
