"""Databases of before are brought up to date, however often and by whoever starts first."""

import asyncio
from datetime import UTC, datetime

from castlist.contract.commands import RenameProfile
from castlist.ports.documents import Documents
from castlist.store import outbox
from castlist.store.migrations import STEPS, migrate
from castlist.store.query import ascending
from castlist.store.records import (
    CommandRecord,
    InstanceRecord,
    LedgerRecord,
    PendingCommand,
    PendingRecord,
    PendingVideo,
    ResolvedCancelRecord,
    TopicsRecord,
)
from castlist.store.store import Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RENAME = {"event": "RenameProfile", "event_id": "r", "gallery": "g", "profile_id": "p", "name": "Ada"}


async def test_a_new_database_has_the_default_gallery(documents: Documents) -> None:
    """And nothing is done twice."""
    assert await migrate(documents, NOW) == [number for number, _ in STEPS]
    assert await migrate(documents, NOW) == []
    assert await Store(documents).galleries.ids() == ["default"]


async def test_names_of_before_0_1_0_are_the_names_of_today(documents: Documents) -> None:
    """Nothing is lost of what was kept under them: cancels, members, losses of Kafka, commands that wait."""
    await documents.insert("controls", {"_id": "c", "epoch": 3, "at": NOW})
    await documents.insert("owners", {"_id": "aggregator-1", "nonce": "n"})
    await documents.insert("owners", {"_id": "kafka", "topics_created": 12, "creations": 2})
    waiting = {"_id": "command:r", "kind": "RenameProfile", "gallery": "g", "command": RENAME, "created_at": NOW}
    await documents.insert("pending", {**waiting, "persons": []})
    people = {"_id": "v:1", "kind": "people", "gallery": "g", "video_id": "v", "epoch": 1, "persons": []}
    await documents.insert("pending", {**people, "created_at": NOW})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    store = Store(documents)
    assert await store.resolved_cancels.find() == [ResolvedCancelRecord(id="c", epoch=3, at=NOW)]
    assert await store.instances.find() == [InstanceRecord(id="aggregator-1", nonce="n")]
    assert await store.topics.find() == [TopicsRecord(id="kafka", created=2, made_good=1)]
    command = PendingCommand(id="command:r", gallery="g", created_at=NOW, name="RenameProfile", command=RENAME)
    video = PendingVideo(id="v:1", gallery="g", created_at=NOW, video_id="v", epoch=1, persons=())
    assert await store.pending.find(sort=[ascending(PendingRecord.id)]) == [command, video]
    assert await documents.find("controls", {}) == await documents.find("owners", {}) == []


async def test_commands_of_before_get_an_outcome(documents: Documents) -> None:
    """Those that wait in `pending`, and those that lie in the outbox alone; not those that were carried out."""
    store = Store(documents)
    orders = [
        RenameProfile(event_id=id, occurred_at=NOW, gallery="g", profile_id="p", name=id) for id in ("a", "b", "c")
    ]
    await store.pending.insert(
        PendingCommand(
            id="command:a", gallery="g", created_at=NOW, name="RenameProfile", command=orders[0].model_dump(mode="json")
        )
    )
    await store.outbox.insert_many(outbox.entry(order, NOW) for order in orders)
    await store.ledger.insert(LedgerRecord(id="g:command:c", at=NOW))
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    assert await store.commands.find(sort=[ascending(CommandRecord.id)]) == [
        CommandRecord(id=id, gallery="g", kind="rename_profile", at=NOW) for id in ("a", "b")
    ]
    assert sorted(await store.pending.ids()) == ["command:a", "command:b"]


async def test_what_ended_tasks_were_worked_out_from_is_cleared(documents: Documents) -> None:
    """Those of before are due; those that ended since, or are open, have their own time or none."""
    for task, status in (("a", "done"), ("b", "processing"), ("c", "cancelled")):
        await documents.insert("tasks", {"_id": task, "video_id": task, "epoch": 1, "status": status})
    await documents.insert("tasks", {"_id": "d", "video_id": "d", "epoch": 1, "status": "done", "clear_after": None})
    await migrate(documents, NOW)
    due = {one["_id"]: one.get("clear_after") for one in await documents.find("tasks", {})}
    assert due == {"a": NOW, "b": None, "c": NOW, "d": None}
