"""The loops that number, watch and send, in one process of several."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from castlist.store.query import eq
from castlist.store.records.alerts import WatchedProfiles
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.store import Store
from query_api.alerts.alerting import LEASE, Alerting
from query_api.alerts.feed_numbering import number, touched_by
from query_api.alerts.feed_reading import FeedPart, parts_from
from query_api.alerts.lease import Lease
from query_api.alerts.retry_policy import RetryPolicy
from query_api.alerts.sender import Sender
from query_api.alerts.watching import Watching
from query_api.read_model import ReadModel
from testkit.alerted import Alerted
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.eventually import eventually_async
from testkit.stored import START


@asynccontextmanager
async def process(gallery: CorrectedGallery, alerted: Alerted, owner: str) -> AsyncIterator[asyncio.Task[None]]:
    """One that runs while inside, told to stop at the end."""
    store, clock = gallery.servers.stored, gallery.servers.clock
    lease = Lease(store, LEASE, owner)
    sender = Sender(store, alerted.calls, clock, lambda: lease.held, RetryPolicy())
    alerting = Alerting(store, lease, Watching(store, ReadModel(store), clock), sender, lambda: None)
    running = asyncio.create_task(alerting.run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_of_two_processes_one_sends_and_the_other_takes_over() -> None:
    """Each message once and in order; at once where the first was told to stop."""
    gallery = CorrectedGallery()
    alerted = Alerted(gallery.servers, G)
    await alerted.webhook()
    async with process(gallery, alerted, "one"):
        await eventually_async(lambda: gallery.servers.stored.leases.count())
        async with process(gallery, alerted, "other"):
            await gallery.video("a", {0: 0.0})
            await eventually_async(lambda: len(alerted.arrived()) == 3)
    async with process(gallery, alerted, "third"):
        await gallery.video("b", {0: 0.0})
        await eventually_async(lambda: len(alerted.arrived()) == 5)
    assert alerted.arrived() == await alerted.feed()
    assert await gallery.servers.stored.leases.count() == 0


async def test_two_that_number_at_once_give_each_its_number() -> None:
    """Without a hole, and in the order of the versions."""
    gallery = CorrectedGallery()
    for n in range(6):
        await gallery.video(f"v{n}", {0: float(n)})
    stored = gallery.servers.stored
    await asyncio.gather(*(number(stored) for _ in range(4)))
    while await number(stored):
        pass
    logged = sorted(await stored.gallery_log.find(eq(GalleryLogRecord.gallery, G)), key=lambda one: one.version)
    assert [one.number for one in logged] == list(range(1, len(logged) + 1))


async def test_versions_are_numbered_in_their_order(store: Store) -> None:
    """In whatever order they lie there."""
    for version, part in ((3, 0), (1, 1), (2, 0), (1, 0)):
        said = GalleryLogRecord(
            id=f"{G}:{version}:{part}", gallery=G, version=version, part=part, events=("{}",), at=START
        )
        await store.gallery_log.insert(said)
    assert await number(store) == [G]
    logged = {one.id: one.number for one in await store.gallery_log.find()}
    assert logged == {f"{G}:1:0": 1, f"{G}:1:1": 2, f"{G}:2:0": 3, f"{G}:3:0": 4}


async def test_what_is_said_while_the_sender_comes_to_its_end_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has seen that there is nothing more, and then there is."""
    gallery = CorrectedGallery()
    alerted = Alerted(gallery.servers, G)
    await alerted.webhook()
    await gallery.video("a", {0: 0.0})
    told: list[int] = []

    async def nothing_yet(store: Store, of: str, first: int) -> list[FeedPart]:
        found = await parts_from(store, of, first)
        if not found and not told:
            told.append(first)
            await gallery.video("b", {0: 0.0})
            await number(gallery.servers.stored)
        return found

    monkeypatch.setattr("query_api.alerts.sender.parts_from", nothing_yet)
    await alerted.round()
    assert told
    assert alerted.arrived() == await alerted.feed()


@pytest.mark.parametrize("field", ["profile_id", "retired", "into", "from_profile", "to_profile"])
def test_a_watch_is_touched_by_what_names_its_profile(field: str) -> None:
    """Or the one that holds its people; whatever is said of it."""
    watches = [
        WatchedProfiles(id="w1", profile_id="p", holder="h"),
        WatchedProfiles(id="w2", profile_id="q", holder=None),
    ]
    assert touched_by([json.dumps({field: "p"})], watches) == ["w1"]
    assert touched_by([json.dumps({field: "h"}), json.dumps({field: "q"})], watches) == ["w1", "w2"]
    assert touched_by([json.dumps({field: "x", "video_id": "p"})], watches) == []


async def test_a_gallery_whose_feed_cannot_be_numbered_holds_up_no_other() -> None:
    """A mistake of ours about one is logged, and the others are told of."""
    gallery = CorrectedGallery()
    await gallery.video("a", {0: 0.0})
    alerted = Alerted(gallery.servers, G)
    store = gallery.servers.stored
    wrong = GalleryLogRecord(
        id="a:1:0", gallery="a", version=1, part=0, events=("no event",), at=gallery.servers.clock()
    )
    await store.gallery_log.insert(wrong)
    other = Alerted(gallery.servers, "a")
    await other.watch("nobody")
    assert await number(store) == [G]
    assert await alerted.feed()
