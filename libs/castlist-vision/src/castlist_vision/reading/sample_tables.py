"""How many pictures the tables of an MP4 claim: its demuxer makes an index of them all before the first is read."""

import mmap
from collections.abc import Iterator
from pathlib import Path

_WITHIN = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}
_MOST_BOXES = 1_000_000


def claimed_pictures(path: Path) -> int:
    """Samples of the tracks of pictures, and of all fragments; 0 where the file is no MP4."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        total, pictures = 0, False
        for kind, begin in _boxes(content):
            if kind == b"hdlr":
                pictures = content[begin + 8 : begin + 12] == b"vide"
            elif kind in (b"stsz", b"stz2") and pictures:
                total += int.from_bytes(content[begin + 8 : begin + 12], "big")
            elif kind == b"trun":
                total += int.from_bytes(content[begin + 4 : begin + 8], "big")
        return total


def _boxes(content: mmap.mmap) -> Iterator[tuple[bytes, int]]:
    """The kind of each box, and where its content begins; those that hold others before what they hold."""
    position = 0
    for _ in range(_MOST_BOXES):
        if position + 8 > len(content):
            return
        size, kind = int.from_bytes(content[position : position + 4], "big"), content[position + 4 : position + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(content[position + 8 : position + 16], "big"), 16
        if size < head or not kind.isascii():
            return
        yield kind, position + head
        position += head if kind in _WITHIN else size
