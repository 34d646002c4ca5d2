"""A gallery's archive, into a file and out of one. What was cut off goes on where that was, in a later run too."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from castlist.retry import pauses
from castlist_client.operations.transport import Transport, UnreachableError, checked
from castlist_client.submission.files import Progress

TIMEOUT = httpx2.Timeout(60, connect=5, read=300)
_BLOCK = 1024 * 1024
_LONGEST_PAUSE = 5.0
_AGAIN = (502, 503, 504)


async def download(
    calls: Transport, url: str, query: dict[str, str], out: Path, patience: float, progress: Progress | None
) -> int:
    """The file under `url`, whole or not at all, into `out`; how many bytes it has.

    What had come when it broke off stays beside it, and is gone on with as long as the file is the same. `patience`:
    how long it is tried again without a byte that comes. RequestRefusedError, UnreachableError, OSError.
    """
    part = out.with_name(f".{out.name}.part")
    tag = part.with_suffix(".tag")
    reason, until = "", time.monotonic() + patience
    for pause in pauses(0.1, _LONGEST_PAUSE):
        before = _size(part)
        try:
            await _go_on(calls, url, query, part, tag, progress)
        except httpx2.TransportError as error:
            came = "broke off" if _size(part) > before else "does not answer"
            reason = f"{url} {came}: {error or type(error).__name__}"
        else:
            size = _size(part)
            part.replace(out)
            tag.unlink(missing_ok=True)
            return size
        if _size(part) > before:
            until = time.monotonic() + patience
        if time.monotonic() + pause > until:
            raise UnreachableError(reason)
        await asyncio.sleep(pause)
    raise AssertionError("pauses do not end")


async def _go_on(
    calls: Transport, url: str, query: dict[str, str], part: Path, tag: Path, progress: Progress | None
) -> None:
    headers = calls.headers(url) | {"Accept-Encoding": "identity"}
    if part.exists() and tag.exists() and (there := _size(part)):
        headers |= {"Range": f"bytes={there}-", "If-Range": tag.read_text("ascii")}
    async with calls.http.stream("GET", url, params=query, headers=headers, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # all of it had come
            return
        if response.status_code in _AGAIN:
            raise httpx2.ReadError(f"HTTP {response.status_code}")
        if not response.is_success:
            await response.aread()
            checked(response)
        if response.status_code == 200:
            tag.write_text(response.headers.get("etag", ""), "ascii")
        with part.open("ab" if response.status_code == 206 else "wb") as file:
            async for block in response.aiter_bytes(_BLOCK):
                await asyncio.to_thread(file.write, block)
                if progress is not None:
                    progress(file.tell())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class FileBlocks:
    """A file's bytes as the body of a request, from its beginning each time that it is sent."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        self._path, self._progress = path, progress

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._blocks()

    async def _blocks(self) -> AsyncIterator[bytes]:
        with self._path.open("rb") as file:
            while block := await asyncio.to_thread(file.read, _BLOCK):
                yield block
                if self._progress is not None:
                    self._progress(file.tell())

    @property
    def headers(self) -> dict[str, Any]:
        """What a request with it carries. OSError if it cannot be read."""
        return {"Content-Type": "application/x-tar", "Content-Length": str(self._path.stat().st_size)}
