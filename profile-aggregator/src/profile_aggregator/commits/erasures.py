"""What an erasure leaves to do once its transaction is through: crops, and what was said of the person. Carried out
until it is through, and then the change has a receipt."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from castlist.contract.ids import crops_prefix
from castlist.contract.topics import DAY, FACE_ENCODINGS, GALLERY_COMMITS, PROFILE_EVENTS
from castlist.ports.objects import Objects
from castlist.store.packed_tracks import tracks_in
from castlist.store.query import at_least, below, eq, ne, set_to, with_id, with_ids
from castlist.store.records import ChangeRecord, ErasedPerson, ErasureRecord, GalleryLogRecord, OutboxRecord
from castlist.store.store import Store
from profile_aggregator.commits.leftovers import carry_out_each

log = logging.getLogger(__name__)
ERASE_EVERY = 0.5
STAYS = (
    (FACE_ENCODINGS.name, "encodings of the videos in which the person was found", FACE_ENCODINGS.retention // DAY),
    (
        GALLERY_COMMITS.name,
        "names and encodings of pictures, in commands",
        GALLERY_COMMITS.retention // DAY,
    ),
    (PROFILE_EVENTS.name, "names", PROFILE_EVENTS.retention // DAY),
)
"""What Kafka keeps, and for how many days at most."""


class Erasures:
    """The worker. One instance a process; two may do the same."""

    def __init__(self, store: Store, objects: Objects, clock: Callable[[], datetime]) -> None:
        self._store, self._objects, self._clock = store, objects, clock

    async def round(self) -> None:
        """All there are. UnavailableError if S3 is away."""
        left = await self._store.erasures.find(at_least(ErasureRecord.id, ""))
        await carry_out_each(left, self._carry_out, _failed)

    async def _carry_out(self, erasure: ErasureRecord) -> None:
        said = eq(GalleryLogRecord.gallery, erasure.gallery) & below(GalleryLogRecord.version, erasure.version + 1)
        if await self._store.gallery_log.count(said & eq(GalleryLogRecord.published_at, None)):
            return  # it is said first
        orders = with_ids(erasure.changes)
        if erasure.changes and await self._store.outbox.count(orders & eq(OutboxRecord.published_at, None)):
            return
        crops = 0
        for person in erasure.persons:
            crops += await self._delete_crops(person)
        await self._store.gallery_log.delete(said & ne(GalleryLogRecord.published_at, None))
        if erasure.changes:
            await self._store.outbox.delete(orders)
        receipt: dict[str, Any] = {
            "at": self._clock().isoformat(),
            "persons": len(erasure.persons),
            "crops": crops,
            "changes": len(erasure.changes),
            "stays": [{"where": where, "what": what, "days": days} for where, what, days in STAYS],
        }

        async def body(transaction: Store) -> None:
            if erasure.change is not None:
                # Done twice, the second time finds no crops: the first receipt stands.
                first = with_id(erasure.change) & eq(ChangeRecord.receipt, None)
                await transaction.changes.update(first, set_to(ChangeRecord.receipt, receipt))
            await transaction.erasures.delete(with_id(erasure.id))

        await self._store.transaction(body)

    async def _delete_crops(self, person: ErasedPerson) -> int:
        tracks = set(tracks_in(person.tracks))
        prefix, gone = crops_prefix(person.video_id, person.epoch), 0
        for info in await self._objects.list(prefix):
            chunk, *_, track = info.key.removeprefix(prefix).removesuffix(".jpg").split("-")
            if chunk.isdecimal() and track.isdecimal() and (int(chunk), int(track)) in tracks:
                await self._objects.delete(info.key)
                gone += 1
        return gone


def _failed(erasure: ErasureRecord) -> None:
    log.exception("erasure_failed", extra={"gallery": erasure.gallery, "change": erasure.change})
