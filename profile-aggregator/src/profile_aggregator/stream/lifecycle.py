"""Start, watch and stop the Faust app such that nothing is acknowledged that was not done."""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from castlist.ports.documents import Documents
from castlist.ports.errors import Unavailable
from castlist.store.collections import OWNERS
from profile_aggregator.stream.agent_loop import (
    EXIT_CRASHED,
    EXIT_NOT_COMMITTED,
    EXIT_NOT_DRAINED,
    EXIT_OWNED_ELSEWHERE,
    EXIT_STUCK,
    Progress,
)

log = logging.getLogger(__name__)
NONCE = uuid.uuid4().hex
# Longer than MongoDB keeps the transaction of a process that was killed inside it, and than Kafka's session.
PATIENCE = 45.0


async def wait_until_up(documents: Documents) -> None:
    """Return once MongoDB answers: nothing can be done before."""
    while True:
        try:
            return await documents.ping()
        except Unavailable as error:
            log.warning("waiting for MongoDB", extra={"reason": str(error)[:200]})
            await asyncio.sleep(1)


async def own(documents: Documents, instance: str) -> None:
    """Say that this process runs under `instance` now; an older one that still lives sees it and exits."""
    await documents.update(OWNERS, {"_id": instance}, {"$set": {"nonce": NONCE}}, upsert=True)


async def watchdog(app: Any, documents: Documents, instance: str, progress: Progress) -> None:
    """Exit hard when somebody else runs under our id, or when there is work and none of it gets done."""
    while True:
        await asyncio.sleep(1)
        try:
            owner = await documents.get(OWNERS, instance)
        except Unavailable:
            progress.last = time.monotonic()  # MongoDB away is no reason to die, nor to stop watching
            continue
        if owner is not None and owner["nonce"] != NONCE:
            log.error("another process runs under this member id", extra={"instance": instance})
            os._exit(EXIT_OWNED_ELSEWHERE)
        if progress.outage or (lag(app) == 0 and not progress.busy):
            progress.last = time.monotonic()
        elif progress.idle_seconds() > PATIENCE:
            log.error("stuck", extra={"lag": lag(app), "busy": progress.busy})
            os._exit(EXIT_STUCK)


def lag(app: Any) -> int:
    """Messages in our partitions that were not committed yet, as far as known."""
    consumer = app.consumer
    total = 0
    for tp in consumer.assignment():
        high = consumer.highwater(tp) or 0
        committed = consumer._committed_offset[tp]
        total += max(0, high - (committed or 0)) if high else 0
    return total


async def run(app: Any, progress: Progress, ready: Callable[[], Awaitable[None]]) -> None:
    """Run until SIGTERM or SIGINT; does not return. A crash of any part ends the process, to be started again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    app.finalize()
    await app.start()
    # After the start: Faust's worker is not used, and nothing else may take the signals over.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await ready()
    stopping = asyncio.create_task(stop.wait())
    crashed = asyncio.create_task(app.wait_until_stopped())
    await asyncio.wait({stopping, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        log.error("the Faust app stopped by itself")
        os._exit(EXIT_CRASHED)
    await _drain(app, progress)


async def _drain(app: Any, progress: Progress) -> None:
    # Faust acknowledges what it cancels. So: finish what is in hand, commit, make later commits impossible, stop.
    progress.draining = True
    started = time.monotonic()
    while progress.busy and time.monotonic() - started < 5:  # noqa: ASYNC110 - five seconds at most
        await asyncio.sleep(0.01)
    if progress.busy:
        os._exit(EXIT_NOT_DRAINED)
    if not await _within(app.consumer.commit(), 2):
        os._exit(EXIT_NOT_COMMITTED)

    async def frozen(*_: Any, **__: Any) -> bool:
        return False

    app.consumer.force_commit = frozen
    await _within(app.stop(), 2)
    os._exit(0)


async def _within(work: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Whether `work` succeeds in time. Not with wait_for: that waits for what it cancels, and Faust may not end."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return bool(done) and not task.cancelled() and task.exception() is None
