"""Watches: an alert for each video in which a watched person is, once. Worked out from what is there, not from what was
said: so merges, and taking them back, need no word of their own, and nothing is lost by being interrupted."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from castlist.contract.events import WatchedPersonAppeared
from castlist.contract.ids import event_id
from castlist.ports.errors import UnavailableError
from castlist.store import outbox
from castlist.store.query import ascending, eq, set_to, with_id, with_ids
from castlist.store.records.alerts import AlertRecord, AlertVideo, WatchRecord
from castlist.store.records.appearances import AppearanceRecord, AppearanceVideo
from castlist.store.store import Store
from query_api.read_model import ReadModel

log = logging.getLogger(__name__)
_AT_ONCE = 100


class Watching:
    """Looks after all watches that are due."""

    def __init__(self, store: Store, model: ReadModel, clock: Callable[[], datetime]) -> None:
        self._store, self._model, self._clock = store, model, clock

    async def round(self) -> bool:
        """Each watch that is due; False if there was none."""
        due = await self._store.watches.find(eq(WatchRecord.due, True))
        for watch in due:
            try:
                await self._evaluate(watch)
            except UnavailableError:
                raise
            except Exception:
                log.exception("watch_failed", extra={"gallery": watch.gallery, "watch": watch.id})
        return bool(due)

    async def _evaluate(self, watch: WatchRecord) -> None:
        """Say what was not said yet; what touches the watch meanwhile leaves it due."""
        holder = await self._settled_holder(watch)
        known = await self._store.alerts.find_parts(AlertVideo, eq(AlertRecord.watch_id, watch.id))
        told = {alert.video_id for alert in known}
        if holder is not None:
            of_holder = eq(AppearanceRecord.profile_id, holder)
            there = await self._store.appearances.find_parts(AppearanceVideo, of_holder)
            new = sorted(one.id for one in there if one.video_id not in told)
            for first in range(0, len(new), _AT_ONCE):
                await self._tell(watch, new[first : first + _AT_ONCE])
        unmoved = with_id(watch.id) & eq(WatchRecord.touched, watch.touched)
        await self._store.watches.update(unmoved, set_to(WatchRecord.due, False))

    async def _settled_holder(self, watch: WatchRecord) -> str | None:
        """Who holds the watched people. It is written down first, so that what is said of them from then on touches the
        watch; and looked for again then, for what was said before."""
        written = watch.holder
        while (found := await self._holder(watch.profile_id)) != written:
            await self._store.watches.update(with_id(watch.id), set_to(WatchRecord.holder, found))
            written = found
        return written

    async def _holder(self, profile_id: str) -> str | None:
        if await self._store.profiles.get(profile_id) is not None:
            return profile_id
        return await self._model.successor(profile_id)

    async def _tell(self, watch: WatchRecord, appearances: Sequence[str]) -> None:
        found = await self._store.appearances.find(with_ids(appearances), sort=[ascending(AppearanceRecord.created_at)])
        now = self._clock()
        events = [alert(watch, one, now) for one in found]
        alerts = [
            AlertRecord(id=f"{watch.id}:{event.video_id}", watch_id=watch.id, video_id=event.video_id, at=now)
            for event in events
        ]

        async def body(transaction: Store) -> None:
            # Written, not only read: it may be taken away at the same time, and then nothing may be left of it.
            if await transaction.watches.update(with_id(watch.id), set_to(WatchRecord.due, True)) is not None:
                await transaction.alerts.insert_many(alerts)
                await transaction.outbox.replace_many(
                    outbox.entry(event, now, order) for order, event in enumerate(events)
                )

        await self._store.transaction(body)


def alert(watch: WatchRecord, appearance: AppearanceRecord, now: datetime) -> WatchedPersonAppeared:
    """What a watch says of an appearance."""
    return WatchedPersonAppeared(
        event_id=event_id("WatchedPersonAppeared", watch.id, appearance.video_id, appearance.epoch),
        occurred_at=now,
        gallery=watch.gallery,
        watch_id=watch.id,
        watched=watch.profile_id,
        profile_id=appearance.profile_id,
        video_id=appearance.video_id,
        first_seen=appearance.first_seen,
        last_seen=appearance.last_seen,
        seconds=appearance.seconds,
        faces=appearance.faces,
        crop=appearance.crop,
        manual=appearance.manual,
    )
