"""Commands on a gallery: accepted here, carried out by the aggregator."""

from starlette.responses import Response

from castlist.api.resources import CommandAccepted
from castlist.clock import now_utc
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.operations import Reply, problem
from castlist.store.store import Store
from castlist.tasks.commands import Command, stage
from query_api.http.rendering import json_response

COMMANDED = {
    202: Reply("The command is accepted; it takes effect with a commit of the gallery.", CommandAccepted),
    422: problem("The body, or a field of it, is not valid."),
}


class CommandOutbox:
    """Where endpoints leave their commands."""

    def __init__(self, store: Store, relay: OutboxRelay) -> None:
        self._store, self._relay = store, relay

    async def accept(self, command: Command) -> Response:
        """202 once the command is journaled: whatever becomes of Kafka, it will have an outcome."""
        await stage(self._store, command, now_utc(), announce=True)
        self._relay.wake()
        accepted = json_response({"command": command.event_id, "gallery": command.gallery}, 202)
        accepted.headers["Location"] = f"/commands/{command.event_id}"
        return accepted
