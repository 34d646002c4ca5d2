"""Between events, records and what identity computes with."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from castlist.contract.box import Box
from castlist.contract.commands import EnrolPerson
from castlist.contract.events import FacesEncoded
from castlist.contract.ids import BY_HAND, crop_key, enrolment_id, person_key, picture_key
from castlist.contract.values import ENCODING_SIZE, Crop, Segment
from castlist.contract.vectors import Vector, VectorFace
from castlist.store.records.persons import PersonEncoding, PersonPresence, PersonRecord, PlacesRecord
from castlist_identity.domain import GalleryPerson, SightedAt, Track, VideoPerson
from castlist_identity.matching.crowd_sample import rank
from castlist_identity.videos.appearance import Presence

_NOWHERE = 100.0
"""So far from all encodings, which lie around 1."""


def tracks_of(found: FacesEncoded) -> list[Track]:
    """The tracks of one chunk (or one part of it).

    Where their crops lie follows from whose they are, whatever the event says: it could name others' or another server.
    """
    return [
        Track(
            found.chunk,
            track.track,
            track.sightings,
            tuple(map(VectorFace.decoded, track.faces)),
            replace(track.crop, key=crop_key(found.video_id, found.epoch, found.chunk, track.track, found.digest)),
        )
        for track in found.tracks
    ]


def person_record(person: VideoPerson, gallery: str, video_id: str, epoch: int) -> PersonRecord:
    """A video person as it is stored, pending or committed; its profile is not part of it yet."""
    return PersonRecord(
        id=person_key(video_id, epoch, person.n),
        gallery=gallery,
        video_id=video_id,
        epoch=epoch,
        n=person.n,
        mean=np.asarray(person.mean, "<f4").tobytes(),
        variance=float(person.variance),
        faces=person.faces,
        segments=tuple((segment.start, segment.end) for segment in person.segments),
        seconds=person.seconds,
        first_seen=person.first_seen,
        last_seen=person.last_seen,
        crop=person.crop,
        apart=person.apart,
        tracks=np.array(person.tracks, "<u4").tobytes(),
    )


def enrolled_persons(command: EnrolPerson) -> list[PersonRecord]:
    """One for each picture that somebody is enrolled with, as they are stored."""
    enrolment = enrolment_id(command.event_id)
    return [
        PersonRecord(
            id=person_key(enrolment, BY_HAND, n),
            gallery=command.gallery,
            video_id=enrolment,
            epoch=BY_HAND,
            n=n,
            mean=np.asarray(VectorFace.decoded(one.face).encoding, "<f4").tobytes(),
            variance=0.0,
            faces=1,
            segments=(),
            seconds=0.0,
            first_seen=0.0,
            last_seen=0.0,
            crop=Crop(picture_key(command.event_id, n), 0.0, one.face.box, one.frame, one.face.quality)
            if command.cropped
            else None,
            apart=(),
            tracks=np.array([(0, n)], "<u4").tobytes(),
        )
        for n, one in enumerate(command.pictures)
    ]


def mean_of(stored: bytes) -> Vector:
    """128 float32 as they are stored."""
    return np.frombuffer(stored, "<f4").astype(np.float32)


def nowhere(key: str) -> Vector:
    """For somebody whose face is not known: far from everybody, and from each other, however many there are.

    In 128 dimensions the directions of no two are alike; a hundred thousand are never nearer than _NOWHERE.
    """
    direction = np.random.default_rng(rank(key)).normal(size=ENCODING_SIZE)
    away: Vector = (2 * _NOWHERE * direction / np.linalg.norm(direction)).astype(np.float32)
    return away


def gallery_person(person: PersonRecord | PersonEncoding) -> GalleryPerson:
    """What matching needs of a stored person."""
    return GalleryPerson(
        key=person.id,
        video=person.video_id,
        mean=mean_of(person.mean) if person.mean else nowhere(person.id),
        variance=person.variance,
        apart=frozenset(person_key(person.video_id, person.epoch, n) for n in person.apart),
        name=person.name,
        faceless=not person.mean,
    )


def places_record(places: Iterable[SightedAt], key: str) -> PlacesRecord:
    """Where a person was, as it is stored."""
    rows = [(place.time, place.box.left, place.box.top, place.box.width, place.box.height) for place in places]
    return PlacesRecord(id=key, places=np.array(rows, "<f4").tobytes())


def places_of(stored: PlacesRecord) -> tuple[SightedAt, ...]:
    """Where the person was, moment by moment."""
    rows = np.frombuffer(stored.places, "<f4").reshape(-1, 5).tolist()
    return tuple(SightedAt(time, Box(*map(int, box))) for time, *box in rows)


def presence_of(person: PersonRecord | PersonPresence) -> Presence:
    """When the person is there, for its appearance."""
    return Presence(person.faces, tuple(Segment(start, end) for start, end in person.segments), person.crop)
