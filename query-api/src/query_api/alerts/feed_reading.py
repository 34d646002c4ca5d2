"""Reading a gallery's feed: what is said of it, each event at its place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from castlist.contract.topics import PROFILE_EVENTS
from castlist.store.query import Where, ascending, eq, within
from castlist.store.records.alerts import Place
from castlist.store.records.outbox import GalleryLogRecord, OutboxRecord
from castlist.store.store import Store

COMMITS_AT_ONCE, OTHERS_AT_ONCE = 4, 100


@dataclass(frozen=True)
class FeedEvent:
    """An event of `profile.events`, as JSON, and its place in the gallery's feed."""

    place: Place
    event_id: str
    name: str
    occurred_at: str
    text: str


@dataclass(frozen=True)
class FeedPart:
    """What was said at a time: the events, in their order, under one number."""

    number: int
    texts: Sequence[str]

    def events(self) -> Iterator[FeedEvent]:
        """Each at its place."""
        for index, text in enumerate(self.texts, 1):
            said = orjson.loads(text)
            place = Place(self.number, index)
            yield FeedEvent(place, said["event_id"], said["event"], said["occurred_at"], text)


async def last_place(store: Store, gallery: str) -> Place:
    """Behind everything that has its number."""
    feed = await store.feeds.get(gallery)
    return Place(feed.last + 1) if feed else Place()


async def parts_from(store: Store, gallery: str, number: int) -> list[FeedPart]:
    """What comes next from that number on, in order; empty at the end. What is kept no longer is passed over."""
    feed = await store.feeds.get(gallery)
    if feed is None or feed.last < number:
        return []
    # No further than that: of what has got its number since, the two lists below may show some and not some.
    return await _parts(store, gallery, number, feed.last + 1)


async def event_at(store: Store, gallery: str, place: Place) -> FeedEvent | None:
    """The event at a place; None where it is kept no longer."""
    for part in await _parts(store, gallery, place.number, place.number + 1):
        return next((event for event in part.events() if event.place == place), None)
    return None


async def _parts(store: Store, gallery: str, first: int, end: int) -> list[FeedPart]:
    commits = await store.gallery_log.find(
        eq(GalleryLogRecord.gallery, gallery) & within(GalleryLogRecord.number, first, end),
        sort=[ascending(GalleryLogRecord.number)],
        limit=COMMITS_AT_ONCE,
    )
    others = await store.outbox.find(
        _said_of(gallery) & within(OutboxRecord.number, first, end),
        sort=[ascending(OutboxRecord.number)],
        limit=OTHERS_AT_ONCE,
    )
    parts = [FeedPart(one.number, one.events) for one in commits if one.number is not None]
    parts += [FeedPart(one.number, (one.value,)) for one in others if one.number is not None]
    whole = min(
        parts[len(commits) - 1].number if len(commits) == COMMITS_AT_ONCE else end,
        parts[-1].number if len(others) == OTHERS_AT_ONCE else end,
    )
    return sorted((part for part in parts if part.number <= whole), key=lambda part: part.number)


def _said_of(gallery: str) -> Where:
    return eq(OutboxRecord.topic, PROFILE_EVENTS.name) & eq(OutboxRecord.key, gallery)
