"""The loop every agent runs. Faust takes an exception in an agent for an acknowledgement, so none leaves this loop."""

import asyncio
import logging
import os

from castlist.contract.topics import Topic
from castlist.messaging.delivery import Handler, deliver
from castlist.messaging.liveness import Liveness
from castlist.ports.messages import Message, Publisher
from castlist.service.exit_codes import ExitCode
from profile_aggregator.stream.faust_app import Stream

log = logging.getLogger(__name__)


class AgentState:
    """What the loops, the watchdog and the shutdown know of each other."""

    def __init__(self) -> None:
        self.liveness = Liveness()
        self.draining = False


async def consume(stream: Stream, topic: Topic, handler: Handler, publisher: Publisher, state: AgentState) -> None:
    """Take one message after the other. What goes wrong about one is dealt with in `deliver`; if that fails itself, the
    process ends.

    A message counts as acknowledged when the loop asks for the next one.
    """
    async for received in stream.events():
        if state.draining:
            await asyncio.Event().wait()  # parked: the shutdown must not find this one acknowledged
        raw = received.message
        message = Message(topic.name, raw.partition, raw.offset, raw.key, raw.value)
        with state.liveness.at_work(topic.name):
            try:
                await deliver(message, topic, handler, publisher)
            except asyncio.CancelledError:
                os._exit(ExitCode.CANCELLED)  # to raise it would acknowledge the message
            except BaseException:
                log.exception("delivery_failed", extra={"topic": topic.name, "offset": message.offset})
                os._exit(ExitCode.BUG)
