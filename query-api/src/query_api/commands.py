"""Commands on a gallery: accepted here, carried out by the aggregator. They wait in the outbox until Kafka has them."""

import contextlib

from starlette.background import BackgroundTask
from starlette.responses import Response

from castlist import outbox
from castlist.events import Event, now_utc
from castlist.ports import Document, Documents, Publisher, Unavailable
from query_api.responses import answer


class Commands:
    """Where endpoints leave their commands."""

    def __init__(self, documents: Documents, publisher: Publisher) -> None:
        self._documents, self._publisher = documents, publisher

    async def accept(self, command: Event, gallery: str) -> Response:
        """202 once the command is journaled."""
        entry = await outbox.add(self._documents, command, now_utc())
        body = {"command": command.event_id, "gallery": gallery}
        return answer(body, 202, BackgroundTask(self._publish, entry))

    async def _publish(self, entry: Document) -> None:
        with contextlib.suppress(Unavailable):  # the aggregator sweeps what is left
            await outbox.publish(self._documents, self._publisher, [entry], now_utc())
