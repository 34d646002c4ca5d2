"""Commands that are accepted: none can be lost, each has an outcome."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import httpx2
import orjson
import pytest
from starlette.requests import Request

from castlist.adapters.memory import MemoryLog, MemoryPublisher
from castlist.api.change_history import Change
from castlist.clock import now_utc
from castlist.contract.codec import decode
from castlist.contract.commands import RenameProfile
from castlist.contract.topics import GALLERY_COMMITS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.store.records.change_history import CommandError
from castlist.store.store import Store
from castlist.tasks.commands import fail_in, stage
from castlist.tasks.galleries import ensure_gallery
from query_api.command_outbox import CommandOutbox
from query_api.record_changes import RecordChanges
from testkit.stored import Stored

ASKED = Request({"type": "http", "headers": []})


async def test_commands_are_published_in_the_order_they_came(store: Store) -> None:
    """Kafka refuses the first one; when it takes them again, the later name is still the later one."""
    log = MemoryLog()

    class Flaky(MemoryPublisher):
        refusing = True

        async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
            if self.refusing:
                raise UnavailableError("away")
            await super().publish_entries(entries)

    publisher = Flaky(log)
    relay = OutboxRelay(store, publisher, now_utc, [GALLERY_COMMITS])
    commands = CommandOutbox(store, relay, RecordChanges(store.changes), patience=0.0)
    for name in ("Ada", "Bo", "Cy"):
        await commands.accept(rename(name, name), ASKED)
        with pytest.raises(UnavailableError):
            await relay.sweep(timedelta(0))
    assert log.messages(GALLERY_COMMITS.name) == []
    publisher.refusing = False
    await relay.sweep(timedelta(0))
    published = [decode(GALLERY_COMMITS, message.value or b"") for message in log.messages(GALLERY_COMMITS.name)]
    assert [one.event_id for one in published] == ["Ada", "Bo", "Cy"]


def rename(id: str, name: str = "Ada") -> RenameProfile:
    """The order to name a profile."""
    return RenameProfile(event_id=id, occurred_at=now_utc(), gallery="g", profile_id="p", name=name)


async def test_a_command_is_pending_from_the_moment_it_is_accepted(
    client: httpx2.AsyncClient, store: Store, commands: CommandOutbox
) -> None:
    """Kafka's part is the doorbell: what it loses is carried out all the same. The answer says where to ask."""
    answer = await commands.accept(rename("r"), ASKED)
    assert (answer.status_code, answer.headers["location"]) == (202, "/changes/r")
    assert await store.pending.ids() == ["command:r"]
    assert await store.outbox.ids() == ["r"]
    shown = (await client.get("/commands/r")).json()
    assert shown == orjson.loads(answer.body) == (await client.get("/changes/r")).json()
    assert shown.pop("at").endswith("Z")
    assert shown == {
        "id": "r", "gallery": "g", "kind": "rename", "status": "pending", "by": None, "gallery_version": None,
        "profiles": [], "detail": {}, "undoes": None, "undone_by": None, "receipt": None, "error": None,
    }  # fmt: skip


async def test_a_failed_command_says_why_and_stays(client: httpx2.AsyncClient, store: Store) -> None:
    """As a problem; one that is unknown is 404."""
    await stage(store, rename("r"), now_utc())
    await fail_in(store, "r", now_utc(), CommandError("not_found", "There is no such profile."))
    shown = (await client.get("/commands/r")).json()
    assert (shown["status"], shown["error"]["status"], shown["error"]["detail"]) == (
        "failed", 404, "There is no such profile."
    )  # fmt: skip
    assert Change.model_validate(shown).final
    unknown = await client.get("/commands/nobody")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "There is no such command.")


async def test_a_deletion_that_failed_can_be_ordered_again(client: httpx2.AsyncClient, store: Store) -> None:
    """As another command; while it is pending it is the same one."""
    video = await Stored(store, "g").video()
    first, second = [(await client.delete(f"/videos/{video}")).json()["id"] for _ in range(2)]
    assert first == second
    await fail_in(store, first, now_utc(), CommandError("internal", "It could not be carried out."))
    third = (await client.delete(f"/videos/{video}")).json()["id"]
    assert third != first
    assert len(await store.pending.ids()) == 2


@pytest.mark.parametrize("patience", [60.0])
async def test_who_waits_for_settings_to_take_effect_keeps_nobody_else_waiting(
    client: httpx2.AsyncClient, store: Store
) -> None:
    """A command holds all settings, so they are made one after the other; their outcomes come when they come."""
    for gallery in ("g", "h"):
        await ensure_gallery(store, gallery, now_utc())
    body = {"smallest_face": 80}
    first = asyncio.create_task(client.patch("/galleries/g/settings", json=body))
    await asyncio.wait([first], timeout=1.0)
    assert await store.changes.count() == 1
    async with asyncio.timeout(20):
        second = await client.patch("/galleries/h/settings", json=body, headers={"Prefer": "respond-async"})
    assert second.status_code == 202
    assert not first.done()
    first.cancel()
