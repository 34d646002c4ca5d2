"""The people of a run from when they are found until they are committed: each a document, none of them with a profile.

However many there are and however long they are seen, no document grows with the video.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from castlist.contract.ids import person_key, run_key
from castlist.ports.errors import AlreadyExistsError
from castlist.store.query import eq, ne, with_ids, within
from castlist.store.records.pending import PendingVideo
from castlist.store.records.persons import PersonRecord
from castlist.store.records.record import Record
from castlist.store.store import Store, Table
from castlist_identity.domain import VideoPerson
from profile_aggregator.videos.conversions import person_record, places_record

R = TypeVar("R", bound=Record)
T = TypeVar("T")
_BATCH = 500


async def keep_people(
    store: Store, people: Sequence[VideoPerson], gallery: str, video_id: str, epoch: int, *, identified: bool = True
) -> None:
    """Store the people that a run has found, or the rest of them where that was begun before. Of those who are not
    `identified` no encoding is kept: nothing can match them."""
    for some in _slices(people):
        await insert_missing(
            store.places, [places_record(person.places, person_key(video_id, epoch, person.n)) for person in some]
        )
        records = [person_record(person, gallery, video_id, epoch) for person in some]
        await insert_missing(
            store.persons, records if identified else [replace(one, mean=b"", apart=()) for one in records]
        )


def _slices(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[start : start + _BATCH] for start in range(0, len(things), _BATCH))


async def insert_missing(table: Table[R], records: Sequence[R]) -> None:
    """Store these, or those of them that are not there."""
    missing = list(records)
    while missing:
        try:
            await table.insert_many(missing)
            return
        except AlreadyExistsError:
            there = set(await table.ids(with_ids(one.id for one in missing)))
            missing = [one for one in missing if one.id not in there]


async def people_of(store: Store, videos: Sequence[PendingVideo]) -> dict[str, PersonRecord]:
    """The people of these runs, by their keys; fewer than the runs say where one of them is not wanted any more."""
    keys = [person_key(video.video_id, video.epoch, n) for video in videos for n in range(video.people)]
    return {one.id: one for some in _slices(keys) for one in await store.persons.find(with_ids(some))}


async def drop_people(store: Store, video_id: str, epoch: int) -> None:
    """Forget the people that a run has found, but for those that are in a profile, or that a decision keeps out."""
    run = run_key(video_id, epoch)
    nobody = eq(PersonRecord.profile_id, None) & ne(PersonRecord.unmatched, True)
    found = within(PersonRecord.id, f"{run}:", f"{run};") & nobody
    for some in _slices(await store.persons.ids(found)):
        await store.places.delete(with_ids(some))
        await store.persons.delete(with_ids(some) & nobody)
