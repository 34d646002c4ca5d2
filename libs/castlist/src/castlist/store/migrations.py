"""Numbered steps that bring an older database up to date. Each may be run twice; each is recorded once done."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from castlist.ports.documents import Documents
from castlist.store.collections import GALLERIES, MIGRATIONS

log = logging.getLogger(__name__)


async def _default_gallery(documents: Documents, now: datetime) -> None:
    """The gallery that uploads without one go to is there from the start."""
    await documents.update(
        GALLERIES, {"_id": "default"}, {"$setOnInsert": {"version": 0, "created_at": now}}, upsert=True
    )


STEPS: tuple[tuple[int, Callable[[Documents, datetime], Awaitable[None]]], ...] = ((1, _default_gallery),)


async def migrate(documents: Documents, now: datetime) -> list[int]:
    """Run the steps that are not recorded, in order; returns their numbers."""
    done = {int(found["_id"]) for found in await documents.find(MIGRATIONS, {})}
    ran: list[int] = []
    for number, step in STEPS:
        if number not in done:
            await step(documents, now)
            await documents.update(MIGRATIONS, {"_id": str(number)}, {"$setOnInsert": {"done_at": now}}, upsert=True)
            log.info("migrated", extra={"step": number})
            ran.append(number)
    return ran
