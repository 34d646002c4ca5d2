"""How a message that cannot be read lies in its dead letters: raw, with the reason in its headers."""

from castlist.contract.bounds import LARGEST_EVENT
from castlist.ports.messages import Message

MAX_MESSAGE = LARGEST_EVENT
"""Bytes; the log takes none that is larger."""
_KEPT = 512 * 1024


def dead_letter(message: Message, reason: str) -> Message:
    """`message` as a dead letter; `partition` and `offset` are not known before it is there."""
    headers = (
        ("error", reason[:500].encode(errors="replace")),
        ("topic", message.topic.encode()),
        ("partition", str(message.partition).encode()),
        ("offset", str(message.offset).encode()),
    )
    # A client may refuse to write a message with neither key nor value, which other clients do write.
    value = b"" if message.key is None and message.value is None else message.value
    return Message(f"{message.topic}.dead", -1, -1, message.key, value, headers)


def cut(letter: Message) -> Message:
    """A dead letter that the log does not take whole: its beginning. It must not block the stream it came from."""
    value = letter.value or b""
    headers = (*letter.headers, ("truncated_from", str(len(value)).encode()))
    return Message(letter.topic, -1, -1, (letter.key or b"")[:1024], value[:_KEPT], headers)
