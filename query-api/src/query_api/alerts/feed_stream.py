"""A gallery's feed as server-sent events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from castlist.ports.errors import UnavailableError
from castlist.store.records.alerts import Place
from castlist.store.store import Store
from query_api.alerts.feed_reading import FeedEvent, parts_from
from query_api.record_changes import RecordChanges

_AGAIN = 1.0
"""Seconds between two attempts to read on, while the database is away."""


def place_in(id: str) -> Place | None:
    """The place that an event's id names, `number.index`; None where it is no such id."""
    number, dot, index = id.partition(".")
    if not (dot and number.isdecimal() and index.isdecimal() and len(id) <= 32):
        return None
    return Place(int(number), int(index))


async def stream(
    store: Store, changes: RecordChanges, gallery: str, passed: Place, comment_every: float
) -> AsyncIterator[bytes]:
    """All that is said of the gallery behind that place, for ever, with a comment where it is quiet for so long.

    `changes`: of the collection `feeds`.
    """
    # So that whoever is cut off before the first event goes on from here.
    yield b"%b\n" % _id_line(passed)
    said_at = time.monotonic()
    with changes.followed(gallery) as changed:
        while True:
            changed.clear()
            try:
                parts = await parts_from(store, gallery, passed.number)
            except UnavailableError:  # the client stays connected, and hears of it later
                changed.set()
                await asyncio.sleep(_AGAIN)
                continue
            for part in parts:
                if part.number > passed.number:  # something was said in between that is kept no longer
                    yield b"event: missed\n%bdata: {}\n\n" % _id_line(Place(part.number))
                for event in part.events():
                    if event.place > passed:
                        yield _event(event)
                passed, said_at = Place(part.number + 1), time.monotonic()
            if parts:
                continue
            if (quiet := time.monotonic() - said_at) >= comment_every:
                said_at, quiet = time.monotonic(), 0.0
                yield b": still here\n\n"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(comment_every - quiet):
                    await changed.wait()


def _event(event: FeedEvent) -> bytes:
    return b"event: %b\n%bdata: %b\n\n" % (event.name.encode(), _id_line(event.place), event.text.encode())


def _id_line(place: Place) -> bytes:
    return b"id: %d.%d\n" % (place.number, place.index)
