"""The files that a client puts in: which of what was named are videos, their hash, and how far they were read."""

import asyncio
import glob
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Every name that one of the containers we read goes by. What a file really is, ingest finds out.
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".flv", ".mkv", ".webm",
    ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".avi", ".gif",
})  # fmt: skip
_BLOCK = 1024 * 1024

Progress = Callable[[int], None]
"""Told the bytes that are behind us, from any thread; it starts anew at 0 when a file is read again."""


@dataclass(frozen=True)
class CollectedFiles:
    """Files to submit, each once and in order, and how many others lay beside them."""

    files: tuple[Path, ...]
    skipped: int


def collect(named: Sequence[str]) -> CollectedFiles:
    """What files, folders and globs stand for. A file that was named is taken as it is; elsewhere its suffix decides.

    FileNotFoundError for a name that stands for nothing.
    """
    files: dict[Path, Path] = {}
    skipped: set[Path] = set()
    for name in named:
        path = Path(name)
        if path.is_file():
            files.setdefault(path.resolve(), path)
            continue
        for found in _inside(path, name):
            if found.suffix.lower() in VIDEO_SUFFIXES:
                files.setdefault(found.resolve(), found)
            else:
                skipped.add(found.resolve())
    return CollectedFiles(tuple(files.values()), len(skipped - files.keys()))


def _inside(path: Path, name: str) -> Iterator[Path]:
    if path.is_dir():
        yield from _walk(path)
        return
    matches = sorted(map(Path, glob.glob(name, recursive=True))) if glob.has_magic(name) else []
    if not matches:
        raise FileNotFoundError(name)
    for match in matches:
        if match.is_file():
            yield match
        elif match.is_dir() and not name.endswith("**"):
            yield from _walk(match)


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path


async def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The file's hash, read in a thread that stops when the caller is cancelled. OSError if it cannot be read."""
    stop = threading.Event()

    def read() -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while not stop.is_set() and (block := file.read(_BLOCK)):
                digest.update(block)
                if progress is not None:
                    progress(file.tell())
        return digest.hexdigest()

    try:
        return await asyncio.to_thread(read)
    finally:
        stop.set()


class CountingReader(io.BufferedReader):
    """A file that tells how far it was read; an upload that is repeated rewinds it."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(io.FileIO(path), _BLOCK)
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self._progress is not None:
            self._progress(self.tell())
        return data
