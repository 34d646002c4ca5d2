"""Who hears of a gallery: what query-api does for them, on servers in memory, and what arrives."""

import json
from collections.abc import Sequence
from typing import Any

from castlist.adapters.memory import MemoryCalls
from castlist.ports.web_calls import WebCalls
from castlist.store.query import eq
from castlist.store.records.alerts import WatchRecord, WebhookRecord
from query_api.alerts.feed_numbering import number
from query_api.alerts.feed_reading import last_place, parts_from
from query_api.alerts.retry_policy import RetryPolicy
from query_api.alerts.sender import Sender
from query_api.alerts.watching import Watching
from query_api.read_model import ReadModel
from testkit.in_memory import InMemory

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Alerted:
    """The process, started anew by `start`; `calls` is all that its receivers were sent."""

    def __init__(self, servers: InMemory, gallery: str, policy: RetryPolicy | None = None) -> None:
        self.servers, self.gallery, self.policy = servers, gallery, policy or RetryPolicy()
        self.calls = MemoryCalls()
        self._reached: WebCalls = servers.faults.around(self.calls)
        self.start()

    def start(self) -> None:
        """As after a crash: what is not stored is lost."""
        store, clock = self.servers.store, self.servers.clock
        self._watching = Watching(store, ReadModel(store), clock)
        self._sender = Sender(store, self._reached, clock, lambda: True, self.policy)

    async def webhook(self, id: str = "webhook", events: Sequence[str] = ()) -> str:
        """A receiver of what happens from now on."""
        await self.servers.stored.webhooks.insert(
            WebhookRecord(
                id=id,
                gallery=self.gallery,
                url=f"https://{id}.example/hook",
                secret=SECRET,
                events=tuple(events),
                created_at=self.servers.clock(),
                digest="",
                passed=await last_place(self.servers.stored, self.gallery),
            )
        )
        return id

    async def watch(self, profile: str, id: str = "watch") -> str:
        """Somebody wants to hear of a person."""
        await self.servers.stored.watches.insert(
            WatchRecord(
                id=id, gallery=self.gallery, profile_id=profile, holder=profile, created_at=self.servers.clock()
            )
        )
        return id

    async def round(self) -> None:
        """All that there is to do now, by a process that is started anew where it dies."""

        async def step() -> None:
            try:
                while await number(self.servers.store) or await self._watching.round():
                    pass
                await self._sender.round()
                await self._sender.idle()
            except BaseException:
                self.start()
                raise

        await self.servers.repeat(step)

    async def settle(self) -> None:
        """Until nothing is left to be done; a receiver that never answers keeps it going."""
        await self.round()
        while await self.servers.stored.webhooks.count(eq(WebhookRecord.waiting, True)):
            await self.round()

    async def feed(self) -> list[dict[str, Any]]:
        """All that was said of the gallery, in order."""
        said: list[dict[str, Any]] = []
        at = 1
        while parts := await parts_from(self.servers.stored, self.gallery, at):
            said += [json.loads(event.text) for part in parts for event in part.events()]
            at = parts[-1].number + 1
        return said

    def arrived(self, webhook: str = "webhook") -> list[dict[str, Any]]:
        """What a webhook was sent, in that order, repetitions too."""
        return [json.loads(call.body)["data"] for call in self.calls.received if f"//{webhook}." in call.url]

    async def alerts(self, watch: str = "watch") -> list[str]:
        """The videos of which a watch has spoken, in that order."""
        return [said["video_id"] for said in await self.feed() if said.get("watch_id") == watch]
