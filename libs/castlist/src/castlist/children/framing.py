"""Messages on a pipe: JSON with its length in front, on a child's stdin and stdout."""

import asyncio
import json
import struct
from typing import IO

from castlist.children.messages import GarbledMessageError, JobMessage

_LENGTH = struct.Struct(">I")
LARGEST = 256 * 1024 * 1024


def pack(message: JobMessage) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


def _unpack(body: bytes) -> JobMessage:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise GarbledMessageError(str(error)) from None
    if not isinstance(message, dict):
        raise GarbledMessageError("not an object")
    return message


def _length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > LARGEST:
        raise GarbledMessageError(f"a message of {length} bytes")
    return int(length)


def read(file: IO[bytes]) -> JobMessage | None:
    """The next message, blocking; None where the other side has closed."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return _unpack(file.read(_length(head)))


async def receive(stream: asyncio.StreamReader) -> JobMessage:
    """The next message; asyncio.IncompleteReadError where the pipe was closed, GarbledMessageError on nonsense."""
    return _unpack(await stream.readexactly(_length(await stream.readexactly(_LENGTH.size))))
