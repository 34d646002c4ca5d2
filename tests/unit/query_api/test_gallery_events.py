"""A gallery's feed as server-sent events: from now on, or from where one was cut off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2
import pytest

from castlist.ports.errors import UnavailableError
from castlist.store.query import eq, with_ids
from castlist.store.records.alerts import Place
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from query_api.alerts import feed_reading
from query_api.alerts.feed_reading import last_place
from query_api.alerts.feed_stream import place_in, stream
from query_api.record_changes import RecordChanges
from testkit.alerted import Alerted
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.stored import Stored


class Follower:
    """Somebody who reads the stream."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._blocks = lines
        self.last = ""

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event: its name and data. Comments are ("", {})."""
        async with asyncio.timeout(20):
            block = (await anext(self._blocks)).decode()
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        self.last = fields.get("id", self.last)
        return fields.get("event", ""), json.loads(fields.get("data", "{}"))

    async def some(self, count: int) -> list[dict[str, Any]]:
        """The data of so many events."""
        return [(await self.next())[1] for _ in range(count)]


@asynccontextmanager
async def following(store: Store, passed: Place, comment_every: float = 15.0) -> AsyncIterator[Follower]:
    changes = RecordChanges(store.feeds)
    listening = asyncio.create_task(changes.run())
    async with aclosing(stream(store, changes, G, passed, comment_every)) as lines:  # type: ignore[type-var]
        follower = Follower(lines)
        await follower.next()
        yield follower
    listening.cancel()


@pytest.fixture
def gallery() -> CorrectedGallery:
    """Nobody is in it."""
    return CorrectedGallery()


@pytest.fixture
def alerted(gallery: CorrectedGallery) -> Alerted:
    """Who numbers its feed."""
    return Alerted(gallery.servers, G)


async def test_what_happens_is_told_as_it_happens(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Nothing of before, everything from then on, in order."""
    await gallery.video("a", {0: 0.0})
    await alerted.round()
    store, before = gallery.servers.stored, len(await alerted.feed())
    async with following(store, await last_place(store, G)) as follower:
        await gallery.video("b", {0: 0.1, 1: 5.0})
        await alerted.round()
        told = await follower.some(len(await alerted.feed()) - before)
        await gallery.card(await gallery.of("a"), name="Ann")
        await Stored(store, G).video("c", lifecycle.FAILED)
        await alerted.round()
        told += await follower.some(2)
    assert told == (await alerted.feed())[before:]


async def test_who_was_cut_off_goes_on_behind_the_last_event(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """At whichever event that was: nothing is missing, nothing comes twice."""
    for n in range(12):
        await gallery.video(f"v{n}", {0: 0.0, 1: 5.0})
    await Stored(gallery.servers.stored, G).video("c", lifecycle.FAILED)
    await alerted.round()
    store, feed = gallery.servers.stored, await alerted.feed()
    assert len(feed) > feed_reading.COMMITS_AT_ONCE
    async with following(store, Place()) as follower:
        ids = [follower.last] + [(await follower.next(), follower.last)[1] for _ in feed]
    for n, id in enumerate(ids[:-2]):
        place = place_in(id)
        assert place is not None
        async with following(store, place) as follower:
            assert await follower.some(2) == feed[n : n + 2]


async def test_what_is_kept_no_longer_is_said_to_be_missing(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """So that a reader can begin anew; once, and what is there follows."""
    for n in range(3):
        await gallery.video(f"v{n}", {0: 0.0})
        await alerted.round()
    store = gallery.servers.stored
    logged = await store.gallery_log.find(eq(GalleryLogRecord.gallery, G))
    kept = await alerted.feed()
    await store.gallery_log.delete(with_ids(one.id for one in logged if one.version < 3))
    async with following(store, Place(1, 1)) as follower:
        assert (await follower.next())[0] == "missed"
        last = [one for one in kept if one.get("gallery_version") == 3]
        assert await follower.some(len(last)) == last
    async with following(store, Place(3, 0)) as follower:
        assert (await follower.next())[0] != "missed"


async def test_a_comment_says_that_the_stream_lives(gallery: CorrectedGallery) -> None:
    """Where nothing happens for so long."""
    async with following(gallery.servers.stored, Place(), comment_every=0.05) as follower:
        assert await follower.next() == ("", {})
        assert await follower.next() == ("", {})


async def test_a_stream_outlives_an_outage(
    gallery: CorrectedGallery, alerted: Alerted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened meanwhile comes afterwards."""
    store, away = gallery.servers.stored, [True]
    found = store.feeds.get

    async def get(id: str) -> Any:
        if away[0]:
            away[0] = False
            raise UnavailableError("MongoDB is away")
        return await found(id)

    await gallery.video("a", {0: 0.0})
    await alerted.round()
    monkeypatch.setattr(store.feeds, "get", get)
    monkeypatch.setattr("query_api.alerts.feed_stream._AGAIN", 0.01)
    async with following(store, Place()) as follower:
        assert len(await follower.some(2)) == 2


async def test_where_to_go_on_is_an_id_of_this_stream(
    client: httpx2.AsyncClient, store: Store, gallery: CorrectedGallery
) -> None:
    """Anything else is refused, also what has not been said yet."""
    await Stored(store, G).video()
    for id in ("x", "1", "1.", ".1", "-1.0", "1.0.0", "2.0", "9999999999999999999999999999999999.1", "²5.1"):
        headers = {"Last-Event-ID": id.encode()}
        answer = await client.get(f"/galleries/{G}/events", headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 422, id
