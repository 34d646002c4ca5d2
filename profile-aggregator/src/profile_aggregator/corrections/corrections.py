"""What a correction asks of a gallery: a decision about its persons, and the change that follows. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from castlist.contract.commands import (
    AddPresence,
    AnswerSuggestion,
    ChangeCard,
    DeleteProfile,
    EnrolPerson,
    MergeProfiles,
    RaiseObjection,
    RejectAppearance,
    RenameProfile,
    SplitProfile,
    UndoChange,
)
from castlist.contract.ids import BY_HAND, presence_key
from castlist.contract.vectors import Vector, VectorFace
from castlist.store.records.change_history import ChangeRecord, ObjectionRecord
from castlist.store.records.galleries import SuggestionRecord
from castlist.store.records.persons import PersonRecord
from castlist.store.records.videos import VideoRecord
from castlist.tasks.commands import DecidingCommand
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.decisions.decision import Decision, Keys
from castlist_identity.decisions.decision_set import NAME, DecisionSet
from castlist_identity.domain import GalleryPerson, SightedAt
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.matching.crowd_sample import rank
from castlist_identity.matching.objections import objecting
from profile_aggregator.commits.asked import Asked
from profile_aggregator.videos.conversions import enrolled_persons, gallery_person, places_record

WHOLE_GROUP = 500
"""Persons of a profile up to which a decision about it names each; of more it names as many, of each cluster one at
least. Whom a decision names is in the sample, so this is what a commit may have to cluster."""
CORE = 64
"""Persons that stand for a profile where others are not to come to it."""


class CommandRefusedError(Exception):
    """The command cannot be carried out, now or later. `code` is one of `castlist.tasks.commands.ERROR_STATUS`,
    `changes` are those in its way."""

    def __init__(self, code: str, message: str, changes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.code, self.changes = code, tuple(changes)


class Corrections:
    """What each correction means for a gallery as it is. `version` is the one that the commit makes."""

    def __init__(
        self, gallery: Gallery, decisions: DecisionSet, version: int, objections: Mapping[str, Vector] | None = None
    ) -> None:
        self._gallery, self._decisions, self._version = gallery, decisions, version
        self._objections = objections or {}

    # --- a decision ---------------------------------------------------------------------------------------------------

    def decide(
        self,
        command: DecidingCommand,
        suggestion: SuggestionRecord | None = None,
        video: VideoRecord | None = None,
        tracks: Mapping[str, Keys] | None = None,
    ) -> Asked:
        """What the command decides. CommandRefusedError where it is about nobody, or contradicts another decision."""
        match command:
            case ChangeCard():
                profile = self._profile(command.profile_id)
                card = command.card.model_dump(mode="json", include=set[str](command.changed))
                return self._taken(self._card(command.event_id, profile, card), {"card": card})
            case RenameProfile():
                profile = self._profile(command.profile_id)
                return self._taken(self._card(command.event_id, profile, {NAME: command.name}), {})
            case MergeProfiles():
                return self._merge(command.event_id, command.profile_id, command.profiles)
            case SplitProfile():
                profile = self._profile(command.profile_id)
                leaving = self._in_videos(profile, command.videos)
                if command.track_ids:
                    leaving = self._made_of(profile, frozenset(command.track_ids), tracks or {})
                if not leaving:
                    raise CommandRefusedError("invalid", "It names nothing to split off.")
                return self._split(command.event_id, profile, leaving, command.into)
            case RejectAppearance():
                return self._reject(command)
            case AddPresence():
                return self._presence(command, video)
            case EnrolPerson():
                return self._enrolled(command)
            case DeleteProfile():
                profile = self._profile(command.profile_id)
                if command.erase:
                    return self._erased(command.event_id, [profile])
                return self._unmatched(command.event_id, profile, self._persons(profile))
            case RaiseObjection():
                return self._objection(command)
            case AnswerSuggestion():
                if suggestion is None or suggestion.gallery != command.gallery:
                    raise CommandRefusedError("not_found", "There is no such suggestion any more.")
                return self._answer(command, suggestion)

    def _card(self, id: str, profile: str, card: dict[str, Any]) -> Decision:
        """A name is said of all whom the profile has; of the rest some stand for it."""
        if (cover := card.get("cover")) is not None:
            self._in_videos(profile, [cover])
        about = self._persons(profile) if NAME in card else self._some(profile, WHOLE_GROUP)
        return Decision(id, self._version, (profile,), about=about, card=card)

    def _merge(self, id: str, into: str, others: Iterable[str]) -> Asked:
        profiles = [self._profile(into)]
        for other in others:
            if (known := self._profile(other)) not in profiles:
                profiles.append(known)
        if len(profiles) == 1:
            raise CommandRefusedError("invalid", "A profile cannot be merged into itself.")
        names = {profile: self._name(profile) for profile in profiles}
        name = next((names[profile] for profile in profiles if names[profile] is not None), None)
        origins = {profile: self._persons(profile) for profile in profiles}
        groups = tuple(self._some(profile, WHOLE_GROUP) for profile in profiles)
        decision = Decision(id, self._version, tuple(profiles), groups=groups, origins=origins, into=profiles[0])
        if name is not None:
            decision = replace(decision, about=frozenset().union(*origins.values()), card={NAME: name})
        claims = {key: profiles[0] for profile in profiles[1:] for key in origins[profile]}
        return self._taken(decision, {"into": profiles[0], "names": names}, claims)

    def _split(self, id: str, profile: str, leaving: Keys, into: str | None) -> Asked:
        rest = self._persons(profile) - leaving
        if not rest:
            raise CommandRefusedError("invalid", "That is everything the profile has: nothing of it would be left.")
        target = None if into is None else self._profile(into)
        if target == profile:
            raise CommandRefusedError("invalid", "A profile cannot be split into itself.")
        decision = Decision(
            id,
            self._version,
            (profile,) if target is None else (profile, target),
            groups=(leaving,) if target is None else (leaving, self._some(target, WHOLE_GROUP)),
            leaving=leaving,
            rest=self._some(profile, CORE, leaving),
            about=leaving,
            card={NAME: None if target is None else self._name(target)},
            origins={profile: leaving} | ({} if target is None else {target: self._persons(target)}),
            into=target,
        )
        return self._taken(decision, {}, dict.fromkeys(leaving, target))

    def _reject(self, command: RejectAppearance) -> Asked:
        profile = self._profile(command.profile_id)
        leaving = self._in_videos(profile, [command.video_id])
        if command.reason == "not_a_face":
            return self._unmatched(command.event_id, profile, leaving)
        rest = self._some(profile, CORE, leaving)
        if not rest:
            raise CommandRefusedError("invalid", "That is everything the profile has: delete it, or say not_a_face.")
        decision = Decision(
            command.event_id,
            self._version,
            (profile,),
            leaving=leaving,
            rest=rest,
            about=leaving,
            card={NAME: None},
            origins={profile: leaving},
        )
        return self._taken(decision, {"video_id": command.video_id}, dict.fromkeys(leaving))

    def _presence(self, command: AddPresence, video: VideoRecord | None) -> Asked:
        """Somebody whom no run has found, who is one with the profile and near to nobody."""
        profile = self._profile(command.profile_id)
        if video is None or video.gallery != command.gallery:
            raise CommandRefusedError("not_found", f"There is no video {command.video_id}.")
        start = command.start or 0.0
        end = command.end if command.end is not None else max(start, video.duration or 0.0)
        if end < start:
            raise CommandRefusedError("invalid", "It ends before it begins.")
        key, name = presence_key(video.id, command.event_id), self._name(profile)
        person = PersonRecord(
            id=key,
            gallery=command.gallery,
            video_id=video.id,
            epoch=BY_HAND,
            n=int(key.rpartition(":")[2]),
            mean=b"",
            variance=0.0,
            faces=0,
            segments=((start, end),),
            seconds=end - start,
            first_seen=start,
            last_seen=end,
            crop=None,
            apart=(),
            name=name,
        )
        here = frozenset([key])
        decision = Decision(
            command.event_id,
            self._version,
            (profile,),
            groups=(here, self._some(profile, WHOLE_GROUP)),
            manual=here,
            about=here if name is not None else frozenset(),
            card={} if name is None else {NAME: name},
        )
        detail = {"video_id": video.id, "start": start, "end": end}
        seen = (SightedAt(start, command.box),) if command.box is not None else ()
        made = self._change(decision, claims={}, detail=detail, returning={key: gallery_person(person)})
        places = places_record(seen, key)
        return replace(made, inserted={key: person}, new_persons=(person,), new_places=(places,))

    def _enrolled(self, command: EnrolPerson) -> Asked:
        """Somebody for each picture, who are all one: a mean over faces that are years apart would be near to none."""
        persons = {one.id: one for one in enrolled_persons(command)}
        if not persons:
            raise CommandRefusedError("invalid", "It shows no picture of the person.")
        coming = {key: gallery_person(one) for key, one in persons.items()}
        if against := objecting(coming.values(), self._objections, self._gallery.distance):
            raise CommandRefusedError("conflict", "The person objects to being known.", sorted(set(against.values())))
        keys = frozenset(persons)
        decision = Decision(
            command.event_id,
            self._version,
            (),
            groups=tuple(frozenset([key]) for key in sorted(keys)),
            manual=keys,
            about=keys,
            card={NAME: command.name},
        )
        detail = {"name": command.name, "pictures": len(persons)}
        made = self._change(decision, claims={}, detail=detail, returning=coming)
        return replace(made, inserted=persons, new_persons=tuple(persons.values()))

    def _unmatched(self, id: str, profile: str, persons: Keys) -> Asked:
        return self._taken(Decision(id, self._version, (profile,), unmatched=persons, origins={profile: persons}), {})

    def _objection(self, command: RaiseObjection) -> Asked:
        """Whom a profile holds is known by the mean of those who have a face; whom a picture shows is in the profiles
        that would take it for one of theirs."""
        gallery, id = self._gallery, command.event_id
        if (command.profile_id is None) == (command.picture is None):
            raise CommandRefusedError("invalid", "Either a profile or a picture says who objects.")
        if command.profile_id is not None:
            profiles = [self._profile(command.profile_id)]
            persons = (gallery.members[key] for key in sorted(self._persons(profiles[0])))
            known = [one.mean for one in persons if not one.faceless]
            if not known:
                raise CommandRefusedError("invalid", "No face of this profile is known: nothing could find the person.")
            mean = np.mean(known, axis=0, dtype=np.float64).astype(np.float32)
        elif command.picture is not None:
            mean = VectorFace.decoded(command.picture.face).encoding
            clusters = (summary(key, [gallery.members[one] for one in keys]) for key, keys in gallery.clusters.items())
            here = objecting(clusters, {id: mean}, gallery.distance)
            profiles = sorted({gallery.profile_of[key] for key in here})
        made = self._erased(id, profiles) if profiles else Asked(GalleryChange(), self._decisions)
        stored = np.asarray(mean, "<f4").tobytes()
        objection = ObjectionRecord(id=id, gallery=command.gallery, mean=stored, at=command.occurred_at, by=command.by)
        return replace(made, objection=objection)

    def _erased(self, id: str, profiles: Sequence[str]) -> Asked:
        """Nothing is kept of these but where they were."""
        origins = {profile: self._persons(profile) for profile in profiles}
        persons = frozenset().union(*origins.values())
        decision = Decision(id, self._version, tuple(profiles), unmatched=persons, origins=origins, erased=True)
        made = self._taken(decision, {})
        spoke = self._decisions.of(persons)
        silent = [self._silent(one, persons) for one in spoke]
        known = made.decisions.replaced(silent, (), lambda key: key in self._gallery.members and key not in persons)
        return replace(
            made,
            change=replace(made.change, links=known.constraints),
            decisions=known,
            changed=(*made.changed, *silent),
            unmatched=frozenset(),
            erased=persons,
            silenced=tuple(one.id for one in spoke),
        )

    def _silent(self, one: Decision, persons: Keys) -> Decision:
        """The decision with nothing known of these; and of nobody, where nobody else goes by what it says."""
        left, members = one.without(persons), self._gallery.members
        known_by_it = any(members[key].name == left.card.get(NAME) for key in left.about if key in members)
        return left if known_by_it else left.without(left.about)

    def _answer(self, command: AnswerSuggestion, suggestion: SuggestionRecord) -> Asked:
        profiles = [self._profile(profile) for profile in suggestion.profiles]
        id, same = command.event_id, command.answer == "same"
        if suggestion.kind == "two":
            if not same:
                return self._split(id, profiles[0], self._in_videos(profiles[0], suggestion.videos), None)
            groups = tuple(frozenset([key]) for key in sorted(self._some(profiles[0], WHOLE_GROUP)))
            return self._taken(Decision(id, self._version, (profiles[0],), groups=groups), {})
        if same:
            one, other = sorted(profiles, key=self._prominence)
            return self._merge(id, one, [other])
        one, other = profiles
        if one == other:
            raise CommandRefusedError("not_found", "The two are one profile by now.")
        decision = Decision(
            id, self._version, (one, other), leaving=self._some(one, CORE), rest=self._some(other, CORE)
        )
        return self._taken(decision, {})

    def _prominence(self, profile: str) -> tuple[object, ...]:
        """Which of two keeps its id: the named, the larger, the older one."""
        gallery = self._gallery
        return (
            self._name(profile) is None, -gallery.videos.get(profile, 0), gallery.profiles[profile].created, profile
        )  # fmt: skip

    def _taken(
        self, decision: Decision, detail: Mapping[str, Any], claims: Mapping[str, str | None] | None = None
    ) -> Asked:
        if against := self._decisions.contradicted(decision):
            named = ", ".join(one.id for one in against)
            raise CommandRefusedError(
                "conflict",
                f"It contradicts what was decided before: take back {named}.",
                [one.id for one in against],
            )
        return self._change(decision, detail=detail, claims=claims or {})

    # --- and taking one back ------------------------------------------------------------------------------------------

    def undo(
        self, command: UndoChange, undone: ChangeRecord | None, first: str, returning: Mapping[str, GalleryPerson]
    ) -> Asked:
        """Take a change back, or take back that it was taken back.

        `first` is the change that it all began with, `returning` are persons that are in no profile by it.
        CommandRefusedError where there is nothing to take back, or another decision is in the way.
        """
        if undone is None or undone.gallery != command.gallery:
            raise CommandRefusedError("not_found", "There is no such change.")
        if undone.undone_by is not None:
            raise CommandRefusedError("conflict", "It was taken back already.", [undone.undone_by])
        decision = self._decisions.get(first)
        if undone.status != "applied" or decision is None or decision.erased:
            raise CommandRefusedError(
                "conflict", f"A change of kind {undone.kind} that is {undone.status} cannot be taken back."
            )
        if decision.active:
            if later := self._decisions.resting_on(decision):
                raise CommandRefusedError(
                    "conflict", f"Change {later[-1].id} rests on it: take that back first.", [one.id for one in later]
                )
            taken, claims = replace(decision, undone=self._version), self._back(decision)
        else:
            taken, claims = replace(decision, undone=None), self._again(decision)
            if against := self._decisions.contradicted(taken):
                raise CommandRefusedError(
                    "conflict", f"Change {against[-1].id} stands in the way.", [one.id for one in against]
                )
        return self._change(taken, claims=claims, returning=returning, undoes=undone.id)

    def _back(self, decision: Decision) -> dict[str, str | None]:
        """Which ids its persons stand for again."""
        gallery, claims = self._gallery, dict[str, str | None]()
        there = None if decision.into is None else self._target(decision.into)
        for profile, keys in decision.origins.items():
            if profile == decision.into:
                continue
            target = self._target(profile)
            for key in keys:
                # Who has gone elsewhere since, by another decision, is no part of this one any more.
                if there is None or gallery.profile_of.get(key) == there:
                    claims[key] = profile if target == there else target
        return claims

    def _again(self, decision: Decision) -> dict[str, str | None]:
        """Which ids its persons come to once more."""
        if decision.into is not None:
            return dict.fromkeys(decision.brought, self._target(decision.into))
        made = next(iter(decision.created), None)
        claims: dict[str, str | None] = dict.fromkeys(decision.leaving, made)
        if made is not None:
            claims |= dict.fromkeys(decision.manual, made)
        return claims

    # --- what both have in common -------------------------------------------------------------------------------------

    def _change(
        self,
        decision: Decision,
        *,
        claims: Mapping[str, str | None],
        detail: Mapping[str, Any] | None = None,
        returning: Mapping[str, GalleryPerson] | None = None,
        undoes: str | None = None,
    ) -> Asked:
        gallery, before = self._gallery, self._decisions
        keys = decision.keys
        out = decision.unmatched if decision.active else decision.manual
        leaving = frozenset(key for key in out if key in gallery.members)
        coming = returning or {}

        def present(key: str) -> bool:
            return key in coming or (key in gallery.members and key not in leaving)

        after = before.replaced([decision], (*leaving, *coming), present)
        coming = {key: one for key, one in coming.items() if after.is_matched(key)}
        here = [key for key in keys if key in gallery.members and key not in leaving]
        names = {key: after.name_of(key) for key in here}
        return Asked(
            GalleryChange(
                removed=leaving,
                inserted=tuple(replace(coming[key], name=after.name_of(key)) for key in sorted(coming)),
                named={key: name for key, name in names.items() if name != gallery.members[key].name},
                links=None if after.constraints == gallery.links else after.constraints,
                claims={key: claim for key, claim in claims.items() if present(key)},
            ),
            after,
            (decision,),
            decision.subjects,
            unmatched=leaving,
            detail=detail or {},
            undoes=undoes,
        )

    def _profile(self, id: str) -> str:
        """The profile that answers for this id now."""
        gallery = self._gallery
        profile = gallery.redirect(id) if id in gallery.profiles else None
        if profile is None or not gallery.persons.get(profile):
            raise CommandRefusedError("not_found", f"There is no profile {id}.")
        return profile

    def _target(self, id: str) -> str:
        return self._gallery.redirect(id) or id

    def _persons(self, profile: str) -> Keys:
        return frozenset(self._gallery.persons[profile])

    def _name(self, profile: str) -> str | None:
        names = (self._gallery.members[key].name for key in sorted(self._gallery.persons[profile]))
        return next((name for name in names if name is not None), None)

    def _in_videos(self, profile: str, videos: Collection[str]) -> Keys:
        """The profile's persons in these videos; refused where it is not in one of them."""
        found: set[str] = set()
        for video in videos:
            here = self._gallery.persons_of(video) & self._gallery.persons[profile]
            if not here:
                raise CommandRefusedError("not_found", f"The profile does not appear in video {video}.")
            found |= here
        return frozenset(found)

    def _made_of(self, profile: str, asked: Keys, tracks: Mapping[str, Keys]) -> Keys:
        """The profile's persons that these tracks are; `tracks` says which each of them is made of."""
        own = self._persons(profile)
        found = frozenset(key for key, there in tracks.items() if key in own and there & asked)
        named = frozenset[str]().union(*(tracks[key] for key in found))
        if unknown := sorted(asked - named):
            raise CommandRefusedError("not_found", f"The profile has no track {unknown[0]}.")
        if rest := sorted(named - asked):
            raise CommandRefusedError(
                "invalid", f"One person was found in {len(named)} tracks together; {rest[0]} is one of them."
            )
        return found

    def _some(self, profile: str, most: int, without: Keys = frozenset()) -> Keys:
        """So many of a profile's persons, by their ranks, and one of each of its clusters at least."""
        persons = self._persons(profile) - without
        if len(persons) <= most:
            return persons
        clusters: dict[str, str] = {}
        ranked = sorted(persons, key=lambda key: (rank(key), key))
        for key in ranked:
            if (cluster := self._gallery.cluster_of.get(key)) is not None:
                clusters.setdefault(cluster, key)
        return frozenset([*clusters.values(), *ranked[:most]])
