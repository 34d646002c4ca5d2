"""One message: decoded, handled, and dead-lettered where no retry would help. The one rule for all who read topics.

A server that is away is waited for. Anything else that goes wrong is about this one message: after some tries the work
that it is about is failed, the message lies among the dead letters, and whoever comes behind it goes on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from castlist.contract.codec import decode
from castlist.contract.errors import PermanentError
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.contract.values import in_short
from castlist.ports.errors import TooLargeError, UnavailableError
from castlist.ports.messages import Message, Publisher
from castlist.retry import retry_while_unavailable
from castlist.service.json_logging import about
from castlist.service.metrics import DEAD_LETTERS

log = logging.getLogger(__name__)
_TRIES = 3
_PAUSE = 0.5


class PostponedError(Exception):
    """The work on a message has failed, for the `tries`th time, and is to be tried again, behind what waits by then."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"failed {tries} times")
        self.tries = tries


class LeftToOthersError(Exception):
    """This process lacks what the work on a message needs; another may have it."""


class Handler(Protocol):
    """What is done with the events of a topic.

    Both may raise PermanentError (dealt with, and to be dead-lettered), and UnavailableError (to be called again).
    """

    async def handle(self, event: Event, /) -> None:
        """Returns when the message may be acknowledged; PostponedError to be given it again by a `Consumer`,
        LeftToOthersError to end that. Other exceptions are mistakes of ours about this event."""
        ...

    async def fail(self, event: Event, error: Exception, /) -> None:
        """`error` came up again and again: say to whom it concerns that the work on `event` has failed."""
        ...


async def deliver(
    message: Message, topic: Topic, handler: Handler, publisher: Publisher, *, keep_unreadable: bool = True
) -> None:
    """Returns when the message may be acknowledged, and raises nothing about it but PostponedError and
    LeftToOthersError.

    `keep_unreadable`: messages that cannot be decoded become dead letters here; False where another group's readers do
    that.
    """
    try:
        event = decode(topic, message.value)
    except PermanentError as error:
        if keep_unreadable:
            await _dead_letter(message, topic, publisher, str(error))
        return
    with about(video=getattr(event, "video_id", None), epoch=getattr(event, "epoch", None)):
        try:
            told = {"event": event.event, "event_id": event.event_id}
            handle = retry_while_unavailable(handler.handle)
            await attempted(lambda: handle(event), lambda error: _fail(event, error, handler), told)
        except PermanentError as error:
            await _dead_letter(message, topic, publisher, str(error))


async def attempted(
    step: Callable[[], Awaitable[None]],
    surrender: Callable[[Exception], Awaitable[None]],
    told: Mapping[str, object],
) -> None:
    """`step`, tried a few times where it fails over a mistake of ours, which `surrender` gets in the end.

    UnavailableError and PermanentError of either, PostponedError and LeftToOthersError are raised; `told` is logged
    with the others.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            await step()
            return
        except (PermanentError, PostponedError, LeftToOthersError, UnavailableError):
            raise
        except Exception as error:
            log.exception("handler_failed", extra={**told, "attempt": attempt})
            if attempt == _TRIES or isinstance(error, TooLargeError):
                await surrender(error)
                return
        await asyncio.sleep(_PAUSE)


def reason_of(error: Exception) -> str:
    """What is told of a mistake of ours."""
    return in_short(f"{type(error).__name__}: {error}", 500)


async def _fail(event: Event, error: Exception, handler: Handler) -> None:
    try:
        await retry_while_unavailable(handler.fail)(event, error)
    except PermanentError:
        raise
    except Exception:
        log.exception("failure_untold")  # the work may be announced again; this message is not kept waiting for that
    raise PermanentError(f"internal: {reason_of(error)}") from error


@retry_while_unavailable
async def _dead_letter(message: Message, topic: Topic, publisher: Publisher, reason: str) -> None:
    await publisher.publish_dead_letter(message, reason)
    DEAD_LETTERS.labels(topic.name).inc()
