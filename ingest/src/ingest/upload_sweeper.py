"""What crashes left of uploads: objects and parts of objects that nobody will refer to."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from castlist.ports.documents import Documents
from castlist.ports.errors import Unavailable
from castlist.ports.objects import Objects
from castlist.store.collections import UPLOADS, VIDEOS

log = logging.getLogger(__name__)
ABANDONED = timedelta(minutes=10)
EVERY = 60.0
_CLOCKS_DIFFER = timedelta(minutes=1)


async def sweep_uploads(documents: Documents, objects: Objects, now: datetime, older: timedelta = ABANDONED) -> int:
    """Settle the uploads that nobody has touched for `older`; returns how many. Live ones are left alone, however
    long they take."""
    stale = await documents.find(UPLOADS, {"touched_at": {"$lt": now - older}}, limit=100)
    settled = 0
    for intent in stale:
        # From here on the upload cannot be accepted any more, should it still be alive somewhere.
        mine = {"_id": intent["_id"], "touched_at": intent["touched_at"]}
        if (intent := await documents.update(UPLOADS, mine, {"$set": {"condemned": True}}) or {}) == {}:
            continue
        video = await documents.get(VIDEOS, intent["video_id"]) if intent["video_id"] else None
        if video is None or video["object"]["key"] != intent["_id"]:
            await objects.delete(intent["_id"])
            log.info("removed an abandoned upload", extra={"key": intent["_id"]})
        await documents.delete(UPLOADS, {"_id": intent["_id"]})
        settled += 1
    await _abort_parts(documents, objects, now, older)
    return settled


async def _abort_parts(documents: Documents, objects: Objects, now: datetime, older: timedelta) -> None:
    # S3 knows when parts began, not whether somebody is still at it: what began before every recorded upload is dead.
    live = await documents.find(UPLOADS, {}, sort=[("started_at", 1)], limit=1, fields=["started_at"])
    dead_before = min([now - older, *(one["started_at"] - _CLOCKS_DIFFER for one in live)])
    await objects.abort_stale_uploads((now - dead_before).total_seconds())


async def sweep_for_ever(documents: Documents, objects: Objects, clock: Callable[[], datetime]) -> None:
    """Sweep every minute; outages are waited out."""
    while True:
        try:
            await sweep_uploads(documents, objects, clock())
        except Unavailable as error:
            log.warning("cannot sweep now", extra={"reason": str(error)[:200]})
        except Exception:
            log.exception("cannot sweep")
        await asyncio.sleep(EVERY)
