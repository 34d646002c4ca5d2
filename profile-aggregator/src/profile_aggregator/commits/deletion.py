"""What is left to remove once the deletion of a video was committed. Repeated until it is through."""

from castlist.contract.ids import OWN_UPLOADS, attempt_key
from castlist.ports.documents import Documents
from castlist.ports.objects import Objects
from castlist.store.collections import CHUNKS, DELETED, PENDING, PLANS


async def forget_video(documents: Documents, objects: Objects, video_id: str) -> None:
    """The video's object (where it came through ingest), crops and records. The tombstone says when this is through."""
    deleted = await documents.get(DELETED, video_id)
    if deleted is None or "object" not in deleted:
        return
    attempts = [attempt_key(video_id, epoch) for epoch in range(1, deleted["latest_epoch"] + 1)]
    await objects.delete_prefix(f"crops/{video_id}/")
    if deleted["object"]["key"].startswith(OWN_UPLOADS):
        await objects.delete(deleted["object"]["key"])
    await documents.delete(CHUNKS, {"attempt": {"$in": attempts}})
    await documents.delete(PLANS, {"_id": {"$in": attempts}})
    await documents.delete(PENDING, {"_id": {"$in": attempts}})
    await documents.update(DELETED, {"_id": video_id}, {"$unset": {"object": ""}})


async def sweep_deleted(documents: Documents, objects: Objects) -> None:
    """Finish what a crash left."""
    for deleted in await documents.find(DELETED, {"object": {"$exists": True}}, limit=50):
        await forget_video(documents, objects, deleted["_id"])
