"""A difference as what to write and what to say. Pure: documents in, documents and events out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from castlist.contract import events
from castlist.contract.ids import appearance_key, event_id
from castlist.ports.documents import Document
from castlist_identity.appearance import appearance_of
from castlist_identity.gallery_diff import Difference
from castlist_identity.profile_ids import Profile
from profile_aggregator.videos.person_records import crop_event, person_of


@dataclass(frozen=True)
class Writes:
    """Everything one commit writes besides its ledger, tasks and the gallery's version."""

    inserted_persons: Sequence[Document]
    removed_persons: Sequence[str]
    moved_persons: Mapping[str, str]
    named_persons: Mapping[str, str | None]
    created_profiles: Sequence[Document]
    changed_profiles: Mapping[str, Document]
    removed_profiles: Sequence[str]
    redirects: Sequence[Document]
    refounded: Mapping[str, str | None]
    appearances: Sequence[Document]
    removed_appearances: Sequence[str]
    events: Sequence[events.Event]


def needed_persons(made: Difference) -> frozenset[str]:
    """The stored persons whose documents `writes` needs: everybody in a changed appearance."""
    inserted = {member.key for member in made.change.inserted}
    return frozenset(key for keys in made.appearances.values() for key in keys if key not in inserted)


def writes(
    made: Difference,
    gallery: str,
    version: int,
    now: datetime,
    persons: Mapping[str, Document],
    profiles: Mapping[str, Profile],
    videos_of: Callable[[Iterable[str]], int],
) -> Writes:
    """What the commit that makes `version` of the gallery writes.

    `persons` holds the documents of the inserted and of `needed_persons`, `profiles` those that were there before;
    `videos_of` counts the videos of persons.
    """
    profile_of = dict(made.appeared)
    created = {profile.id: profile for profile in made.created}
    retired = {merge.retired: merge.into for merge in made.merged}
    gone = [profile for profile, keys in made.profiles.items() if not keys]
    changed: dict[str, Document] = {}
    for profile, keys in made.profiles.items():
        if keys and profile not in created:
            changed[profile] = {"video_count": videos_of(keys), "updated_at": now}
    for profile, name in made.names.items():
        if profile not in created and profile not in gone:
            changed.setdefault(profile, {"updated_at": now})["name"] = name
    appearances = [
        _appearance(gallery, profile, video, [persons[key] for key in keys], now)
        for (profile, video), keys in made.appearances.items()
        if keys
    ]
    return Writes(
        inserted_persons=[
            {**persons[member.key], "profile_id": profile_of[member.key], "name": member.name}
            for member in made.change.inserted
        ],
        removed_persons=sorted(made.change.removed),
        moved_persons={move.person: move.new for move in made.moved},
        named_persons=dict(made.change.named),
        created_profiles=[
            {
                "_id": profile.id,
                "gallery": gallery,
                "name": made.names.get(profile.id),
                "created_at": now,
                "updated_at": now,
                "founder": profile.founder,
                "version": profile.created,
                "video_count": videos_of(made.profiles[profile.id]),
            }
            for profile in made.created
        ],
        changed_profiles=changed,
        removed_profiles=gone,
        redirects=[
            {
                "_id": profile,
                "gallery": gallery,
                "into": retired.get(profile),
                "founder": made.founders.get(profile, profiles[profile].founder),
                "version": profiles[profile].created,
                "at": now,
            }
            for profile in gone
        ],
        refounded=dict(made.founders),
        appearances=appearances,
        removed_appearances=[appearance_key(*pair) for pair, keys in made.appearances.items() if not keys],
        events=_events(made, gallery, version, now, appearances),
    )


def _appearance(gallery: str, profile: str, video: str, persons: Sequence[Document], now: datetime) -> Document:
    joined = appearance_of(map(person_of, persons))
    return {
        "_id": appearance_key(profile, video),
        "gallery": gallery,
        "profile_id": profile,
        "video_id": video,
        "epoch": max(person["epoch"] for person in persons),
        "created_at": now,
        "persons": [person["_id"] for person in persons],
        "segments": [{"start": segment.start, "end": segment.end} for segment in joined.segments],
        "seconds": joined.seconds,
        "faces": joined.faces,
        "first_seen": joined.first_seen,
        "last_seen": joined.last_seen,
        "crop": None if joined.crop is None else crop_event(joined.crop).model_dump(),
    }


def _events(
    made: Difference, gallery: str, version: int, now: datetime, appearances: Sequence[Document]
) -> list[events.Event]:
    said: list[events.Event] = []

    def say(kind: Callable[..., events.Event], **fields: Any) -> None:
        index = len(said)
        said.append(
            kind(
                event_id=event_id("gallery", gallery, version, index),
                occurred_at=now,
                gallery=gallery,
                gallery_version=version,
                index=index,
                **fields,
            )
        )

    video_of = {key: video for (_, video), keys in made.appearances.items() for key in keys}
    for profile in made.created:
        say(events.ProfileCreated, profile_id=profile.id)
    for move in made.moved:
        say(
            events.PersonMoved,
            person=move.person,
            video_id=video_of[move.person],
            from_profile=move.old,
            to_profile=move.new,
        )
    for one in appearances:
        say(
            events.PersonAppeared,
            profile_id=one["profile_id"],
            video_id=one["video_id"],
            epoch=one["epoch"],
            persons=one["persons"],
            segments=one["segments"],
            seconds=one["seconds"],
            faces=one["faces"],
            crop=one["crop"],
        )
    for (profile_id, video), keys in made.appearances.items():
        if not keys:
            say(events.AppearanceRemoved, profile_id=profile_id, video_id=video)
    for split in made.split:
        for into in split.created:
            say(events.ProfileSplit, profile_id=split.profile, into=into)
    for merge in made.merged:
        say(events.ProfilesMerged, retired=merge.retired, into=merge.into)
    for profile_id in made.emptied:
        say(events.ProfileRemoved, profile_id=profile_id)
    for profile_id, name in made.names.items():
        say(events.ProfileRenamed, profile_id=profile_id, name=name)
    return said
