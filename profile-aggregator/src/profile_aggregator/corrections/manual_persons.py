"""Persons whom no run has found: where somebody is though no face was, and whom pictures show. Pure."""

from dataclasses import replace

from castlist.contract.commands import AddPresence, EnrolPerson
from castlist.contract.ids import BY_HAND, presence_key
from castlist.store.records.persons import PersonRecord
from castlist.store.records.videos import VideoRecord
from castlist_identity.decisions.decision import Decision
from castlist_identity.decisions.decision_set import NAME
from castlist_identity.domain import SightedAt
from castlist_identity.matching.objections import objecting
from profile_aggregator.commits.asked import Asked
from profile_aggregator.corrections.corrected_gallery import WHOLE_GROUP, CorrectedGallery
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.videos.conversions import enrolled_persons, gallery_person, places_record


def add_presence(corrected: CorrectedGallery, command: AddPresence, video: VideoRecord | None) -> Asked:
    """Somebody whom no run has found, who is one with the profile and near to nobody."""
    profile = corrected.profile(command.profile_id)
    if video is None or video.gallery != command.gallery:
        raise CommandRefusedError("not_found", f"There is no video {command.video_id}.")
    start = command.start or 0.0
    end = command.end if command.end is not None else max(start, video.duration or 0.0)
    if end < start:
        raise CommandRefusedError("invalid", "It ends before it begins.")
    key, name = presence_key(video.id, command.event_id), corrected.name(profile)
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
        corrected.version,
        (profile,),
        groups=(here, corrected.some(profile, WHOLE_GROUP)),
        manual=here,
        about=here if name is not None else frozenset(),
        card={} if name is None else {NAME: name},
    )
    detail = {"video_id": video.id, "start": start, "end": end}
    seen = (SightedAt(start, command.box),) if command.box is not None else ()
    made = corrected.change(decision, claims={}, detail=detail, returning={key: gallery_person(person)})
    places = places_record(seen, key)
    return replace(made, inserted={key: person}, new_persons=(person,), new_places=(places,))


def enrol(corrected: CorrectedGallery, command: EnrolPerson) -> Asked:
    """Somebody for each picture, who are all one: a mean over faces that are years apart would be near to none."""
    persons = {one.id: one for one in enrolled_persons(command)}
    if not persons:
        raise CommandRefusedError("invalid", "It shows no picture of the person.")
    coming = {key: gallery_person(one) for key, one in persons.items()}
    if against := objecting(coming.values(), corrected.objections, corrected.gallery.distance):
        raise CommandRefusedError("conflict", "The person objects to being known.", sorted(set(against.values())))
    keys = frozenset(persons)
    decision = Decision(
        command.event_id,
        corrected.version,
        (),
        groups=tuple(frozenset([key]) for key in sorted(keys)),
        manual=keys,
        about=keys,
        card={NAME: command.name},
    )
    detail = {"name": command.name, "pictures": len(persons)}
    made = corrected.change(decision, claims={}, detail=detail, returning=coming)
    return replace(made, inserted=persons, new_persons=tuple(persons.values()))
