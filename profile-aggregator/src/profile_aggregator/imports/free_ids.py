"""Whether there is room for an archive: the gallery is empty, and nobody else has an id that it brings."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from castlist.ports.errors import UnavailableError
from castlist.store.query import eq, one_of, with_ids
from castlist.store.records.change_history import DecisionRecord, ObjectionRecord
from castlist.store.records.erasures import RemovalRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.imports.archive_contents import ArchiveContents
from profile_aggregator.imports.new_ids import NewIds

_AT_ONCE = 1_000


async def ensure_room(store: Store, gallery: str, contents: ArchiveContents, ids: NewIds) -> None:
    """CommandRefusedError where there is none; UnavailableError where what was there is still on its way out."""
    for table, of_gallery in (
        (store.videos, VideoRecord.gallery),
        (store.profiles, ProfileRecord.gallery),
        (store.redirects, RedirectRecord.gallery),
        (store.decisions, DecisionRecord.gallery),
        (store.objections, ObjectionRecord.gallery),
    ):
        if await table.count(eq(of_gallery, gallery)):
            raise CommandRefusedError("conflict", f"Gallery {gallery} is not empty: import into another one.")
    profiles = [*contents.profiles, *contents.redirects]
    for what, olds, tables in (
        ("video", contents.videos, (store.videos,)),
        ("profile", profiles, (store.profiles, store.redirects)),
        ("change", contents.changes, (store.changes, store.decisions, store.objections)),
    ):
        for some in _slices(map(ids.id, olds)):
            for one in tables:
                if taken := await one.ids(with_ids(some), limit=1):
                    raise CommandRefusedError("conflict", f"There is a {what} {taken[0]} already, in another gallery.")
    for some in _slices(map(ids.id, contents.videos)):
        if await store.removals.count(one_of(RemovalRecord.video_id, some)):
            raise UnavailableError("a video of the archive is still being removed")


def _slices(things: Iterable[str]) -> Iterator[Sequence[str]]:
    left = iter(things)
    while some := list(islice(left, _AT_ONCE)):
        yield some
