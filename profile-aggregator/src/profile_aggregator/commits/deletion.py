"""What is left to remove once the deletion of a video was committed. Repeated until it is through."""

from castlist.contract.ids import run_key
from castlist.ports.objects import Objects
from castlist.store.query import ne, one_of, set_to, with_id, with_ids
from castlist.store.records import ChunkResultRecord, DeletedVideoRecord
from castlist.store.store import Store
from castlist.tasks.video_objects import remove_upload

_BATCH = 50


async def forget_video(store: Store, objects: Objects, video_id: str) -> None:
    """The video's object (where ingest wrote it), crops and records. The tombstone says when this is through."""
    deleted = await store.deleted.get(video_id)
    if deleted is None or deleted.object is None:
        return
    runs = [run_key(video_id, epoch) for epoch in range(1, deleted.latest_epoch + 1)]
    await objects.delete_prefix(f"crops/{video_id}/")
    await remove_upload(store, objects, deleted.object)
    await store.chunks.delete(one_of(ChunkResultRecord.run, runs))
    await store.plans.delete(with_ids(runs))
    await store.pending.delete(with_ids(runs))
    await store.deleted.update(with_id(video_id), set_to(DeletedVideoRecord.object, None))


async def sweep_deleted(store: Store, objects: Objects) -> None:
    """Finish what a crash left."""
    for deleted in await store.deleted.find(ne(DeletedVideoRecord.object, None), limit=_BATCH):
        await forget_video(store, objects, deleted.id)
