"""What crashes and outages left: events to publish, objects nobody refers to."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from castlist import outbox
from castlist.metrics import OUTBOX_SWEPT
from castlist.ports import Documents, Objects, Publisher, Unavailable
from castlist.schema import UPLOADS, VIDEOS
from castlist.topics import VIDEO_CONTROL, VIDEO_UPLOADED

log = logging.getLogger(__name__)
ABANDONED = timedelta(minutes=10)


async def sweep_uploads(documents: Documents, objects: Objects, now: datetime, older: timedelta = ABANDONED) -> int:
    """Remove the objects of uploads that nobody has touched for long; returns how many intents were settled."""
    stale = await documents.find(UPLOADS, {"touched_at": {"$lt": now - older}}, limit=100)
    for intent in stale:
        video = await documents.get(VIDEOS, intent["video_id"]) if intent["video_id"] else None
        if video is None or video["object"]["key"] != intent["_id"]:
            await objects.delete(intent["_id"])
            log.info("removed an abandoned upload", extra={"key": intent["_id"]})
        await documents.delete(UPLOADS, {"_id": intent["_id"]})
    return len(stale)


async def sweep_for_ever(
    documents: Documents, objects: Objects, publisher: Publisher, clock: Callable[[], datetime]
) -> None:
    """Every second the outbox, every minute the uploads; outages are waited out."""
    turn = 0
    while True:
        try:
            swept = await outbox.sweep(documents, publisher, clock(), [VIDEO_UPLOADED.name, VIDEO_CONTROL.name])
            OUTBOX_SWEPT.inc(swept)
            if turn % 60 == 0:
                await objects.abort_stale_uploads(ABANDONED.total_seconds())
                await sweep_uploads(documents, objects, clock())
        except Unavailable as error:
            log.warning("cannot sweep now", extra={"reason": str(error)[:200]})
        except Exception:
            log.exception("cannot sweep")
        turn += 1
        await asyncio.sleep(1)
