"""Giving all that is said of a gallery its number in the gallery's feed.

What commits say has an order, that of the gallery's versions; a task that failed, or an alert, has a time at best. Here
they become one row, each in the transaction that also says for whom there is something to do.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from functools import partial

import orjson

from castlist.contract.topics import PROFILE_EVENTS
from castlist.ports.errors import UnavailableError
from castlist.store.query import add, ascending, eq, set_to, with_ids
from castlist.store.records.alerts import FeedRecord, Place, WatchedProfiles, WatchRecord, WebhookRecord
from castlist.store.records.outbox import GalleryLogRecord, OutboxRecord
from castlist.store.records.record import Record
from castlist.store.store import Store
from query_api.alerts.feed_reading import last_place

log = logging.getLogger(__name__)
COMMITS_AT_ONCE, OTHERS_AT_ONCE = 16, 200
_OF_PROFILES = ("profile_id", "retired", "into", "from_profile", "to_profile")
_LOG_ORDER = (ascending(GalleryLogRecord.version), ascending(GalleryLogRecord.part))
_OUTBOX_ORDER = (ascending(OutboxRecord.created_at), ascending(OutboxRecord.order))
_UNNUMBERED = eq(OutboxRecord.topic, PROFILE_EVENTS.name) & eq(OutboxRecord.number, None)


async def number(store: Store) -> list[str]:
    """One batch in each gallery that has something new; which those are."""
    logged = await store.gallery_log.count_by(eq(GalleryLogRecord.number, None), GalleryLogRecord.gallery)
    others = await store.outbox.count_by(_UNNUMBERED, OutboxRecord.key)
    galleries = sorted(logged.keys() | others.keys())
    return [gallery for gallery in galleries if await _try_to_number(store, gallery)]


async def number_up_to_now(store: Store, gallery: str) -> Place:
    """Behind everything that has been said of a gallery by now; what had no number yet gets it first, whoever asks."""
    commits = await store.gallery_log.count(eq(GalleryLogRecord.gallery, gallery) & eq(GalleryLogRecord.number, None))
    others = await store.outbox.count(_UNNUMBERED & eq(OutboxRecord.key, gallery))
    # Not until nothing is left: of a gallery that is being filled, that could be never.
    for _ in range(max(-(-commits // COMMITS_AT_ONCE), -(-others // OTHERS_AT_ONCE))):
        await _try_to_number(store, gallery)
    return await last_place(store, gallery)


async def _try_to_number(store: Store, gallery: str) -> bool:
    """What fails in one gallery holds up no other."""
    try:
        await store.transaction(partial(_number, gallery=gallery))
    except UnavailableError:
        raise
    except Exception:
        log.exception("numbering_failed", extra={"gallery": gallery})
        return False
    return True


async def _number(transaction: Store, gallery: str) -> None:
    watches = await transaction.watches.find_parts(WatchedProfiles, eq(WatchRecord.gallery, gallery))
    logged = eq(GalleryLogRecord.gallery, gallery) & eq(GalleryLogRecord.number, None)
    commits: list[GalleryLogRecord] | list[Record]
    if watches:
        commits = said = await transaction.gallery_log.find(logged, sort=_LOG_ORDER, limit=COMMITS_AT_ONCE)
        touched = touched_by((event for one in said for event in one.events), watches)
        if touched:
            change = add(WatchRecord.touched, 1) & set_to(WatchRecord.due, True)
            await transaction.watches.update_many(with_ids(touched), change)
    else:
        commits = await transaction.gallery_log.find_parts(Record, logged, sort=_LOG_ORDER, limit=COMMITS_AT_ONCE)
    of_gallery = _UNNUMBERED & eq(OutboxRecord.key, gallery)
    others = await transaction.outbox.find_parts(Record, of_gallery, sort=_OUTBOX_ORDER, limit=OTHERS_AT_ONCE)
    if not commits and not others:
        return  # another process has numbered them
    feed = await transaction.feeds.get(gallery)
    numbers = {one.id: n for n, one in enumerate([*commits, *others], (feed.last if feed else 0) + 1)}
    await transaction.feeds.upsert(gallery, set_to(FeedRecord.last, max(numbers.values())))
    await transaction.gallery_log.update_each(
        {one.id: set_to(GalleryLogRecord.number, numbers[one.id]) for one in commits}
    )
    await transaction.outbox.update_each({one.id: set_to(OutboxRecord.number, numbers[one.id]) for one in others})
    await ring(transaction, gallery)


async def ring(store: Store, gallery: str) -> None:
    """There is something to send to the webhooks of a gallery."""
    of_gallery = eq(WebhookRecord.gallery, gallery) & eq(WebhookRecord.disabled_at, None)
    await store.webhooks.update_many(of_gallery, set_to(WebhookRecord.waiting, True) & add(WebhookRecord.rung, 1))


def touched_by(events: Iterable[str], watches: Collection[WatchedProfiles]) -> list[str]:
    """The watches whose profile, or whose holder, one of these events (as JSON) names."""
    named: set[str] = set()
    for event in events:
        said: Mapping[str, str] = orjson.loads(event)
        named.update(said[field] for field in _OF_PROFILES if field in said)
    return sorted(one.id for one in watches if not named.isdisjoint({one.profile_id, one.holder}))
