"""What a correction needs to know besides the gallery that is in memory, read from MongoDB."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from castlist.contract.commands import AddPresence, AnswerSuggestion, ProfileCorrection, SplitProfile, UndoChange
from castlist.contract.ids import track_key, video_and_epoch
from castlist.store.packed_tracks import tracks_in
from castlist.store.query import with_ids
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.persons import PersonRecord, PersonRun
from castlist.store.store import Store
from castlist.tasks.commands import DecidingCommand
from profile_aggregator.commits.asked import Asked
from profile_aggregator.commits.gallery_cache import CachedGallery
from profile_aggregator.corrections.corrected_gallery import CorrectedGallery
from profile_aggregator.corrections.corrections import decide
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.corrections.undoing import undo
from profile_aggregator.videos.conversions import gallery_person


class CorrectionReader:
    """Reads, and has it decided."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def asked(self, command: DecidingCommand | UndoChange, cached: CachedGallery) -> Asked:
        """What it asks of the gallery. CommandRefusedError where it cannot be carried out."""
        store = self._store
        corrected = CorrectedGallery(cached.gallery, cached.decisions, cached.version + 1, cached.objections)
        if isinstance(command, UndoChange):
            undone = await store.changes.get(command.change_id)
            first = await self._first(undone)
            returning = await self._returning(cached, first)
            people = {key: gallery_person(person) for key, person in returning.items()}
            found = await asyncio.to_thread(undo, corrected, command, undone, first, people)
            return replace(found, inserted={one.key: returning[one.key] for one in found.change.inserted})
        suggestion, video = None, None
        if isinstance(command, AnswerSuggestion):
            suggestion = await store.suggestions.get(command.suggestion_id)
        if isinstance(command, AddPresence):
            video = await store.videos.get(command.video_id)
        if isinstance(command, ProfileCorrection) and command.if_revision is not None:
            profile = await store.profiles.get(cached.gallery.redirect(command.profile_id) or command.profile_id)
            if profile is not None and profile.revision > command.if_revision:
                raise CommandRefusedError("outdated", f"The profile was changed since, by version {profile.revision}.")
        tracks = await self._tracks(cached, command.track_ids) if isinstance(command, SplitProfile) else {}
        return await asyncio.to_thread(decide, corrected, command, suggestion, video, tracks)

    async def _tracks(self, cached: CachedGallery, asked: Sequence[str]) -> dict[str, frozenset[str]]:
        """Of the persons of the runs that these tracks are of: which tracks each is made of."""
        runs = {track.rsplit(":", 2)[0] for track in asked}
        persons = {key for run in runs for key in cached.gallery.persons_of(video_and_epoch(run)[0])}
        stored = await self._store.persons.find_parts(PersonRun, with_ids(sorted(persons))) if persons else []
        return {
            one.id: frozenset(
                track_key(one.video_id, one.epoch, chunk, track) for chunk, track in tracks_in(one.tracks)
            )
            for one in stored
        }

    async def _first(self, change: ChangeRecord | None) -> str:
        """The change that it all began with: what this one, or what that took back, or what that did."""
        while change is not None and change.undoes is not None:
            change = await self._store.changes.get(change.undoes)
        return "" if change is None else change.id

    async def _returning(self, cached: CachedGallery, change: str) -> dict[str, PersonRecord]:
        """Those persons of the decision that are in no profile."""
        decision = cached.decisions.get(change)
        absent: list[str] = []
        if decision is not None:
            absent = sorted((decision.unmatched | decision.manual) - cached.gallery.members.keys())
        found = await self._store.persons.find(with_ids(absent)) if absent else []
        return {person.id: person for person in found}
