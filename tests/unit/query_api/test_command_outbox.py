"""Commands that wait for Kafka."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from castlist.adapters.memory import MemoryLog, MemoryPublisher
from castlist.clock import now_utc
from castlist.contract.codec import decode
from castlist.contract.commands import RenameProfile
from castlist.contract.topics import GALLERY_COMMITS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.store.store import Store
from query_api.command_outbox import CommandOutbox


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
    commands = CommandOutbox(store, relay)
    for name in ("Ada", "Bo", "Cy"):
        rename = RenameProfile(event_id=name, occurred_at=now_utc(), gallery="g", profile_id="p", name=name)
        await commands.accept(rename, "g")
        with pytest.raises(UnavailableError):
            await relay.sweep(timedelta(0))
    assert log.messages(GALLERY_COMMITS.name) == []
    publisher.refusing = False
    await relay.sweep(timedelta(0))
    published = [decode(GALLERY_COMMITS, message.value or b"") for message in log.messages(GALLERY_COMMITS.name)]
    assert [one.event_id for one in published] == ["Ada", "Bo", "Cy"]
