"""How galleries come to be: by being used, or by being asked for."""

from datetime import datetime

from castlist.contract.values import NEW_GALLERY, GallerySettings
from castlist.ports.errors import AlreadyExistsError
from castlist.store.query import insert_as
from castlist.store.records import GalleryRecord
from castlist.store.store import Store


async def ensure_gallery(store: Store, gallery: str, now: datetime) -> None:
    """Galleries come to be by being used. Outside of transactions: two at once must not conflict over it."""
    if await store.galleries.get(gallery) is None:
        await store.galleries.upsert(gallery, insert_as(_new(gallery, NEW_GALLERY, now)))


async def create_gallery(
    store: Store, gallery: str, settings: GallerySettings, now: datetime, asked_by: str | None = None
) -> bool:
    """Make a gallery; False where it is there, unless the request `asked_by` has made it: asked again, it has."""
    try:
        await store.galleries.insert(_new(gallery, settings, now, asked_by))
        return True
    except AlreadyExistsError:
        there = await store.galleries.get(gallery)
        return asked_by is not None and there is not None and there.asked_by == asked_by


def _new(gallery: str, settings: GallerySettings, now: datetime, asked_by: str | None = None) -> GalleryRecord:
    return GalleryRecord(id=gallery, version=0, created_at=now, settings=settings, asked_by=asked_by)
