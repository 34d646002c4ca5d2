"""One message: decoded, handled, and dead-lettered where no retry would help."""

from collections.abc import Awaitable, Callable

from castlist.contract.codec import decode
from castlist.contract.errors import PermanentError
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.ports.messages import Message, Publisher
from castlist.retry import retry_while_unavailable
from castlist.service.json_logging import about
from castlist.service.metrics import DEAD_LETTERS

Handle = Callable[[Event], Awaitable[None]]


class PostponedError(Exception):
    """The work on a message has failed, for the `tries`th time, and is to be tried again, behind what waits by then."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"failed {tries} times")
        self.tries = tries


async def deliver(
    message: Message, topic: Topic, handle: Handle, publisher: Publisher, *, keep_unreadable: bool = True
) -> None:
    """Returns when the message may be acknowledged. What `handle` raises but a PermanentError is raised.

    `keep_unreadable`: messages that cannot be decoded become dead letters here; False where another group's readers do
    that.
    """
    try:
        event = decode(topic, message.value)
    except PermanentError as error:
        if keep_unreadable:
            await _dead_letter(message, topic, publisher, error)
        return
    try:
        with about(video=getattr(event, "video_id", None), epoch=getattr(event, "epoch", None)):
            await handle(event)
    except PermanentError as error:
        await _dead_letter(message, topic, publisher, error)


@retry_while_unavailable
async def _dead_letter(message: Message, topic: Topic, publisher: Publisher, error: PermanentError) -> None:
    await publisher.publish_dead_letter(message, str(error))
    DEAD_LETTERS.labels(topic.name).inc()
