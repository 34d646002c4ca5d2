"""A gallery whose people are put right by hand: commits on servers in memory, and what they come to."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from castlist.contract.box import Box
from castlist.contract.commands import (
    AddPresence,
    Card,
    ChangeCard,
    DeleteGallery,
    DeleteProfile,
    DeleteVideo,
    EnrolledPicture,
    EnrolPerson,
    MergeProfiles,
    RaiseObjection,
    RejectAppearance,
    SplitProfile,
    UndoChange,
    WithdrawObjection,
)
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import (
    BY_HAND,
    appearance_key,
    crop_key,
    is_enrolment,
    picture_key,
    run_key,
    task_id,
    video_of_person,
)
from castlist.contract.topics import PROFILE_EVENTS
from castlist.contract.values import Crop, EncodedFace, FrameSize, Segment, StoredObject
from castlist.contract.vectors import encode_vector
from castlist.ports.errors import AlreadyExistsError
from castlist.store.query import eq, ne
from castlist.store.records.change_history import ChangeRecord, DecisionRecord
from castlist.store.records.pending import PendingVideo
from castlist.store.records.persons import PersonEncoding, PersonRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.tasks import registration
from castlist.tasks.commands import Command
from castlist_identity.decisions.cards import Cards
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.domain import SightedAt, VideoPerson
from castlist_identity.galleries.affected_clusters import renamed
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.matching.auto_distance import auto_distance
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.maintenance import GalleryMaintenance
from profile_aggregator.commits.previews import Previews
from profile_aggregator.commits.stored_decisions import decision_of
from profile_aggregator.deletion.erasures import Erasures
from profile_aggregator.deletion.removals import Removals
from profile_aggregator.imports.imports import Imports
from profile_aggregator.turns import Turns
from profile_aggregator.videos.conversions import gallery_person
from profile_aggregator.videos.found_people import keep_people
from testkit.faults import Faults
from testkit.in_memory import InMemory

G = "g"
ALONE = 1.0
"""So far apart two people are that nobody would take for one; half of it is one person."""


def person(n: int, value: float, place: int, video: str, epoch: int, moments: int = 5) -> VideoPerson:
    """Somebody at `value` on the line along which encodings lie here, at a place of the picture."""
    mean = np.zeros(128, dtype=np.float32)
    mean[0] = value
    box = Box(100 * place, 10, 80, 80)
    places = tuple(SightedAt(0.2 * i, box) for i in range(moments))
    crop = Crop(crop_key(video, epoch, 0, n), 0.0, box, FrameSize(640, 480), 0.9)
    return VideoPerson(n, mean, 0.0, moments, (Segment(0.0, 1.0),), 1.0, 0.0, 1.0, crop, places, (), ((0, n),))


def picture(value: float) -> EnrolledPicture:
    """Somebody's face at `value`, alone in a picture."""
    mean = np.zeros(128, dtype=np.float32)
    mean[0] = value
    face = EncodedFace(0.0, Box(10, 10, 80, 80), 1.0, 0.9, encode_vector(mean))
    return EnrolledPicture(face=face, frame=FrameSize(200, 200))


class CorrectedGallery:
    """The processes, started anew by `start`; what they leave behind lies in `servers`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.servers = InMemory(faults)
        self.start()
        self._orders = 0

    def start(self) -> None:
        """As after a crash: what is not stored is lost."""
        servers = self.servers
        galleries = GalleryCache(servers.store)
        self._said = GalleryLog(servers.store, servers.publisher, servers.clock)
        self.committer = Committer(
            servers.store, self._said, galleries, servers.clock, 10, lambda gallery: self._importing.ring(gallery)
        )
        self.imports = Imports(servers.store, servers.objects, galleries, self.committer, servers.clock)
        self._importing = Turns(self.imports.take)
        self._maintenance = GalleryMaintenance(servers.store, galleries, self.committer, servers.clock)
        self._removals = Removals(servers.store, servers.objects)
        self._erasures = Erasures(servers.store, servers.objects, servers.eraser, servers.clock)
        self._previews = Previews(servers.store, galleries, servers.clock)

    # --- what happens -------------------------------------------------------------------------------------------------

    async def video(self, id: str, people: Mapping[int, float], epoch: int = 1, *, identified: bool = True) -> None:
        """A run over a video has found somebody at each of these places of its picture."""
        await self.find(id, people, epoch, identified=identified)
        await self.commit()

    async def find(self, id: str, people: Mapping[int, float], epoch: int = 1, *, identified: bool = True) -> None:
        """The same, before it is committed."""
        stored, now = self.servers.stored, self.servers.clock()
        uploaded = VideoUploaded(
            event_id=f"{id}:{epoch}", occurred_at=now, video_id=id, gallery=G, epoch=epoch,
            object=StoredObject("castlist", f"videos/{id}"),
        )  # fmt: skip
        await registration.register(stored, uploaded, now)
        for n in range(len(people)):
            self.servers.bucket.store(crop_key(id, epoch, 0, n, "d1"), b"jpeg", "image/jpeg")
        found = [person(n, value, place, id, epoch) for n, (place, value) in enumerate(sorted(people.items()))]
        await keep_people(stored, found, G, id, epoch, identified=identified)
        with contextlib.suppress(AlreadyExistsError):
            await stored.pending.insert(
                PendingVideo(
                    id=run_key(id, epoch), gallery=G, video_id=id, epoch=epoch, people=len(found), created_at=now
                )
            )

    async def commit(self, gallery: str = G) -> None:
        """All that is pending, by a process that is started anew where it died."""

        async def step() -> None:
            while await self.committer.commit(gallery) or await self._importing.round():
                pass

        await self.repeat(step)

    async def settle(self) -> None:
        """What is done between commits."""

        async def step() -> None:
            while await self._maintenance.round():
                pass
            await self._removals.round()
            await self._said.round()
            await self._erasures.round()
            for id in await self.servers.store.previews.ids():
                self._previews.turns.ring(id)
            await self._previews.turns.round()

        await self.repeat(step)

    async def repeat(self, step: Any) -> None:
        async def started() -> None:
            try:
                await step()
            except BaseException:
                self.start()
                raise

        await self.servers.repeat(started)

    def count_orders_from(self, number: int) -> None:
        """So that two galleries get the same orders."""
        self._orders = number

    async def order(self, kind: type[Command], **said: Any) -> ChangeRecord:
        """A command, and what became of it."""
        self._orders += 1
        id = f"change-{self._orders}"
        command = kind(event_id=id, occurred_at=self.servers.now, gallery=G, **said)
        await self.repeat(lambda: self.committer.stage(command))
        await self.commit()
        change = await self.servers.stored.changes.get(id)
        assert change is not None
        return change

    async def card(self, profile: str, **fields: Any) -> ChangeRecord:
        """Write on a profile's card."""
        return await self.order(ChangeCard, profile_id=profile, card=Card(**fields), changed=tuple(fields))

    async def merge(self, into: str, *others: str) -> ChangeRecord:
        return await self.order(MergeProfiles, profile_id=into, profiles=others)

    async def split(self, profile: str, *videos: str, into: str | None = None) -> ChangeRecord:
        return await self.order(SplitProfile, profile_id=profile, videos=videos, into=into)

    async def reject(self, profile: str, video: str, reason: str = "not_this_person") -> ChangeRecord:
        return await self.order(RejectAppearance, profile_id=profile, video_id=video, reason=reason)

    async def presence(
        self, profile: str, video: str, start: float | None = None, end: float | None = None
    ) -> ChangeRecord:
        return await self.order(AddPresence, profile_id=profile, video_id=video, start=start, end=end)

    async def enrol(self, name: str, *values: float) -> ChangeRecord:
        """Somebody is known by a picture at each of these values."""
        pictures = []
        for n, value in enumerate(values):
            pictures.append(picture(value))
            self.servers.bucket.store(picture_key(f"change-{self._orders + 1}", n), b"jpeg", "image/jpeg")
        return await self.order(EnrolPerson, name=name, pictures=tuple(pictures), cropped=True)

    async def object(self, who: str | float) -> ChangeRecord:
        """Whom a profile, or a picture at a value, shows objects to being known."""
        if isinstance(who, str):
            return await self.order(RaiseObjection, profile_id=who)
        return await self.order(RaiseObjection, picture=picture(who))

    async def withdraw(self, objection: ChangeRecord) -> ChangeRecord:
        return await self.order(WithdrawObjection, objection_id=objection.id)

    async def delete(self, profile: str, *, erase: bool = False) -> ChangeRecord:
        return await self.order(DeleteProfile, profile_id=profile, erase=erase)

    async def delete_video(self, video: str, *, erase: bool = False) -> ChangeRecord:
        return await self.order(DeleteVideo, video_id=video, erase=erase)

    async def delete_gallery(self) -> ChangeRecord:
        return await self.order(DeleteGallery)

    async def undo(self, change: ChangeRecord | str) -> ChangeRecord:
        id = change if isinstance(change, str) else change.id
        return await self.order(UndoChange, change_id=id)

    # --- what it comes to ---------------------------------------------------------------------------------------------

    async def of(self, video: str, place: int = 0) -> str:
        """The profile of whom the latest run has found at a place of a video."""
        stored = self.servers.stored
        people = await stored.persons.find(eq(PersonRecord.video_id, video))
        latest = max(one.epoch for one in people)
        here = {one.id: one for one in people if one.epoch == latest}
        for id in here:
            places = await stored.places.get(id)
            assert places is not None
            if np.frombuffer(places.places, "<f4")[1] == 100 * place:
                return str(here[id].profile_id)
        raise LookupError(f"nobody at {place} in {video}")

    async def videos_of(self, profile: str) -> list[str]:
        """Where a profile appears."""
        found = await self.servers.stored.appearances.find()
        return sorted(one.video_id for one in found if one.profile_id == profile)

    async def profile(self, id: str) -> ProfileRecord:
        """A profile that is there."""
        found = await self.servers.stored.profiles.get(id)
        assert found is not None
        return found

    async def shown(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """Each profile by its persons: its name and its card."""
        stored = self.servers.stored
        persons: dict[str, list[str]] = {}
        for one in await stored.persons.find(ne(PersonRecord.profile_id, None)):
            persons.setdefault(str(one.profile_id), []).append(one.id)
        profiles = {one.id: one for one in await stored.profiles.find()}
        assert profiles.keys() == persons.keys()
        appearances = {one.id: one for one in await stored.appearances.find()}
        videos = {id: {video_of_person(key) for key in keys} for id, keys in persons.items()}
        shown = {id: {video for video in there if not is_enrolment(video)} for id, there in videos.items()}
        assert appearances.keys() == {appearance_key(id, video) for id, there in shown.items() for video in there}
        for id, profile in profiles.items():
            assert profile.video_count == len(shown[id])
            pictures = [key for key in sorted(persons[id]) if is_enrolment(video_of_person(key))]
            assert [one.person for one in profile.pictures] == pictures
        return {tuple(sorted(persons[id])): _known(one) for id, one in profiles.items()}

    async def at_once(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """The same, of all persons there are and the decisions that hold, without any history."""
        stored = self.servers.stored
        committed = {one.id: one.committed_epoch for one in await stored.videos.find()}
        current = [
            one for one in await stored.persons.find_parts(PersonEncoding)
            if one.epoch in (committed.get(one.video_id), BY_HAND)
        ]  # fmt: skip
        taken = [decision_of(one) for one in await stored.decisions.find(eq(DecisionRecord.gallery, G))]
        everybody = DecisionSet(taken)
        members = {one.id: gallery_person(one) for one in current if everybody.is_matched(one.id)}
        decisions = DecisionSet(taken, members.__contains__)
        (record,) = await stored.galleries.find()
        distance = auto_distance(0) if record.distance is None else record.distance
        gallery = Gallery(distance, stages=record.stages)
        named = tuple(renamed(members[key], decisions.name_of(key)) for key in sorted(members))
        change = GalleryChange(inserted=named, links=decisions.constraints)
        gallery.apply(gallery.propose(change, lambda key: key, 1))
        cards = Cards(decisions, gallery.profile_of.get)
        nothing = {name: field.default for name, field in Card.model_fields.items()}
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for profile, keys in gallery.persons.items():
            names = sorted({name for key in keys if (name := gallery.members[key].name) is not None})
            card = nothing | cards.card(profile) | {"name": names[0] if names else None}
            found[tuple(sorted(keys))] = card | {"tags": tuple(card["tags"])}
        return found

    def events(self) -> list[dict[str, Any]]:
        """What was said of the gallery, in that order, repetitions too."""
        return [json.loads(message.value or b"") for message in self.servers.messages(PROFILE_EVENTS.name)]

    async def task_status(self, video: str, epoch: int) -> str:
        task = await self.servers.stored.tasks.get(task_id(video, epoch))
        assert task is not None
        return task.status


def _known(profile: ProfileRecord) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in Card.model_fields}
