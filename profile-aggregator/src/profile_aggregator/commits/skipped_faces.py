"""How many faces of a gallery's videos nobody is made of, by reason, after a commit."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from castlist.contract.commands import DeleteVideo
from castlist.contract.ids import task_id
from castlist.store.query import with_ids
from castlist.store.records.pending import PendingRecord, PendingVideo
from castlist.store.records.tasks import SkippedFaces
from castlist.store.records.videos import CommittedEpoch
from castlist.store.store import Store
from castlist.tasks.commands import Command
from profile_aggregator.videos.completion import reasons_added_up


async def faces_skipped(
    store: Store, gallery: str, batch: Iterable[PendingRecord], command: Command | None
) -> Mapping[str, int] | None:
    """Those of the runs that come in the place of those that were committed; None where that does not change.

    The gallery's compare-and-swap makes sure that what is read here still holds when it is written.
    """
    coming = {one.video_id: task_id(one.video_id, one.epoch) for one in batch if isinstance(one, PendingVideo)}
    videos = [command.video_id] if isinstance(command, DeleteVideo) else sorted(coming)
    if not videos:
        return None
    committed, known = await asyncio.gather(
        store.videos.find_parts(CommittedEpoch, with_ids(videos)), store.galleries.get(gallery)
    )
    going = {task_id(one.id, one.committed_epoch) for one in committed if one.committed_epoch is not None}
    tasks = await store.tasks.find_parts(SkippedFaces, with_ids(sorted({*coming.values(), *going})))
    change: Counter[str] = Counter()
    for task in tasks:
        for reason, count in task.faces_skipped.items():
            change[reason] += count * ((task.id in coming.values()) - (task.id in going))
    if known is None or not any(change.values()):
        return None
    change.update(known.faces_skipped)
    return reasons_added_up([+change])
