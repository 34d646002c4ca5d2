"""Start, watch and stop the Faust app such that nothing is acknowledged that was not done."""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from castlist.service.exit_codes import ExitCode
from castlist.store import kafka_topics
from castlist.store.query import set_to
from castlist.store.records.installation import InstanceRecord
from castlist.store.store import Store
from profile_aggregator.stream.agent_loop import AgentState
from profile_aggregator.stream.faust_app import forbid_commits, mend

log = logging.getLogger(__name__)
NONCE = uuid.uuid4().hex
# Longer than MongoDB keeps the transaction of a process that was killed inside it, and than Kafka's session.
PATIENCE = 45.0
_DRAIN = 5.0


async def claim_instance(store: Store, instance: str) -> None:
    """Say that this process runs under `instance` now; an older one that still lives sees it and exits."""
    await store.instances.upsert(instance, set_to(InstanceRecord.nonce, NONCE))


async def ensure_ours(store: Store, instance: str, topics_created: int) -> None:
    """Exit hard when another process runs under our member id, or has made topics anew since we were started."""
    owner = await store.instances.get(instance)
    if owner is not None and owner.nonce != NONCE:
        log.error("instance_taken", extra={"instance": instance})
        os._exit(ExitCode.OWNED_ELSEWHERE)
    if (await kafka_topics.known(store)).created > topics_created:
        leave_lost_log([])


def leave_lost_log(missing: Sequence[str]) -> None:
    """Exit hard: our positions are of a log that is gone.

    Before anybody makes the topics anew. Until then Kafka refuses what we would still commit; and aiokafka, which
    repeats that without end, would get it accepted as soon as they are there.
    """
    log.error("topics_lost", extra={"topics": missing})
    os._exit(ExitCode.TOPICS_LOST)


async def run(app: Any, state: AgentState, ready: Callable[[], Awaitable[None]]) -> None:
    """Run until SIGTERM or SIGINT; does not return. A crash of any part ends the process, to be started again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    app.finalize()
    mend(app)
    await app.start()
    # After the start: Faust's worker is not used, and nothing else may take the signals over.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await ready()
    stopping = asyncio.create_task(stop.wait())
    crashed = asyncio.create_task(app.wait_until_stopped())
    await asyncio.wait({stopping, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        log.error("stopped_by_itself")
        os._exit(ExitCode.STOPPED_BY_ITSELF)
    await _drain(app, state)


async def _drain(app: Any, state: AgentState) -> None:
    # Faust acknowledges what it cancels. So: finish what is in hand, commit, make later commits impossible, stop.
    state.draining = True
    started = time.monotonic()
    while state.liveness.in_hand and time.monotonic() - started < _DRAIN:  # noqa: ASYNC110 - five seconds at most
        await asyncio.sleep(0.01)
    if state.liveness.in_hand:
        os._exit(ExitCode.NOT_DRAINED)
    if not await _succeeds(app.consumer.commit(), 2):
        os._exit(ExitCode.NOT_COMMITTED)
    forbid_commits(app)
    await _succeeds(app.stop(), 2)
    os._exit(0)


async def _succeeds(work: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Whether `work` succeeds in time. Not with wait_for: that waits for what it cancels, and Faust may not end."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return bool(done) and not task.cancelled() and task.exception() is None
