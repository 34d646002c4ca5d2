"""An archive, byte by byte: what it has and how long it is are known before the first one is sent."""

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import msgspec

from castlist.archive.archive_format import ABOUT, SEAL, Seal, Sealing
from castlist.archive.tar_entries import END, header, padding
from castlist.ports.errors import UnavailableError
from castlist.ports.objects import Objects
from query_api.export.gallery_facts import ArchivedObject, Facts, Spooled

_PIECE = 256 * 1024


class ArchiveStream:
    """The same facts give the same bytes, so that one who was cut off can go on where that was."""

    def __init__(self, facts: Facts, objects: Objects) -> None:
        self._facts, self._objects = facts, objects
        self._about = msgspec.json.encode(facts.about)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(_taken(name, size) for name, size in self._entries()) + len(END)

    def _entries(self) -> Iterator[tuple[str, int]]:
        yield ABOUT, len(self._about)
        pictures, spooled = (*self._facts.crops, *self._facts.contents), self._facts.spooled
        yield from ((picture.name, picture.size) for picture in pictures)
        yield from ((entry.name, entry.size) for entry in spooled)
        count = 1 + len(pictures) + len(spooled)
        yield SEAL, len(msgspec.json.encode(Seal(entries=count, sha256=64 * "0")))

    async def part(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Those from `start` to `end` (exclusive). UnavailableError where a picture has gone meanwhile."""
        place = 0
        async with contextlib.aclosing(self._blocks(start)) as blocks:
            async for block in blocks:
                wanted = block[max(0, start - place) : max(0, end - place)]
                place += len(block)
                if wanted:
                    yield wanted
                if place >= end:
                    return

    async def _blocks(self, start: int) -> AsyncGenerator[bytes, None]:
        sealing, place = Sealing(), 0

        def begun(name: str, size: int) -> bytes:
            nonlocal place
            place += _taken(name, size)
            return header(name, size)

        yield begun(ABOUT, len(self._about))
        yield self._about + padding(len(self._about))
        sealing.add(ABOUT, len(self._about), hashlib.sha256(self._about).hexdigest())
        for picture in (*self._facts.crops, *self._facts.contents):
            yield begun(picture.name, picture.size)
            digest = hashlib.sha256()
            # Of what nobody wants, and whose digest is known, nothing is read.
            if place <= start and picture.sha256 is not None:
                for block in _zeros(picture.size):
                    yield block
            else:
                async for block in self._picture(picture):
                    digest.update(block)
                    yield block
            yield padding(picture.size)
            sealing.add(picture.name, picture.size, picture.sha256 or digest.hexdigest())
        for spooled in self._facts.spooled:
            yield begun(spooled.name, spooled.size)
            async for block in _pieces(spooled):
                yield block
            yield padding(spooled.size)
            sealing.add(spooled.name, spooled.size, spooled.sha256)
        seal = msgspec.json.encode(sealing.seal())
        yield header(SEAL, len(seal)) + seal + padding(len(seal)) + END

    async def _picture(self, picture: ArchivedObject) -> AsyncIterator[bytes]:
        left = picture.size
        async for block in self._objects.read(picture.key, bucket=picture.bucket, etag=picture.etag):
            left -= len(block)
            yield block
        if left:
            raise UnavailableError(f"{picture.key} has {left} bytes fewer than before")


def _taken(name: str, size: int) -> int:
    return len(header(name, size)) + size + len(padding(size))


def _zeros(size: int) -> Iterator[bytes]:
    return (bytes(min(_PIECE, size - place)) for place in range(0, size, _PIECE))


async def _pieces(spooled: Spooled) -> AsyncIterator[bytes]:
    for place in range(0, spooled.size, _PIECE):
        yield await spooled.read(place, min(_PIECE, spooled.size - place))
