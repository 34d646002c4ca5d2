"""Where in a file another file begins that was joined to it: places in its bytes from which it can be opened anew."""

import mmap
from collections.abc import Iterable
from pathlib import Path

# How far before its first picture the tables of a transport stream are looked for; they come ten times a second.
_TABLES_WITHIN = 4 << 20
_PACK_WITHIN = 64 << 10
# Packets of a transport stream: plain, with a time code before it (Blu-ray, cameras), with a check sum behind it.
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
_PACK = b"\x00\x00\x01\xba"
_BEGINNINGS = {
    "matroska": b"\x1a\x45\xdf\xa3",
    "flv": b"FLV\x01",
    "ogg": b"OggS\x00\x02",
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "nut": b"nut/multimedia container\x00",
}


def before_picture(path: Path, container: str, after: int, picture: int) -> int | None:
    """Where to open the file so that the first picture is the one in the packet at byte `picture`, or soon that one.

    `after` is where the packet before it lies. None where such a file cannot be opened in its middle.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if container == "mpegts":
            return _tables_before(content, picture)
        if container == "mpeg":
            return _found(content.rfind(_PACK, max(0, picture - _PACK_WITHIN), picture))
        beginning = _BEGINNINGS.get(container)
        return None if beginning is None else _found(content.rfind(beginning, after, picture))


def after_end(path: Path, container: str, end: int) -> int | None:
    """Where behind byte `end` another file begins, of the same kind; None where none does."""
    beginning = _BEGINNINGS.get(container)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if container == "mpegts":
            return _tables_after(content, end)
        return None if beginning is None else _found(content.find(beginning, end))


def next_movie(path: Path, position: int) -> int | None:
    """Where behind the MP4 that begins at byte `position` another one does: its index would be mixed up with it."""
    if not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first = position
        while position + 16 <= len(content):
            size, kind = int.from_bytes(content[position : position + 4], "big"), content[position + 4 : position + 8]
            if kind == b"ftyp" and position > first:
                return position
            if size == 1:
                size = int.from_bytes(content[position + 8 : position + 16], "big")
            if size < 8:
                return None
            position += size
        return None


def _found(position: int) -> int | None:
    return None if position < 0 else position


def _tables_before(content: mmap.mmap, picture: int) -> int | None:
    """The programme tables (PID 0) nearest before a packet."""
    for size, ahead in _TS_PACKETS:
        starts = range(picture - size, max(-1, picture - _TABLES_WITHIN), -size)
        if (start := _tables(content, starts, ahead)) is not None:
            return start
    return None


def _tables_after(content: mmap.mmap, end: int) -> int | None:
    for size, ahead in _TS_PACKETS:
        first = -(-end // size) * size
        starts = range(first, min(first + _TABLES_WITHIN, len(content) - size), size)
        if (start := _tables(content, starts, ahead)) is not None:
            return start
    return None


def _tables(content: mmap.mmap, starts: Iterable[int], ahead: int) -> int | None:
    """The first of these packets that holds programme tables; None where one before it is no packet."""
    for start in starts:
        head = content[start + ahead : start + ahead + 3]
        if head[:1] != b"G":
            return None
        if head[1] & 0x5F == 0x40 and head[2] == 0:
            return start
    return None
