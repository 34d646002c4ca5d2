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

from castlist.media.containers import ENOUGH, SUFFIXES, container_of
from castlist.media.other_files import what_else

_BLOCK = 1024 * 1024

Progress = Callable[[int], None]
"""Told the bytes that are behind us, from any thread; it starts anew at 0 when a file is read again."""


@dataclass(frozen=True)
class LeftOut:
    """What lay in a folder, or matched a pattern, and is not submitted, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class CollectedFiles:
    """Files to submit, each once and in order, and what was left out beside them."""

    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def skipped(self) -> int:
        """How many were left out."""
        return len(self.left_out)


def collect(named: Sequence[str]) -> CollectedFiles:
    """What files, folders and globs stand for. A file that was named is taken as it is; elsewhere its name decides, or
    its content where the name is none that videos go by.

    FileNotFoundError for a name that stands for nothing.
    """
    # By what they really are: links lead to one file from many places.
    files: dict[str, Path] = {}
    left_out: dict[str, LeftOut] = {}
    walked: set[str] = set()
    for name in named:
        path = Path(name)
        if path.is_file():
            files.setdefault(os.path.realpath(path), path)
            continue
        for found in _inside(path, name, walked):
            if isinstance(found, LeftOut):
                left_out.setdefault(os.path.realpath(found.path), found)
            elif (reason := _no_video(found)) is not None:
                left_out.setdefault(os.path.realpath(found), LeftOut(found, reason))
            else:
                files.setdefault(os.path.realpath(found), found)
    return CollectedFiles(tuple(files.values()), tuple(one for real, one in left_out.items() if real not in files))


def _no_video(path: Path) -> str | None:
    """Why it is no video that is read; None if it may be one: ingest finds out what a file really is."""
    if path.suffix.lower() in SUFFIXES:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(ENOUGH)
    except OSError as error:
        return _unreadable(error)
    return what_else(head) if container_of(head) is None else None


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"


def _inside(path: Path, name: str, walked: set[str]) -> Iterator[Path | LeftOut]:
    if path.is_dir():
        yield from _walk(path, walked)
        return
    matches = sorted(map(Path, glob.glob(name, recursive=True))) if glob.has_magic(name) else []
    if not matches:
        raise FileNotFoundError(name)
    for match in matches:
        if not match.is_dir():
            yield _file(match)
        elif not name.endswith("**"):
            yield from _walk(match, walked)


def _walk(folder: Path, walked: set[str]) -> Iterator[Path | LeftOut]:
    """Every file below. Links are followed, and a folder is looked through once, however many lead to it.

    What is hidden is not looked through; it is named where it is a folder or a video.
    """
    unreadable: list[LeftOut] = []

    def cannot_list(error: OSError) -> None:
        unreadable.append(LeftOut(Path(os.fsdecode(error.filename)), _unreadable(error)))

    for where, folders, names in os.walk(folder, followlinks=True, onerror=cannot_list):
        here = Path(where)
        if (real := os.path.realpath(here)) in walked:
            folders.clear()
            continue
        walked.add(real)
        hidden = sorted(name for name in folders if name.startswith("."))
        yield from (LeftOut(here / name, "a hidden folder") for name in hidden)
        folders[:] = sorted(set(folders) - set(hidden))
        for name in sorted(names):
            found = _file(here / name)
            if not name.startswith("."):
                yield found
            elif isinstance(found, Path) and _no_video(found) is None:
                yield LeftOut(found, "hidden")
    yield from unreadable


def _file(path: Path) -> Path | LeftOut:
    if path.is_file():
        return path
    return LeftOut(path, "not a file" if path.exists() else "a link to nothing")


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
