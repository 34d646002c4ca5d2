"""Commands on a gallery: accepted here, carried out by the aggregator. They wait in the outbox until Kafka has them."""

from collections.abc import Sequence

from starlette.responses import Response

from castlist.api.resources import CommandAccepted
from castlist.clock import now_utc
from castlist.contract.events import Event
from castlist.contract.ids import command_ledger_key
from castlist.contract.topics import GALLERY_COMMITS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.operations import Reply, problem
from castlist.store import outbox
from castlist.store.query import ascending, eq, one_of, with_ids
from castlist.store.records import OutboxKey, OutboxRecord
from castlist.store.store import Store
from query_api.http.rendering import json_response

COMMANDED = {
    202: Reply("The command is accepted; it takes effect with the gallery's next commit.", CommandAccepted),
    422: problem("The body, or a field of it, is not valid."),
}


class CommandOutbox:
    """Where endpoints leave their commands."""

    def __init__(self, store: Store, relay: OutboxRelay) -> None:
        self._store, self._relay = store, relay

    async def accept(self, command: Event, gallery: str) -> Response:
        """202 once the command is journaled."""
        await outbox.add(self._store, command, now_utc())
        self._relay.wake()
        return json_response({"command": command.event_id, "gallery": gallery}, 202)

    async def waiting(self, gallery: str) -> list[OutboxRecord]:
        """Commands on the gallery that were accepted and are not carried out, oldest first."""
        where = eq(OutboxRecord.topic, GALLERY_COMMITS.name) & eq(OutboxRecord.key, gallery)
        accepted = await self._store.outbox.find(where, sort=[ascending(OutboxRecord.created_at)])
        ids = {one.id: command_ledger_key(one.key, one.id) for one in accepted}
        carried_out = set(await self._store.ledger.ids(with_ids(ids.values()))) if ids else set()
        return [one for one in accepted if ids[one.id] not in carried_out]

    async def galleries_waiting(self, galleries: Sequence[str]) -> set[str]:
        """Those of the galleries for which a command was accepted and is not carried out."""
        where = eq(OutboxRecord.topic, GALLERY_COMMITS.name) & one_of(OutboxRecord.key, galleries)
        accepted = await self._store.outbox.find_parts(OutboxKey, where)
        ids = {command_ledger_key(one.key, one.id): one.key for one in accepted}
        carried_out = set(await self._store.ledger.ids(with_ids(ids))) if ids else set()
        return {gallery for id, gallery in ids.items() if id not in carried_out}
