"""Reading an archive from its beginning to its end, its order and its seal looked at on the way."""

import hashlib
from collections.abc import AsyncIterator

import msgspec

from castlist.archive.archive_format import (
    ABOUT,
    CONTENTS,
    DECISIONS,
    ENCODER,
    FORMAT,
    LINES,
    LONGEST_LINE,
    PEOPLE,
    SEAL,
    VERSION,
    VIDEOS,
    About,
    ArchiveError,
    Line,
    Seal,
    Sealing,
)
from castlist.archive.tar_entries import Entry, TarReader
from castlist.contract.ids import CROPS

_SMALL = 1024 * 1024
_ORDER = (CROPS, CONTENTS, PEOPLE, DECISIONS, VIDEOS)
_NONE = "It is no archive of a gallery: {}."


class ArchiveReader:
    """One pass. ArchiveError from any step, for what is no archive, is cut off, or was changed."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._tar, self._sealing, self._digest = TarReader(blocks), Sealing(), hashlib.sha256()
        self._entry: Entry | None = None

    async def about(self) -> About:
        """Whose archive it is; to be asked first."""
        self._entry = entry = await self._tar.entry()
        if entry is None or entry.name != ABOUT:
            raise ArchiveError(_NONE.format(f"it does not begin with {ABOUT}"))
        raw = await self._small()
        self._sealed()
        try:
            said = msgspec.json.decode(raw)
            if not isinstance(said, dict) or said.get("format") != FORMAT or not isinstance(said.get("version"), int):
                raise ArchiveError(_NONE.format(f"{ABOUT} does not say so"))
            if said["version"] > VERSION:
                raise ArchiveError(
                    f"The archive is of a newer version, {said['version']}; this installation reads up to {VERSION}."
                )
            about = msgspec.convert(said, About)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ArchiveError(_NONE.format(f"{ABOUT}: {error}")) from None
        if about.encoder != ENCODER:
            raise ArchiveError(f"Its encodings were made with {about.encoder}, and cannot be compared with ours.")
        return about

    async def entries(self) -> AsyncIterator[Entry]:
        """Those behind it, but for the seal. What is not read of one is passed over; what follows the last one, too."""
        at = 0
        while (entry := await self._tar.entry()) is not None:
            self._entry = entry
            if entry.name == SEAL:
                if at < len(_ORDER):
                    raise ArchiveError(_NONE.format(f"{_ORDER[at]} is missing"))
                await self._compare_seal()
                return
            at = _place(entry.name, at)
            yield entry
            async for _ in self.content():
                pass
            self._sealed()
        raise ArchiveError("The archive is cut off: its seal is missing.")

    async def content(self) -> AsyncIterator[bytes]:
        """That of the entry at hand."""
        async for piece in self._tar.content():
            self._digest.update(piece)
            yield piece

    async def lines(self) -> AsyncIterator[Line]:
        """The records of the entry at hand."""
        assert self._entry is not None
        name, number, rest = self._entry.name, 0, b""
        async for piece in self.content():
            *whole, rest = (rest + piece).split(b"\n")
            for raw in whole:
                number += 1
                yield _line(name, number, raw)
            if len(rest) > LONGEST_LINE:
                raise ArchiveError(f"Line {number + 1} of {name} is too long.")
        if rest:
            raise ArchiveError(f"{name} does not end with a line.")

    async def _small(self) -> bytes:
        raw = await self._tar.whole(_SMALL)
        self._digest.update(raw)
        return raw

    def _sealed(self) -> None:
        assert self._entry is not None
        self._sealing.add(self._entry.name, self._entry.size, self._digest.hexdigest())
        self._digest = hashlib.sha256()

    async def _compare_seal(self) -> None:
        try:
            seal = msgspec.json.decode(await self._tar.whole(_SMALL), type=Seal)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ArchiveError(_NONE.format(f"{SEAL}: {error}")) from None
        if seal != self._sealing.seal():
            raise ArchiveError("The archive was changed after it was exported: its seal does not fit.")
        if await self._tar.entry() is not None:
            raise ArchiveError("The archive was changed after it was exported: something follows its seal.")


def _place(name: str, at: int) -> int:
    """Where in the order of entries one is; the next may be behind it."""
    for place in range(at, len(_ORDER)):
        kind = _ORDER[place]
        if kind.endswith("/"):
            if name.startswith(kind):
                return place
        elif name == kind:
            return place + 1
        else:
            break
    raise ArchiveError(_NONE.format(f"{name[:200]} is not expected there"))


def _line(name: str, number: int, raw: bytes) -> Line:
    try:
        line = msgspec.json.decode(raw, type=Line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ArchiveError(f"Line {number} of {name}: {error}") from None
    if len(given := [one for one in Line.__struct_fields__ if getattr(line, one) is not None]) != 1:
        raise ArchiveError(f"Line {number} of {name} has {len(given)} records, not one.")
    if given[0] not in LINES[name]:
        raise ArchiveError(f"Line {number} of {name} has a {given[0]}.")
    return line
