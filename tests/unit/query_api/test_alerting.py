"""The loops that number, watch and send, in one process of several."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from castlist.store.query import eq
from castlist.store.records import GalleryLogRecord
from castlist.store.store import Store
from query_api.alerts.alerting import LEASE, Alerting
from query_api.alerts.feed_numbering import number
from query_api.alerts.lease import Lease
from query_api.alerts.retry_policy import RetryPolicy
from query_api.alerts.sender import Sender
from query_api.alerts.watching import Watching
from query_api.read_model import ReadModel
from testkit.alerted import Alerted
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.eventually import eventually_async


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


async def test_two_that_number_at_once_give_each_its_number(store: Store) -> None:
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
