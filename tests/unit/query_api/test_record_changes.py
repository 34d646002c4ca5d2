"""Following a task: clients are told of a change when it happens, and of none that there is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import pytest

from castlist.adapters.memory import MemoryDocuments
from castlist.clock import now_utc
from castlist.contract.ids import task_id
from castlist.ports.errors import UnavailableError
from castlist.service.periodic import in_background
from castlist.store.query import set_to, with_id
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from query_api import record_changes
from query_api.endpoints.videos import tasks
from query_api.endpoints.videos.tasks import Tasks
from query_api.http.rendering import Json
from query_api.read_model import ReadModel
from query_api.record_changes import RecordChanges
from testkit.stored import Stored

LONG = 60.0
"""Longer than any of these tests takes: what comes sooner comes because something changed."""


@pytest.fixture
def changes(store: Store) -> RecordChanges:
    """Those of the tasks."""
    return RecordChanges(store.tasks)


async def _task(store: Store) -> tuple[str, Json]:
    """A queued task: its video, and the task as shown."""
    video = await Stored(store, "g").video(status=lifecycle.QUEUED)
    task = await ReadModel(store).task(task_id(video, 1), now_utc())
    assert task is not None
    return video, task


@asynccontextmanager
async def _states(
    store: Store, changes: RecordChanges, task: Json, comment_every: float = LONG
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The stream that a client gets; TimeoutError where nothing comes for ever."""
    states: Any = Tasks(ReadModel(store), changes, comment_every)._states(task)
    async with asyncio.timeout(LONG / 2), aclosing(states) as stream:
        yield stream


async def _done(store: Store, video: str) -> None:
    await lifecycle.finish(store, video, 1, lifecycle.DONE, now_utc())


async def test_a_change_is_told_when_it_happens(store: Store, changes: RecordChanges) -> None:
    """Nobody waits for the next look at the clock; a change of another task is none of this one."""
    video, task = await _task(store)
    other, _ = await _task(store)
    said: list[bytes] = []
    async with in_background(changes.run()), _states(store, changes, task) as states:
        async for block in states:
            said.append(block)
            if len(said) == 1:
                await _done(store, other)
                await store.tasks.update(with_id(task["id"]), set_to(TaskRecord.progress, 0.5))
            if len(said) == 2:
                await _done(store, video)
    assert [b'"progress":0.5' in one for one in said] == [False, True, False]
    assert b'"status":"done"' in said[-1]


async def test_what_changed_before_the_stream_began_is_told(store: Store, changes: RecordChanges) -> None:
    """Between the look at the task that answers the request and the first event lies time."""
    video, task = await _task(store)
    await _done(store, video)
    async with _states(store, changes, task) as states:
        assert [b'"status":"done"' in block async for block in states] == [False, True]


async def test_what_changed_while_the_stream_of_changes_was_broken_off_is_told(
    store: Store, documents: MemoryDocuments, changes: RecordChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB tells nothing of what happened while it was away: all that are followed are looked at then."""
    video, task = await _task(store)
    listen, tries = documents.changes, 0

    def broken_at_first(collection: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        nonlocal tries
        tries += 1
        return away_after_a_change() if tries == 1 else listen(collection)

    @asynccontextmanager
    async def away_after_a_change() -> AsyncIterator[AsyncIterator[str]]:
        await _done(store, video)
        raise UnavailableError
        yield

    monkeypatch.setattr(documents, "changes", broken_at_first)
    monkeypatch.setattr(record_changes, "_AGAIN", 0.0)
    with changes.followed(task["id"]) as changed:
        changed.clear()
        async with in_background(changes.run()):
            await changed.wait()
    assert tries == 2


async def test_a_task_that_cannot_be_read_when_it_changed_is_read_later(
    store: Store, documents: MemoryDocuments, changes: RecordChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is not forgotten while the database is away, and the client stays connected."""
    video, task = await _task(store)
    get, tries = documents.get, 0

    async def away_at_first(collection: str, id: str) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise UnavailableError
        return await get(collection, id)

    await _done(store, video)
    monkeypatch.setattr(documents, "get", away_at_first)
    monkeypatch.setattr(tasks, "_AGAIN", 0.0)
    async with _states(store, changes, task) as states:
        assert [b'"status":"done"' in block async for block in states] == [False, True]


async def test_a_stream_without_news_is_kept_open_by_comments(store: Store, changes: RecordChanges) -> None:
    """Nothing is repeated as an event while nothing changes; comments come in between."""
    video, task = await _task(store)
    sent: list[bytes] = []
    async with in_background(changes.run()), _states(store, changes, task, 0.002) as states:
        async for block in states:
            sent.append(block)
            if len(sent) == 4:
                await _done(store, video)
    comments = [block.startswith(b":") for block in sent]
    assert comments[:4] == [False, True, True, True]
    assert comments[-1] is False
    assert comments.count(False) == 2


async def test_nothing_is_kept_of_who_has_gone(changes: RecordChanges) -> None:
    """However many tasks were followed."""
    with changes.followed("a"), changes.followed("a"), changes.followed("b"):
        pass
    assert not changes._followers
