"""A gallery of synthetic people in MongoDB as commits would leave it, and videos that wait for a commit."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec
from encodings_of_people import Population

from castlist.clock import now_utc
from castlist.contract.box import Box
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import appearance_key, person_key, run_key
from castlist.contract.values import Crop, FrameSize, Segment, StoredObject
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.pending import PendingVideo
from castlist.store.records.persons import PersonRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.record import Record
from castlist.store.store import Store, Table
from castlist.tasks.registration import register
from castlist_identity.domain import SightedAt, VideoPerson
from castlist_identity.matching.auto_distance import auto_distance
from castlist_identity.matching.second_stage import STAGES
from profile_aggregator.videos.conversions import person_record, places_record
from profile_aggregator.videos.found_people import keep_people

GALLERY = "crowd"
_ROWS = 2_000
_SEGMENT = Segment(0.0, 2.0)
R = TypeVar("R", bound=Record)
V = TypeVar("V")


class Known(NamedTuple):
    """Somebody in a video of their own, in the gallery; in the sample of those around, or not."""

    profile: str
    video: str
    found: VideoPerson
    follows: bool = False


def profile_id(who: int) -> str:
    """Of this one of a population."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(who)))


def person(population: Population, who: int, video: str, n: int, apart: Sequence[int] = ()) -> VideoPerson:
    """Somebody found in a video."""
    mean, variance = population.video_person(who)
    box = Box(100, 100, 90, 90)
    places = tuple(SightedAt(0.2 * i, box) for i in range(10))
    crop = Crop(f"crops/{video}/1/0-{n}.jpg", 1.0, box, FrameSize(640, 480), 0.9)
    return VideoPerson(n, mean, variance, 10, (_SEGMENT,), 2.0, 0.0, 2.0, crop, places, tuple(apart))


def some_at_a_time(values: Iterable[V]) -> Iterator[list[V]]:
    """What is written in one call is journaled by a majority in time."""
    waiting = iter(values)
    while some := list(islice(waiting, _ROWS)):
        yield some


async def insert(table: Table[R], records: Sequence[R]) -> None:
    """As many as there are."""
    for some in some_at_a_time(records):
        await table.insert_many(some)


async def fill(store: Store, known: Iterable[Known]) -> None:
    """The gallery of these, as commits would have left it."""
    now, founders, videos, count = now_utc(), dict[str, str](), dict[str, int](), 0
    for some in some_at_a_time(known):
        persons = [person_record(one.found, GALLERY, one.video, 1) for one in some]
        await store.persons.insert_many(
            msgspec.structs.replace(stored, profile_id=one.profile, follows=one.follows)
            for stored, one in zip(persons, some, strict=True)
        )
        await store.places.insert_many(
            places_record(one.found.places, person_key(one.video, 1, one.found.n)) for one in some
        )
        await store.appearances.insert_many(
            _appearance(stored, one.profile, now) for stored, one in zip(persons, some, strict=True)
        )
        for stored, one in zip(persons, some, strict=True):
            founders.setdefault(one.profile, stored.id)
            videos[one.profile] = videos.get(one.profile, 0) + 1
        count += len(some)
    profiles = [
        ProfileRecord(
            id=profile,
            gallery=GALLERY,
            name=None,
            created_at=now,
            updated_at=now,
            founder=founder,
            version=version,
            video_count=videos[profile],
        )
        for version, (profile, founder) in enumerate(founders.items())
    ]
    await insert(store.profiles, profiles)
    await store.galleries.insert(
        GalleryRecord(
            id=GALLERY, version=count, created_at=now, distance=auto_distance(count), stages=STAGES, sampled=True
        )
    )


def _appearance(one: PersonRecord, profile: str, now: datetime) -> AppearanceRecord:
    return AppearanceRecord(
        id=appearance_key(profile, one.video_id),
        gallery=GALLERY,
        profile_id=profile,
        video_id=one.video_id,
        epoch=1,
        created_at=now,
        persons=(one.id,),
        segments=(_SEGMENT,),
        seconds=one.seconds,
        faces=one.faces,
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        crop=one.crop,
    )


async def wait_for_commit(store: Store, found: Sequence[VideoPerson], video: str) -> None:
    """A video with these, found and not committed yet."""
    now = now_utc()
    uploaded = VideoUploaded(
        event_id=video,
        occurred_at=now,
        video_id=video,
        gallery=GALLERY,
        object=StoredObject("castlist", video),
    )
    await register(store, uploaded, now)
    await keep_people(store, found, GALLERY, video, 1)
    await store.pending.insert(
        PendingVideo(
            id=run_key(video, 1),
            gallery=GALLERY,
            created_at=now,
            video_id=video,
            epoch=1,
            people=len(found),
        )
    )
