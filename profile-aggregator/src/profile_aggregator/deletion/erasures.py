"""What an erasure leaves to do once its transaction is through: crops and objects, what was said, and what Kafka has of
it. Carried out until it is through, and then the change has a receipt."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from castlist.contract.ids import crops_prefix
from castlist.contract.topics import DAY, DEAD_RETENTION, PROFILE_EVENTS, TOPICS
from castlist.ports.messages import LogEraser
from castlist.ports.objects import Objects
from castlist.store.packed_tracks import TrackIndex, tracks_in
from castlist.store.query import add, at_least, below, eq, ne, set_to, with_id, with_ids
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.collection import REPLAYED_DAYS
from castlist.store.records.erasures import ErasureRecord, LogEnd, RemovalRecord
from castlist.store.records.outbox import GalleryLogRecord, OutboxRecord
from castlist.store.store import Store
from profile_aggregator.deletion.gallery_deletion import GalleryDeletion, end_in
from profile_aggregator.deletion.leftovers import carry_out_each
from profile_aggregator.videos.found_tracks import forget_tracks

log = logging.getLogger(__name__)
ERASE_EVERY = 0.5
ERASED = tuple(topic for topic in TOPICS if topic.erased)
"""Topics whose messages go with an erasure, as far as every group has read them."""
PATIENCE = timedelta(minutes=1)
"""So long it is waited for groups that have not read them yet."""
_HELD = {
    "video.uploaded": "names of videos",
    "face.encodings": "encodings",
    "gallery.commits": "names and encodings of pictures, in commands",
}


class Erasures:
    """The worker. One instance a process; two may do the same."""

    def __init__(self, store: Store, objects: Objects, eraser: LogEraser, clock: Callable[[], datetime]) -> None:
        self._store, self._objects, self._eraser, self._clock = store, objects, eraser, clock
        self._deletion = GalleryDeletion(store, objects, clock)

    async def round(self) -> None:
        """All there are. UnavailableError if S3 or Kafka is away."""
        left = await self._store.erasures.find(at_least(ErasureRecord.id, ""))
        await carry_out_each(left, self._carry_out, _failed)

    async def _carry_out(self, erasure: ErasureRecord) -> None:
        if erasure.what == "gallery":
            if not await self._deletion.carry_out(erasure):
                return
        elif not await self._forget(erasure):
            return
        left = await self._left_in_log(erasure)
        if left is not None:
            await self._store.transaction(lambda transaction: self._end(transaction, erasure.id, left))

    async def _forget(self, erasure: ErasureRecord) -> bool:
        """Crops, and copies of what was said; False while something is still to be said, or removed."""
        said = eq(GalleryLogRecord.gallery, erasure.gallery) & below(GalleryLogRecord.version, erasure.version + 1)
        if await self._store.gallery_log.count(said & eq(GalleryLogRecord.published_at, None)):
            return False  # it is said first
        orders = with_ids(erasure.changes)
        if erasure.changes and await self._store.outbox.count(orders & eq(OutboxRecord.published_at, None)):
            return False
        removals = at_least(RemovalRecord.id, "") & eq(RemovalRecord.erasure, erasure.id)
        if erasure.what == "video" and await self._store.removals.count(removals):
            return False
        runs = defaultdict[tuple[str, int], set[TrackIndex]](set)
        for person in erasure.persons:
            runs[person.video_id, person.epoch].update(tracks_in(person.tracks))
        for (video, epoch), tracks in runs.items():
            await self._delete_crops(video, epoch, tracks, erasure.id)
            await forget_tracks(self._store, video, epoch, tracks)
        await self._store.gallery_log.delete(said & ne(GalleryLogRecord.published_at, None))
        if erasure.changes:
            await self._store.outbox.delete(orders)
        return True

    async def _delete_crops(self, video: str, epoch: int, tracks: Collection[TrackIndex], erasure: str) -> None:
        prefix, gone = crops_prefix(video, epoch), 0
        for info in await self._objects.list(prefix):
            chunk, *_, track = info.key.removeprefix(prefix).removesuffix(".jpg").split("-")
            if chunk.isdecimal() and track.isdecimal() and (int(chunk), int(track)) in tracks:
                await self._objects.delete(info.key)
                gone += 1
        await self._store.erasures.update(with_id(erasure), add(ErasureRecord.crops, gone))

    async def _left_in_log(self, erasure: ErasureRecord) -> list[str] | None:
        """In which of the `ERASED` topics something is left; None while groups may still read it."""
        ends = erasure.ends
        if ends is None:
            found = await self._eraser.ends(ERASED)
            ends = tuple(LogEnd(topic, partition, end) for (topic, partition), end in sorted(found.items()))
            await self._store.erasures.update(with_id(erasure.id), set_to(ErasureRecord.ends, ends))
        places = await self._eraser.erase_read({(end.topic, end.partition): end.offset for end in ends})
        if places and self._clock() < erasure.at + PATIENCE:
            return None
        return sorted({topic for topic, _ in places})

    async def _end(self, transaction: Store, id: str, left: list[str]) -> None:
        """The change has a receipt, and the erasure is through."""
        now, erasure = self._clock(), await transaction.erasures.get(id)
        if erasure is None or (erasure.what == "gallery" and not await end_in(transaction, erasure, now)):
            return
        if erasure.change is not None:
            receipt = set_to(ChangeRecord.receipt, _receipt(erasure, now, left))
            await transaction.changes.update(with_id(erasure.change) & eq(ChangeRecord.receipt, None), receipt)
        await transaction.erasures.delete(with_id(id))


def _receipt(erasure: ErasureRecord, now: datetime, left: list[str]) -> dict[str, Any]:
    stays = [
        *((topic.name, _HELD[topic.name], topic.retention // DAY) for topic in ERASED if topic.name in left),
        (PROFILE_EVENTS.name, "names", PROFILE_EVENTS.retention // DAY),
        ("dead letters", "messages that could not be read", DEAD_RETENTION // DAY),
        ("ledger", "ids", REPLAYED_DAYS),
        ("oplog, journal and backups", "all of it", None),
    ]
    return {
        "at": now.isoformat(),
        "videos": erasure.videos,
        "objects": erasure.objects,
        "persons": erasure.people,
        "crops": erasure.crops,
        "changes": erasure.changed,
        "stays": [{"where": where, "what": what, "days": days} for where, what, days in stays],
    }


def _failed(erasure: ErasureRecord) -> None:
    log.exception("erasure_failed", extra={"gallery": erasure.gallery, "change": erasure.change})
