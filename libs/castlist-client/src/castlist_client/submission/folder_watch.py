"""Watching a folder: what comes into it is submitted once it has stopped growing.

The folder is looked through again and again, which any network drive allows; where the system tells of changes it is
looked through at once.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from watchfiles import awatch

from castlist.retry import pauses
from castlist_client.client import Client, ClientError, RequestRefusedError, UnreachableError
from castlist_client.submission.files import collect, sha256_of
from castlist_client.submission.seen_files import Outcome, SeenFile, SeenFiles
from castlist_client.submission.still_files import FileState, StillFiles

UNFINISHED = {
    *(".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".opdownload", ".aria2", ".!ut"),
    *(".!qb", ".swp", ".uploading", ".inprogress"),
}
"""How programs call what they have not finished, before they give it its name."""
_AT_ONCE = 3
_FOR_NOW = {408, 429}
_LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 1.0

What = Literal["submitted", "known", "moved", "refused", "gone", "left out", "unreadable", "waiting", "back"]


@dataclass(frozen=True)
class FolderEvent:
    """What became of a file, or of the watch itself (`waiting`: the folder or a service is away; `back`: no more)."""

    what: What
    path: Path
    detail: str = ""
    video_id: str | None = None
    task_id: str | None = None


@dataclass
class FolderWatch:
    """One folder, into one gallery. `say` is told of everything once. `every`: seconds between two looks."""

    client: Client
    folder: Path
    gallery: str
    seen: SeenFiles
    say: Callable[[FolderEvent], None]
    settle: float = 5.0
    every: float = 10.0
    _running: dict[Path, asyncio.Task[None]] = field(default_factory=dict)
    _again: dict[Path, tuple[float, float]] = field(default_factory=dict)
    """when a file that could not be read is tried again, and the pause behind that"""
    _said: dict[Path, str] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _away: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """For ever. RequestRefusedError where the services do not take our key."""
        try:
            await self._run()
        except* ClientError as errors:
            raise errors.exceptions[0] from None

    async def _run(self) -> None:
        still = StillFiles(self.settle)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                self._news.clear()
                found = await self._look()
                if found is not None:
                    now = time.monotonic()
                    self._begin(group, still.look(found, now), found, now)
                # Not at once again where something changes all the time.
                await asyncio.sleep(min(0.5, self.every))
                soon = still.next_look(time.monotonic())
                wait = self.every if soon is None else min(self.every, max(soon, 0.0))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._news.wait()

    async def _look(self) -> dict[Path, FileState] | None:
        """The videos that are there now; None while the folder itself is not."""
        try:
            collected = await asyncio.to_thread(collect, [str(self.folder)])
            found = await asyncio.to_thread(states_of, collected.files)
        except OSError as error:
            self._is_away("folder", FolderEvent("waiting", self.folder, f"the folder is away: {error}"))
            return None
        self._is_back("folder", self.folder)
        left_out = {one.path: one.reason for one in collected.left_out} | {
            path: "unfinished" for path in collected.files if is_unfinished(path)
        }
        for path, reason in left_out.items():
            self._say_once("left out", path, reason)
        self._said = {path: said for path, said in self._said.items() if path in left_out or path in found}
        found = {path: state for path, state in found.items() if path not in left_out}
        for gone in self.seen.vanished(found):
            self.say(FolderEvent("gone", gone.path, "its video stays"))
        return found

    def _begin(
        self, group: asyncio.TaskGroup, still: Iterable[Path], found: Mapping[Path, FileState], now: float
    ) -> None:
        self._running = {path: task for path, task in self._running.items() if not task.done()}
        self._again = {path: again for path, again in self._again.items() if path in found}
        for path in still:
            due = self._again.get(path, (0.0, 0.0))[0] <= now
            if due and path not in self._running and not self.seen.is_done(path, found[path]):
                self._running[path] = group.create_task(self._deal_with(path, found[path]))

    async def _deal_with(self, path: Path, state: FileState) -> None:
        """Until it is submitted, or refused, or not any more what it was: then it is looked at anew."""
        async with self._slots:
            for pause in pauses(_FIRST_PAUSE, _LONGEST_PAUSE):
                try:
                    await self._submit(path, state)
                    return
                except RequestRefusedError as error:
                    if error.status in (401, 403):
                        raise
                    if error.status < 500 and error.status not in _FOR_NOW:
                        self._note(path, state, "", "refused", FolderEvent("refused", path, str(error)))
                        return
                    self._is_away("service", FolderEvent("waiting", path, str(error)))
                except UnreachableError as error:
                    self._is_away("service", FolderEvent("waiting", path, str(error)))
                except (OSError, ClientError) as error:
                    self._cannot_read(path, state, error)
                    return
                await asyncio.sleep(pause)
                if state_of(path) != state:
                    return

    async def _submit(self, path: Path, state: FileState) -> None:
        """Unless its bytes are in the gallery, whatever became of them: what has failed would fail again, each time
        that somebody looks at the folder."""
        sha256 = await sha256_of(path)
        if state_of(path) != state:
            return
        video = await self.client.video_with(self.gallery, sha256)
        if video is None:
            accepted = await self.client.upload(path, gallery=self.gallery)
            event = FolderEvent("submitted", path, accepted.status, accepted.video_id, accepted.task_id)
            self._note(path, state, sha256, "submitted", event)
        elif (before := self.seen.moved_from(path, sha256)) is not None:
            event = FolderEvent("moved", path, f"was {before}", video.id, video.latest_task_id)
            self._note(path, state, sha256, "known", event)
        else:
            event = FolderEvent("known", path, "it is in the gallery already", video.id, video.latest_task_id)
            self._note(path, state, sha256, "known", event)

    def _cannot_read(self, path: Path, state: FileState, error: Exception) -> None:
        if state_of(path) == state:
            self._say_once("unreadable", path, str(error))
        pause = min(2 * self._again.get(path, (0.0, self.every / 2))[1], _LONGEST_PAUSE)
        self._again[path] = (time.monotonic() + pause, pause)

    def _note(self, path: Path, state: FileState, sha256: str, outcome: Outcome, event: FolderEvent) -> None:
        self._is_back("service", path)
        self._said.pop(path, None)
        self.seen.note(SeenFile(path, state, sha256, outcome))
        self.say(event)

    def _say_once(self, what: What, path: Path, reason: str) -> None:
        if self._said.get(path) != reason:
            self._said[path] = reason
            self.say(FolderEvent(what, path, reason))

    def _is_away(self, who: str, event: FolderEvent) -> None:
        if who not in self._away:
            self._away.add(who)
            self.say(event)

    def _is_back(self, who: str, path: Path) -> None:
        if who in self._away:
            self._away.discard(who)
            self.say(FolderEvent("back", path, f"the {who} is there again"))

    async def _listen(self) -> None:
        """Where the system tells of changes, they are a reason to look. Where it does not, we look all the same."""
        while True:
            # A folder that is not there, or more of them than the system watches: RuntimeError or an OSError.
            with contextlib.suppress(OSError, RuntimeError):
                async for _ in awatch(self.folder, watch_filter=None, ignore_permission_denied=True):
                    self._news.set()
            await asyncio.sleep(self.every)


def is_unfinished(path: Path) -> bool:
    """Whether its name says that a program is still writing it."""
    return path.suffix.lower() in UNFINISHED or path.name.endswith("~") or path.name.startswith("~")


def state_of(path: Path) -> FileState | None:
    """As it is now; None where it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return FileState(found.st_size, found.st_mtime_ns)


def states_of(paths: Iterable[Path]) -> dict[Path, FileState]:
    """Of those that are there."""
    return {path: state for path in paths if (state := state_of(path)) is not None}
