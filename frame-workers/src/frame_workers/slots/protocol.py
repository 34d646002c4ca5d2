"""Between the parent and its children: JSON in frames with their length in front, on a child's stdin and stdout.

JSON and not pickle, because a child reads hostile bytes: whoever took it over must not get further than its process.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import IO, Any

Frame = dict[str, Any]
Progress = Callable[[float], None]
Job = Callable[[Frame, Progress], Frame]
_LENGTH = struct.Struct(">I")
LARGEST = 256 * 1024 * 1024


class Garbled(Exception):
    """What came is not a frame."""


class Refused(Exception):
    """The job cannot be done, and never will be: `code` as in a task's error, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def pack(frame: Frame) -> bytes:
    """The bytes of one frame."""
    body = json.dumps(frame, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


def _unpack(body: bytes) -> Frame:
    try:
        frame = json.loads(body)
    except ValueError as error:
        raise Garbled(str(error)) from None
    if not isinstance(frame, dict):
        raise Garbled("not an object")
    return frame


def _length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > LARGEST:
        raise Garbled(f"a frame of {length} bytes")
    return int(length)


def read(file: IO[bytes]) -> Frame | None:
    """The next frame, blocking; None where the other side has closed."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return _unpack(file.read(_length(head)))


async def receive(stream: asyncio.StreamReader) -> Frame:
    """The next frame; asyncio.IncompleteReadError where the other side has closed, Garbled where it talks nonsense."""
    return _unpack(await stream.readexactly(_length(await stream.readexactly(_LENGTH.size))))
