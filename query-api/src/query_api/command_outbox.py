"""Commands on a gallery: accepted here, carried out by the aggregator. They wait in the outbox until Kafka has them."""

import asyncio
import logging

from starlette.responses import Response

from castlist.clock import now_utc
from castlist.contract.events import Event
from castlist.contract.topics import GALLERY_COMMITS
from castlist.ports.documents import Documents
from castlist.ports.errors import Unavailable
from castlist.ports.messages import Publisher
from castlist.store import outbox
from castlist.store.collections import OUTBOX
from query_api.http.responses import answer

log = logging.getLogger(__name__)
_PAUSE = 1.0


class Commands:
    """Where endpoints leave their commands."""

    def __init__(self, documents: Documents, publisher: Publisher) -> None:
        self._documents, self._publisher = documents, publisher
        self._news = asyncio.Event()
        self._news.set()  # what a former process left

    async def accept(self, command: Event, gallery: str) -> Response:
        """202 once the command is journaled."""
        await outbox.add(self._documents, command, now_utc())
        self._news.set()
        return answer({"command": command.event_id, "gallery": gallery}, 202)

    async def run(self) -> None:
        """Publish what was accepted, until cancelled.

        Always all that is left, oldest first: of two names given to a profile, the later one is to stay, also when
        Kafka came back in between.
        """
        where = {"topic": GALLERY_COMMITS.name, "published_at": None}
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                left = await self._documents.find(OUTBOX, where, sort=[("created_at", 1), ("order", 1)])
                await outbox.publish(self._documents, self._publisher, left, now_utc())
            except Unavailable as error:
                log.warning("commands wait", extra={"reason": str(error)[:300]})
            except Exception:
                log.exception("cannot publish commands")
            else:
                continue
            self._news.set()
            await asyncio.sleep(_PAUSE)
