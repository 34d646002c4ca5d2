"""The people that a gallery holds, read a page at a time: what MongoDB sends of them is several times what is kept."""

from collections.abc import AsyncIterator
from typing import TypeVar

from castlist.store.query import above, ascending, eq, ne
from castlist.store.records.persons import PersonRecord
from castlist.store.records.record import Record
from castlist.store.store import Store

R = TypeVar("R", bound=Record)


async def pages_of_persons(store: Store, gallery: str, part: type[R], size: int) -> AsyncIterator[list[R]]:
    """All who are in a profile, in the order of their ids; `part` is what is read of each."""
    committed = eq(PersonRecord.gallery, gallery) & ne(PersonRecord.profile_id, None)
    order, last = [ascending(PersonRecord.id)], ""
    while True:
        found = await store.persons.find_parts(part, committed & above(PersonRecord.id, last), sort=order, limit=size)
        if found:
            yield found
        if len(found) < size:
            return
        last = found[-1].id
