"""Tar, as a stream in either direction: a header and a content after the other. Pure but for who gives the bytes."""

import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from castlist.archive.archive_format import ArchiveError

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
"""What a tar ends with."""
_LONG_NAME = tarfile.GNUTYPE_LONGNAME
_LONGEST_NAME = 4096
_PIECE = 256 * 1024


def header(name: str, size: int) -> bytes:
    """What comes before a file's content; names and sizes of any length."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What comes behind it."""
    return bytes(-size % BLOCK)


@dataclass(frozen=True)
class Entry:
    """A file in an archive."""

    name: str
    size: int


class TarReader:
    """Entries as they come. ArchiveError where it ends too early, or is no tar."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks, self._held, self._left = blocks, bytearray(), 0

    async def entry(self) -> Entry | None:
        """The next one, its predecessor's content passed over; None at the end."""
        async for _ in self.content():
            pass
        name: str | None = None
        while True:
            block = await self._exactly(BLOCK)
            if block == END[:BLOCK]:
                return None
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
            except (tarfile.HeaderError, UnicodeDecodeError):
                raise ArchiveError("It is no archive of a gallery: it is no tar, or was changed.") from None
            if info.type != _LONG_NAME:
                break
            if info.size > _LONGEST_NAME:
                raise ArchiveError("It is no archive of a gallery: a name in it is too long.")
            raw = (await self._exactly(info.size + len(padding(info.size))))[: info.size]
            name = raw.rstrip(b"\0").decode(errors="replace")
        if not info.isreg():
            raise ArchiveError(f"It is no archive of a gallery: {info.name} is no file.")
        self._left, self._behind = info.size, len(padding(info.size))
        return Entry(name or info.name, info.size)

    async def content(self) -> AsyncIterator[bytes]:
        """That of the entry that came last, or what is left of it."""
        if not self._left:
            return
        while self._left:
            piece = await self._some(min(self._left, _PIECE))
            self._left -= len(piece)
            yield piece
        await self._exactly(self._behind)

    async def whole(self, most: int) -> bytes:
        """The content of the entry, in one; ArchiveError where it has more than so many bytes."""
        if self._left > most:
            raise ArchiveError(f"It is no archive of a gallery: an entry has {self._left} bytes, {most} at most.")
        return b"".join([piece async for piece in self.content()])

    async def _some(self, most: int) -> bytes:
        if not self._held:
            self._held += await self._more()
        piece = bytes(self._held[:most])
        del self._held[:most]
        return piece

    async def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._held += await self._more()
        return await self._some(size) if size else b""

    async def _more(self) -> bytes:
        async for block in self._blocks:
            if block:
                return block
        raise ArchiveError("The archive is cut off: its end is missing.")
