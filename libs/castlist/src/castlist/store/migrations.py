"""Numbered steps that bring an older database up to date. Each may be run twice; each is recorded once done."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from castlist.store.query import set_once
from castlist.store.records import MigrationRecord
from castlist.store.store import Store
from castlist.tasks.registration import ensure_gallery

log = logging.getLogger(__name__)


async def _default_gallery(store: Store, now: datetime) -> None:
    """The gallery that uploads without one go to is there from the start."""
    await ensure_gallery(store, "default", now)


STEPS: tuple[tuple[int, Callable[[Store, datetime], Awaitable[None]]], ...] = ((1, _default_gallery),)


async def migrate(store: Store, now: datetime) -> list[int]:
    """Run the steps that are not recorded, in order; returns their numbers."""
    done = {int(one.id) for one in await store.migrations.find()}
    ran: list[int] = []
    for number, step in STEPS:
        if number not in done:
            await step(store, now)
            await store.migrations.upsert(str(number), set_once(MigrationRecord.done_at, now))
            log.info("migrated", extra={"step": number})
            ran.append(number)
    return ran
