"""From what is pending for a gallery to what its next commit writes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from castlist.contract.commands import (
    ChangeSettings,
    DeleteGallery,
    DeleteVideo,
    EnrolPerson,
    ImportGallery,
    WithdrawObjection,
)
from castlist.contract.ids import derived, video_of_person
from castlist.ports.errors import TooLargeError
from castlist.store.pending import recluster_id
from castlist.store.query import with_ids
from castlist.store.records.erasures import ErasedPerson, ErasureRecord
from castlist.store.records.pending import PendingRecluster, PendingRecord, PendingVideo
from castlist.store.records.persons import PersonPresence, PersonRecord, PersonRun
from castlist.store.store import Store
from castlist.tasks.commands import CommittedCommand
from castlist_identity.decisions.cards import Cards
from castlist_identity.decisions.decision import Decision
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery_diff import GalleryChange, GalleryDiff
from castlist_identity.galleries.reclustering import (
    ALL_PERSONS,
    BOUND,
    ClusteredComponent,
    ReclusterBacklog,
    ReclusterBatch,
)
from castlist_identity.galleries.video_update import VideoUpdate, change_for_updates, superseded
from castlist_identity.matching.auto_distance import distance_for, stages_for
from castlist_identity.matching.objections import objecting
from profile_aggregator.commits.asked import Asked
from profile_aggregator.commits.commands import command_of
from profile_aggregator.commits.commit_documents import CommitDocuments, documents_of, needed_persons
from profile_aggregator.commits.commit_plan import CommitPlan, Outcome, StaleGalleryError
from profile_aggregator.commits.gallery_cache import CachedGallery
from profile_aggregator.commits.moments_before import seen_before
from profile_aggregator.commits.skipped_faces import faces_skipped
from profile_aggregator.corrections.correction_reader import CorrectionReader
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.deletion.video_erasure import erasing
from profile_aggregator.videos.conversions import gallery_person, places_of
from profile_aggregator.videos.found_people import people_of

MOST_CHANGES = 6_000
"""Persons, appearances and profiles that one commit writes: it must end well within MongoDB's transaction lifetime."""


def backlog_of(pending: PendingRecord | None) -> ReclusterBacklog:
    """What is still to be clustered again, as it was stored; nothing where nothing is."""
    if not isinstance(pending, PendingRecluster):
        return ReclusterBacklog(None)
    return ReclusterBacklog(pending.after, frozenset(pending.keys))


def _changes(diff: GalleryDiff) -> int:
    return len(diff.appeared) + len(diff.left) + len(diff.moved) + len(diff.appearances) + len(diff.videos)


class CommitPlanner:
    """Works out commits. Reads MongoDB, writes nothing; clusters outside of the event loop."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock
        self._corrections = CorrectionReader(store)

    async def for_batch(self, gallery: str, batch: Sequence[PendingRecord], cached: CachedGallery) -> CommitPlan:
        """The commit of these videos' people, or of one command.

        StaleGalleryError if MongoDB is ahead of `cached`; TooLargeError if fewer had better be committed at once.
        One that changes too much on its own leaves who is there already as they are, to be clustered again later.
        """
        known = cached.gallery
        videos = [one for one in batch if isinstance(one, PendingVideo)]
        command = command_of(batch[0])
        inserted, skipped = await asyncio.gather(
            people_of(self._store, videos), faces_skipped(self._store, gallery, batch, command)
        )
        if len(inserted) < sum(video.people for video in videos):
            raise LookupError(f"people of {[video.id for video in videos]} are not there")
        asked = await self._asked(command, videos, cached, inserted)
        setting = command.across_video_distance if isinstance(command, ChangeSettings) else cached.setting
        change = asked.change
        diff = await asyncio.to_thread(self._propose, gallery, cached, change, BOUND)
        if _changes(diff) > MOST_CHANGES:
            if len(batch) > 1:
                raise TooLargeError(f"{_changes(diff)} changes in one commit")
            diff = await asyncio.to_thread(self._propose, gallery, cached, change, 0)
        people = known.people(change)
        spread = await asyncio.to_thread(known.spread, change) if setting == "auto" else 1.0
        distance = distance_for(setting, people, spread)
        stages = stages_for(setting)
        backlog = None
        unsampled = not cached.sampled and len(known.members) + len(change.inserted) > known.sample
        if (distance, stages) != (known.distance, known.stages) or unsampled:
            backlog = ALL_PERSONS if known.members or change.inserted else ReclusterBacklog(None)
        elif diff.clusters.unsettled:
            so_far = backlog_of(await self._store.pending.get(recluster_id(gallery)))
            backlog = ReclusterBacklog(so_far.after, so_far.keys | diff.clusters.unsettled)
        if isinstance(command, EnrolPerson):  # whom it has become is known only now
            asked = replace(asked, subjects=tuple(sorted(set(dict(diff.appeared).values()))))
        new = tuple(sorted([*(profile.id for profile in diff.created), *diff.revived]))
        decided = [
            replace(one, created=new) if one.version > cached.version and one.active else one for one in asked.changed
        ]
        decisions = asked.decisions.noted(decided) if decided else asked.decisions
        documents, cards = await self._documents(gallery, diff, cached, decisions, asked)
        outcome = None if command is None else _outcome(asked, decided, diff, cached.gallery.profile_of)
        erasure = await self._erasure(gallery, cached.version + 1, asked, command)
        return CommitPlan(
            gallery,
            batch,
            diff,
            documents,
            cached,
            setting,
            distance,
            stages,
            backlog,
            decisions,
            cards,
            decided,
            outcome,
            erasure,
            faces_skipped=skipped,
            objection=asked.objection,
            withdrawn=command.objection_id if isinstance(command, WithdrawObjection) else None,
        )

    async def _asked(
        self,
        command: CommittedCommand | None,
        videos: Sequence[PendingVideo],
        cached: CachedGallery,
        inserted: Mapping[str, PersonRecord],
    ) -> Asked:
        """What the batch asks of the gallery."""
        match command:
            case None:
                return await self._replacement({one.video_id: one.epoch for one in videos}, cached, inserted)
            case DeleteVideo():
                asked = await self._replacement({command.video_id: None}, cached, {})
                return erasing(asked, command.video_id, frozenset(cached.gallery.members)) if command.erase else asked
            case WithdrawObjection():
                if command.objection_id not in cached.objections:
                    raise CommandRefusedError("not_found", "There is no such objection.")
                return Asked(GalleryChange(), cached.decisions)
            case ChangeSettings() | DeleteGallery():
                return Asked(GalleryChange(), cached.decisions)
            case ImportGallery():
                raise AssertionError("an import is no commit of its own")
            case _:
                return await self._corrections.asked(command, cached)

    async def _erasure(
        self, gallery: str, version: int, asked: Asked, command: CommittedCommand | None
    ) -> ErasureRecord | None:
        """What is to go besides the persons themselves."""
        of_video = isinstance(command, DeleteVideo) and command.erase
        if not asked.erased and not of_video and asked.objection is None:
            return None
        stored: list[PersonRun] = []
        if asked.erased:
            stored = await self._store.persons.find_parts(PersonRun, with_ids(sorted(asked.erased)))
        return ErasureRecord(
            id=f"{gallery}:{version}",
            gallery=gallery,
            version=version,
            what="video" if of_video else "people",
            change=None if command is None else command.event_id,
            changes=(*asked.silenced, *([] if asked.objection is None else [asked.objection.id])),
            persons=tuple(ErasedPerson(one.video_id, one.epoch, one.tracks) for one in stored),
            at=self._clock(),
            videos=int(of_video),
            people=len(asked.change.removed) if of_video else len(stored),
            changed=len(asked.silenced),
        )

    async def for_recluster(
        self,
        gallery: str,
        batch: ReclusterBatch,
        backlog: ReclusterBacklog,
        cached: CachedGallery,
        clustered: ClusteredComponent | None,
    ) -> CommitPlan:
        """The commit that reconsiders a batch, or as much of it as one commit moves.

        The last one looks everybody through: while something waits to be clustered, a process that reads the gallery
        knows of the clusters only what their profiles show, and these may be on their way.
        """
        known, clusters = cached.gallery, None
        change = GalleryChange(reconsider=batch.keys)
        if batch.large and clustered is not None:
            change, clusters = GalleryChange(), clustered.clusters
        diff = await asyncio.to_thread(
            self._propose, gallery, cached, change, BOUND, clusters, batch.moves, everybody=batch.left.done
        )
        left, seen = (backlog, frozenset[str]())
        if diff.clusters.whole:
            seen = batch.seen
            left = ReclusterBacklog(batch.left.after, batch.left.keys | (diff.clusters.unsettled - batch.keys))
        asked = Asked(change, cached.decisions)
        documents, cards = await self._documents(gallery, diff, cached, cached.decisions, asked)
        return CommitPlan(
            gallery,
            (),
            diff,
            documents,
            cached,
            cached.setting,
            known.distance,
            known.stages,
            left,
            cached.decisions,
            cards,
            seen=seen,
        )

    def _propose(
        self,
        gallery: str,
        cached: CachedGallery,
        change: GalleryChange,
        bound: int | None,
        clustered: Sequence[tuple[str, ...]] | None = None,
        moves: int | None = None,
        everybody: bool = False,
    ) -> GalleryDiff:
        version = cached.version + 1
        return cached.gallery.propose(
            change,
            lambda smallest: derived("profile", gallery, version, smallest),
            version,
            bound,
            clustered,
            moves,
            everybody,
        )

    async def _documents(
        self, gallery: str, diff: GalleryDiff, cached: CachedGallery, decisions: DecisionSet, asked: Asked
    ) -> tuple[CommitDocuments, Cards]:
        known, needed = cached.gallery, needed_persons(diff)
        stored: list[PersonPresence] = []
        if needed:
            stored = await self._store.persons.find_parts(PersonPresence, with_ids(sorted(needed)))
            if len(stored) < len(needed):
                raise StaleGalleryError
        cards = await asyncio.to_thread(self._cards, cached, diff, decisions, asked)
        now = self._clock()
        before = await seen_before(self._store, diff, known, now)
        if before is None:
            raise StaleGalleryError
        documents = documents_of(
            diff,
            gallery,
            cached.version + 1,
            cached.told,
            now,
            asked,
            cached.cards.changed(cards),
            {person.id: person for person in stored},
            known.profiles,
            await self._made_at(diff),
            before,
        )
        return documents, cards

    def _cards(self, cached: CachedGallery, diff: GalleryDiff, decisions: DecisionSet, asked: Asked) -> Cards:
        """Of all profiles as they will be."""
        if not len(decisions):
            return cached.cards
        moved = {move.person: move.new for move in diff.moved} | dict(diff.appeared)
        left = {key for key, _ in diff.left}
        changed = {*moved, *left, *(key for one in asked.changed for key in one.keys)}

        def profile_of(key: str) -> str | None:
            return None if key in left else moved.get(key) or cached.gallery.profile_of.get(key)

        return cached.cards.after(decisions, changed, profile_of)

    async def _made_at(self, diff: GalleryDiff) -> dict[str, datetime]:
        """When the profiles were made that retire, or that come back."""
        made: dict[str, datetime] = {}
        if gone := [profile for profile, count in diff.videos.items() if not count]:
            made |= {one.id: one.created_at for one in await self._store.profiles.find(with_ids(gone))}
        if diff.revived:
            redirects = await self._store.redirects.find(with_ids(diff.revived))
            made |= {one.id: one.made_at for one in redirects if one.made_at is not None}
        return made

    async def _replacement(
        self, videos: Mapping[str, int | None], cached: CachedGallery, inserted: Mapping[str, PersonRecord]
    ) -> Asked:
        """The persons of these videos instead of those that earlier runs had found in them, without those who object to
        being known. `videos` says of each which run it is, and None where it is deleted."""
        known, decisions = cached.gallery, cached.decisions
        coming = {key: gallery_person(person) for key, person in inserted.items()}
        objected = frozenset[str]()
        if cached.objections:
            objected = frozenset(await asyncio.to_thread(objecting, coming.values(), cached.objections, known.distance))
        redone = {video for video, epoch in videos.items() if epoch != 1}
        deleted = None in videos.values()
        removed = frozenset(key for video in videos for key in superseded(known, video, deleted))
        absent: dict[str, set[str]] = {video: set() for video in videos}
        for key in decisions.persons if redone else ():
            if key not in known.members and (video := video_of_person(key)) in redone:
                absent[video].add(key)
        old = removed.union(*absent.values())
        places = {}
        if old and inserted:
            stored = await self._store.places.find(with_ids(sorted(old | inserted.keys())))
            places = {one.id: places_of(one) for one in stored}
        members: dict[str, list[GalleryPerson]] = {video: [] for video in videos}
        for key, person in coming.items():
            if key not in objected:
                members[person.video].append(person)
        updates = [
            VideoUpdate(video, tuple(persons), frozenset(absent[video]), places, deleted)
            for video, persons in members.items()
        ]
        found = await asyncio.to_thread(change_for_updates, known, decisions, updates)
        erased = objected | {key for key in found.unmatched if found.decisions.is_erased(key)}
        return Asked(
            found.change,
            found.decisions,
            found.rekeyed,
            inserted={key: one for key, one in inserted.items() if key not in found.unmatched | objected},
            unmatched=found.unmatched - erased,
            replaced=(old - removed if deleted else found.replaced) | erased,
            remembered=not deleted,
            erased=erased,
        )


def _outcome(asked: Asked, decided: Sequence[Decision], diff: GalleryDiff, profile_of: Mapping[str, str]) -> Outcome:
    """What the change of a command is recorded with."""
    profiles = {*asked.subjects, *diff.names, *(profile.id for profile in diff.created), *diff.revived}
    profiles |= {id for move in diff.moved for id in (move.old, move.new)}
    profiles |= {id for merge in diff.merged for id in (merge.retired, merge.into)} | {*diff.emptied}
    detail = dict(asked.detail)
    now = {**dict(diff.appeared), **{move.person: move.new for move in diff.moved}}
    for one in decided:
        if one.leaving and one.active:
            there = {now.get(key) or profile_of.get(key) for key in one.leaving} - {None}
            detail["into"] = min((id for id in there if id is not None), default=None)
    return Outcome(tuple(sorted(profiles)), detail, asked.undoes)
