"""What crashes left of uploads: objects and parts of objects that nothing will refer to."""

import logging
from datetime import datetime, timedelta

from castlist.contract.ids import OWN_UPLOADS
from castlist.contract.values import StoredObject
from castlist.ports.objects import Objects
from castlist.store.query import ascending, below, eq, set_to, with_id
from castlist.store.records.videos import UploadRecord, UploadStart
from castlist.store.store import Store
from castlist.tasks.video_objects import is_named

log = logging.getLogger(__name__)
ABANDONED = timedelta(minutes=10)
SWEEP_EVERY = 60.0
_CLOCKS_DIFFER = timedelta(minutes=1)
_BATCH = 100


async def sweep_uploads(store: Store, objects: Objects, now: datetime, older: timedelta = ABANDONED) -> int:
    """Settle the uploads that were not touched for `older`; how many. Live ones are left alone, however long they
    take."""
    settled = 0
    for stale in await store.uploads.find(below(UploadRecord.touched_at, now - older), limit=_BATCH):
        # From here on the upload cannot be accepted any more, should it still be alive somewhere.
        untouched = with_id(stale.id) & eq(UploadRecord.touched_at, stale.touched_at)
        upload = await store.uploads.update(untouched, set_to(UploadRecord.condemned, True))
        if upload is None:
            continue
        if not await is_named(store, StoredObject(objects.bucket, upload.id)):
            await objects.abort_stale_uploads(-_CLOCKS_DIFFER.total_seconds(), upload.id)
            await objects.delete(upload.id)
            log.info("upload_removed", extra={"key": upload.id})
        await store.uploads.delete(with_id(upload.id))
        settled += 1
    await _abort_parts(store, objects, now, older)
    return settled


async def _abort_parts(store: Store, objects: Objects, now: datetime, older: timedelta) -> None:
    # S3 knows when parts began, not whether they are being written: what began before every recorded upload is dead.
    live = await store.uploads.find_parts(UploadStart, sort=[ascending(UploadRecord.started_at)], limit=1)
    dead_before = min([now - older, *(one.started_at - _CLOCKS_DIFFER for one in live)])
    await objects.abort_stale_uploads((now - dead_before).total_seconds(), OWN_UPLOADS)
