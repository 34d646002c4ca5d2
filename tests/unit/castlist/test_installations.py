"""What earlier versions left is read by the present one: their messages, their records; and work on it goes on."""

from pathlib import Path

import pytest

from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryObjects
from castlist.clock import now_utc
from castlist.contract.codec import decode
from castlist.contract.commands import RenameProfile
from castlist.contract.events import VideoPeopleFound
from castlist.contract.topics import BY_NAME
from castlist.store.collections import COLLECTIONS
from castlist.store.migrations import migrate
from castlist.store.query import eq
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.store import Store, Table
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.previews import Previews
from profile_aggregator.dispatch import Dispatch
from profile_aggregator.turns import Turns
from profile_aggregator.videos.handlers import VideoHandlers
from testkit.installation import VERSIONS, WAITING, documents_in, messages_in

of_each_version = pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)


async def restored(folder: Path) -> MemoryDocuments:
    """Its documents in memory, brought up to date."""
    documents = MemoryDocuments()
    for name, found in documents_in(folder).items():
        for document in found:
            await documents.insert(name, document)
    await migrate(documents, now_utc())
    return documents


@of_each_version
def test_every_message_is_still_an_event(folder: Path) -> None:
    """Topics keep them for up to a year."""
    read = [type(decode(BY_NAME[topic], value)).__name__ for topic, _, value in messages_in(folder)]
    assert {"VideoPlanned", "FacesEncoded", "VideoPeopleFound", "PersonAppeared", "TaskFinished"} <= set(read)


@of_each_version
async def test_every_document_is_a_record(folder: Path) -> None:
    """And nothing lies in a collection that is not declared."""
    documents = await restored(folder)
    counts = {collection.name: len(await Table(documents, collection).find()) for collection in COLLECTIONS}
    assert all(counts[name] for name in ("videos", "tasks", "persons", "profiles", "appearances", "chunks", "outbox"))
    names = {name for name in documents_in(folder) if await documents.count(name, {})}
    assert names <= counts.keys()


@of_each_version
async def test_work_goes_on_where_it_was(folder: Path) -> None:
    """A video that was half-way is finished, its people join the profiles that are there, names can be given."""
    store, log, objects = Store(await restored(folder)), MemoryLog(), MemoryObjects("castlist")
    said = GalleryLog(store, log.publisher(), now_utc)
    galleries = GalleryCache(store)
    committer = Committer(store, said, galleries, now_utc, 10)
    turns, previews = Turns(committer.commit), Previews(store, galleries, now_utc)
    videos = VideoHandlers(store, objects, log.publisher(), now_utc)
    handle = Dispatch(videos, committer, turns, previews.turns).table
    profiles = set(await store.profiles.ids())

    _, last = WAITING.encoded()
    await handle[type(last)](last)
    (found,) = [decode(BY_NAME[message.topic], message.value) for message in log.messages("gallery.commits")]
    assert isinstance(found, VideoPeopleFound)
    await handle[VideoPeopleFound](found)
    while await turns.round():
        pass
    appearances = await store.appearances.find(eq(AppearanceRecord.video_id, WAITING.video_id))
    assert len(appearances) == 2
    assert {one.profile_id for one in appearances} <= profiles == set(await store.profiles.ids())

    profile = appearances[0].profile_id
    rename = RenameProfile(event_id="r", occurred_at=now_utc(), gallery="archive", profile_id=profile, name="Bo")
    await handle[RenameProfile](rename)
    while await turns.round():
        pass
    renamed = await store.profiles.get(profile)
    assert renamed is not None
    assert renamed.name == "Bo"
