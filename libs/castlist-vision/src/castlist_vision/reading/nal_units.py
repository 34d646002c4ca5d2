"""Where the units lie that H.264, HEVC and VVC pictures are made of."""

from collections.abc import Iterator

_START = b"\x00\x00\x01"


def unit_positions(data: bytes | memoryview, prefix: int = 0) -> Iterator[int]:
    """Where each unit begins: behind its length of `prefix` bytes, or behind a start code. Of those two bytes are there
    at least."""
    if prefix:
        position, length = 0, len(data)
        while position + prefix < length:
            yield position + prefix
            position += prefix + int.from_bytes(data[position : position + prefix], "big")
        return
    content = bytes(data)
    position = content.find(_START)
    while 0 <= position < len(content) - 4:
        yield position + 3
        position = content.find(_START, position + 3)
