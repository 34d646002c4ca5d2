"""How galleries come to be: by being used, or by being asked for. One that was deleted begins anew, as if it were new.

Its record stays all the while, because its version must never fall: ids are derived from it, and what is in memory of
a gallery is known to be outdated by it.
"""

from datetime import datetime

from castlist.contract.errors import PermanentError
from castlist.contract.values import NEW_GALLERY, GallerySettings
from castlist.ports.errors import AlreadyExistsError
from castlist.store.query import Change, Where, eq, insert_as, set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.store import Store

SHOWN = eq(GalleryRecord.deleted_at, None) & eq(GalleryRecord.deletion, None)
"""Galleries that are there, as far as anybody is told."""


class GalleryGoingError(PermanentError):
    """The gallery is being deleted, and takes nothing until it is."""


def is_shown(gallery: GalleryRecord) -> bool:
    """Whether it is there, as far as anybody is told."""
    return gallery.deleted_at is None and gallery.deletion is None


async def ensure_gallery(store: Store, gallery: str, now: datetime) -> None:
    """Galleries come to be by being used. Outside of transactions: two at once must not conflict over it.

    GalleryGoingError where it is being deleted.
    """
    there = await store.galleries.get(gallery)
    if there is None:
        await store.galleries.upsert(gallery, insert_as(_new(gallery, NEW_GALLERY, now)))
    elif there.deletion is not None:
        raise GalleryGoingError(f"gallery {gallery} is being deleted; once it is, it can be used anew")
    else:
        await begin_anew(store, gallery, now, there)


async def begin_anew(store: Store, gallery: str, now: datetime, known: GalleryRecord | None = None) -> None:
    """One that was deleted is there again. Safe to repeat."""
    there = known or await store.galleries.get(gallery)
    if there is not None and there.deleted_at is not None:
        await store.galleries.update(_deleted(there), _begun_anew(NEW_GALLERY, now))


async def ensure_known(store: Store, gallery: str, now: datetime) -> None:
    """As `ensure_gallery`, but one that was deleted, or is being, stays so: commands on it are in vain."""
    if await store.galleries.get(gallery) is None:
        await ensure_gallery(store, gallery, now)


async def create_gallery(
    store: Store, gallery: str, settings: GallerySettings, now: datetime, asked_by: str | None = None
) -> bool:
    """Make a gallery; False where it is there, unless the request `asked_by` has made it: asked again, it has.

    GalleryGoingError where it is being deleted.
    """
    try:
        await store.galleries.insert(_new(gallery, settings, now, asked_by))
        return True
    except AlreadyExistsError:
        there = await store.galleries.get(gallery)
    if there is None or there.deletion is not None:
        raise GalleryGoingError(f"gallery {gallery} is being deleted; once it is, it can be made anew")
    if there.deleted_at is not None:
        return await store.galleries.update(_deleted(there), _begun_anew(settings, now, asked_by)) is not None
    return asked_by is not None and there.asked_by == asked_by


def _new(gallery: str, settings: GallerySettings, now: datetime, asked_by: str | None = None) -> GalleryRecord:
    return GalleryRecord(id=gallery, version=0, created_at=now, settings=settings, asked_by=asked_by)


def _deleted(gallery: GalleryRecord) -> Where:
    return with_id(gallery.id) & eq(GalleryRecord.deleted_at, gallery.deleted_at)


def _begun_anew(settings: GallerySettings, now: datetime, asked_by: str | None = None) -> Change:
    return (
        set_to(GalleryRecord.deleted_at, None)
        & set_to(GalleryRecord.created_at, now)
        & set_to(GalleryRecord.settings, settings)
        & set_to(GalleryRecord.asked_by, asked_by)
    )
