"""A gallery's diff as what to write and what to say. Pure: records in, records and events out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from castlist.contract.commands import Card as CardValues
from castlist.contract.events import (
    AppearanceRemoved,
    Event,
    PersonAppeared,
    PersonMoved,
    PicturesAdded,
    PicturesRemoved,
    ProfileCardChanged,
    ProfileCreated,
    ProfileRemoved,
    ProfileRenamed,
    ProfilesMerged,
    ProfileSplit,
)
from castlist.contract.ids import appearance_key, event_id, is_by_hand, is_enrolment
from castlist.contract.text import folded
from castlist.contract.values import Segment
from castlist.store.appearance_json import appearance_json
from castlist.store.query import Change, set_to
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.persons import PersonPresence, PersonRecord, PlacesRecord
from castlist.store.records.profiles import Picture, ProfileRecord, ProfileTotals, RedirectRecord
from castlist.store.records.videos import VideoMoment
from castlist_identity.decisions.cards import Card
from castlist_identity.decisions.decision_set import NAME
from castlist_identity.galleries.gallery_diff import GalleryDiff
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.videos.appearance import appearance_of
from profile_aggregator.commits.asked import Asked
from profile_aggregator.commits.profile_totals import SeenBefore
from profile_aggregator.videos.conversions import presence_of

Present = PersonRecord | PersonPresence
PERSONS_OF_A_PART = 1_000
SEGMENTS_OF_A_PART = 5_000
"""How much of an appearance one event says: some 600 kB at most."""


@dataclass(frozen=True)
class CommitDocuments:
    """Everything one commit writes besides its ledger, tasks and the gallery's version."""

    new_persons: Sequence[PersonRecord]
    new_places: Sequence[PlacesRecord]
    placed_persons: Mapping[str, Change]
    roles: Mapping[str, Change]
    removed_persons: Sequence[str]
    forgotten_places: Sequence[str]
    unmatched_persons: Sequence[str]
    moved_persons: Mapping[str, str]
    named_persons: Mapping[str, str | None]
    created_profiles: Sequence[ProfileRecord]
    changed_profiles: Mapping[str, Change]
    removed_profiles: Sequence[str]
    redirects: Sequence[RedirectRecord]
    revived_profiles: Sequence[str]
    founders: Mapping[str, str | None]
    appearances: Sequence[AppearanceRecord]
    removed_appearances: Sequence[str]
    events: Sequence[Event]


def needed_persons(diff: GalleryDiff) -> frozenset[str]:
    """The stored persons that `documents_of` needs: those in a changed appearance."""
    inserted = {member.key for member in diff.change.inserted}
    return frozenset(key for keys in diff.appearances.values() for key in keys if key not in inserted)


def documents_of(
    diff: GalleryDiff,
    gallery: str,
    version: int,
    told: int | None,
    now: datetime,
    asked: Asked,
    new_cards: Mapping[str, Card],
    stored: Mapping[str, PersonPresence],
    profiles: Mapping[str, Profile],
    made_at: Mapping[str, datetime],
    before: SeenBefore,
) -> CommitDocuments:
    """What the commit that makes `version` of the gallery writes.

    `told` is the last version before it that has events. `asked` is what it does, `new_cards` are those of profiles
    that change. `stored` are the `needed_persons`, `profiles` and `before` what was there before, `made_at` when those
    were made that retire or come back.
    """
    profile_of = dict(diff.appeared)
    created = {profile.id: profile for profile in (*diff.created, *(profiles[id] for id in diff.revived))}
    retired = {merge.retired: merge.into for merge in diff.merged}
    gone = [profile for profile, count in diff.videos.items() if not count]
    present: dict[str, Present] = {**stored, **asked.inserted}
    appearances = [
        _appearance(gallery, profile, before.videos[video], [present[key] for key in keys], now)
        for (profile, video), keys in diff.appearances.items()
        if keys and not is_enrolment(video)
    ]
    pictures = {
        pair: [Picture(key, present[key].crop) for key in keys]
        for pair, keys in diff.appearances.items()
        if is_enrolment(pair[1])
    }
    totals = before.totals(appearances, pictures)
    changed = {
        profile: _totals(totals[profile], count)
        for profile, count in diff.videos.items()
        if count and profile not in created
    }
    made_or_gone = created.keys() | set(gone)

    def also(profile: str, change: Change) -> None:
        """A further change of a profile that was there before, and stays."""
        if profile not in made_or_gone:
            changed[profile] = changed[profile] & change if profile in changed else change

    for profile, name in diff.names.items():
        also(profile, set_to(ProfileRecord.name, name) & set_to(ProfileRecord.folded_name, name and folded(name)))
    cards = {profile: card_fields(card) for profile, card in new_cards.items()}
    for profile, card in cards.items():
        for name, value in card.items():
            also(profile, set_to(getattr(ProfileRecord, name), value))
    for profile in asked.subjects:
        also(profile, set_to(ProfileRecord.revision, version))
    roles = {
        key: set_to(PersonRecord.round, role.round) & set_to(PersonRecord.follows, role.follows)
        for key, role in diff.roles.items()
    }
    placed: dict[str, Change] = {}
    for member in diff.change.inserted:
        place = set_to(PersonRecord.profile_id, profile_of[member.key]) & set_to(PersonRecord.name, member.name)
        if member.key in asked.returning:
            place &= set_to(PersonRecord.unmatched, False)
        placed[member.key] = place & roles.pop(member.key) if member.key in roles else place
    removed = (diff.change.removed - asked.unmatched) | asked.replaced
    return CommitDocuments(
        new_persons=asked.new_persons,
        new_places=asked.new_places,
        placed_persons=placed,
        roles=roles,
        removed_persons=sorted(removed),
        forgotten_places=sorted(key for key in removed if not asked.remembers(key)),
        unmatched_persons=sorted(asked.unmatched),
        moved_persons={move.person: move.new for move in diff.moved},
        named_persons=dict(diff.change.named),
        created_profiles=[
            ProfileRecord(
                id=profile.id,
                gallery=gallery,
                name=(name := diff.names.get(profile.id)),
                folded_name=name and folded(name),
                created_at=made_at.get(profile.id, now),
                updated_at=now,
                founder=diff.founders.get(profile.id, profile.founder),
                version=profile.created,
                revision=version if profile.id in asked.subjects else 0,
                video_count=diff.videos[profile.id] - totals[profile.id].enrolments,
                first_seen=totals[profile.id].first_seen,
                last_seen=totals[profile.id].last_seen,
                milliseconds=totals[profile.id].milliseconds,
                pictures=totals[profile.id].pictures,
                **cards.get(profile.id, {}),
            )
            for profile in created.values()
        ],
        changed_profiles={
            profile: change & set_to(ProfileRecord.updated_at, now) for profile, change in changed.items()
        },
        removed_profiles=gone,
        redirects=[
            RedirectRecord(
                id=profile,
                gallery=gallery,
                into=retired.get(profile),
                founder=diff.founders.get(profile, profiles[profile].founder),
                version=profiles[profile].created,
                at=now,
                made_at=made_at.get(profile),
            )
            for profile in gone
        ],
        revived_profiles=list(diff.revived),
        founders=dict(diff.founders),
        appearances=appearances,
        removed_appearances=[
            appearance_key(*pair) for pair, keys in diff.appearances.items() if not keys and pair not in pictures
        ],
        events=_events(diff, gallery, version, told, now, appearances, pictures, cards),
    )


def card_fields(card: Card) -> dict[str, Any]:
    """All fields of a profile's record that a card has, those of which nothing is known too."""
    nothing = {name: field.default for name, field in CardValues.model_fields.items() if name != NAME}
    return nothing | {name: tuple(value) if isinstance(value, list) else value for name, value in card.items()}


def _totals(after: ProfileTotals, videos: int) -> Change:
    """What a profile comes to; `videos` counts its enrolments, too."""
    return (
        set_to(ProfileRecord.video_count, videos - after.enrolments)
        & set_to(ProfileRecord.pictures, after.pictures)
        & set_to(ProfileRecord.first_seen, after.first_seen)
        & set_to(ProfileRecord.last_seen, after.last_seen)
        & set_to(ProfileRecord.milliseconds, after.milliseconds)
    )


def _appearance(
    gallery: str, profile: str, video: VideoMoment, persons: Sequence[Present], now: datetime
) -> AppearanceRecord:
    joined = appearance_of(map(presence_of, persons))
    record = AppearanceRecord(
        id=appearance_key(profile, video.id),
        gallery=gallery,
        profile_id=profile,
        video_id=video.id,
        epoch=max(person.epoch for person in persons),
        created_at=now,
        video_at=video.at,
        persons=tuple(person.id for person in persons),
        segments=joined.segments,
        seconds=joined.seconds,
        faces=joined.faces,
        first_seen=joined.first_seen,
        last_seen=joined.last_seen,
        crop=joined.crop,
        manual=all(map(is_by_hand, (person.id for person in persons))),
    )
    return replace(record, shown=appearance_json(record, video.name))


def _events(
    diff: GalleryDiff,
    gallery: str,
    version: int,
    told: int | None,
    now: datetime,
    appearances: Sequence[AppearanceRecord],
    pictures: Mapping[tuple[str, str], Sequence[Picture]],
    cards: Mapping[str, Mapping[str, Any]],
) -> list[Event]:
    said: list[tuple[Callable[..., Event], dict[str, Any]]] = []

    def add(kind: Callable[..., Event], **fields: Any) -> None:
        said.append((kind, fields))

    video_of = {key: video for (_, video), keys in diff.appearances.items() for key in keys}
    for id in sorted([*(profile.id for profile in diff.created), *diff.revived]):
        add(ProfileCreated, profile_id=id)
    for move in diff.moved:
        video = video_of[move.person]
        add(PersonMoved, person=move.person, video_id=video, from_profile=move.old, to_profile=move.new)
    for one in appearances:
        for part, persons, segments in (parts := _in_parts(one.persons, one.segments)):
            add(
                PersonAppeared,
                profile_id=one.profile_id,
                video_id=one.video_id,
                epoch=one.epoch,
                persons=persons,
                segments=segments,
                seconds=one.seconds,
                faces=one.faces,
                crop=one.crop,
                manual=one.manual,
                part=part,
                parts=len(parts),
            )
    for (profile_id, enrolment), shown in pictures.items():
        persons, crops = tuple(one.person for one in shown), tuple(one.crop for one in shown)
        if shown:
            add(PicturesAdded, profile_id=profile_id, enrolment_id=enrolment, persons=persons, crops=crops)
        else:
            add(PicturesRemoved, profile_id=profile_id, enrolment_id=enrolment)
    for (profile_id, video), keys in diff.appearances.items():
        if not keys and (profile_id, video) not in pictures:
            add(AppearanceRemoved, profile_id=profile_id, video_id=video)
    for split in diff.split:
        for into in split.created:
            add(ProfileSplit, profile_id=split.profile, into=into)
    for merge in diff.merged:
        add(ProfilesMerged, retired=merge.retired, into=merge.into)
    for profile_id in diff.emptied:
        add(ProfileRemoved, profile_id=profile_id)
    for profile_id, name in diff.names.items():
        add(ProfileRenamed, profile_id=profile_id, name=name)
    ended = {*diff.emptied, *(merge.retired for merge in diff.merged)}
    for profile_id, card in cards.items():
        if profile_id not in ended:
            add(ProfileCardChanged, profile_id=profile_id, **card)
    return [
        kind(
            event_id=event_id("gallery", gallery, version, index),
            occurred_at=now,
            gallery=gallery,
            gallery_version=version,
            index=index,
            count=len(said),
            previous_version=told,
            **fields,
        )
        for index, (kind, fields) in enumerate(said)
    ]


def _in_parts(
    persons: Sequence[str], segments: Sequence[Segment]
) -> list[tuple[int, Sequence[str], Sequence[Segment]]]:
    """Both lists, cut so that an event with a part of each is well below what Kafka takes."""
    parts = max(1, -(-len(persons) // PERSONS_OF_A_PART), -(-len(segments) // SEGMENTS_OF_A_PART))
    return [
        (
            part,
            persons[part * PERSONS_OF_A_PART : (part + 1) * PERSONS_OF_A_PART],
            segments[part * SEGMENTS_OF_A_PART : (part + 1) * SEGMENTS_OF_A_PART],
        )
        for part in range(parts)
    ]
