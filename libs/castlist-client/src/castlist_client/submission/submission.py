"""Many files at once: hash, skip what is known, upload, follow; and what to do about Ctrl-C in the middle of it."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from castlist.api.tasks import Task
from castlist_client.client import Client, ClientError, RequestRefusedError, Submitted, UnreachableError
from castlist_client.display.progress import ProgressDisplay, ProgressRow

UPLOADS_AT_ONCE = 3
WATCHED_AT_ONCE = 16
# An upload whose last byte is out may have been accepted: we want to know, but not for ever.
_ANSWER_PATIENCE = 10.0


@dataclass
class Submission:
    """One file on its way. `error` says why it is not."""

    path: Path
    size: int = 0
    sent: int = 0
    accepted: Submitted | None = None
    task: Task | None = None
    error: Exception | None = None
    cancelled: bool = False

    @property
    def task_id(self) -> str:
        """Its task, once it was accepted."""
        return self.accepted.task_id if self.accepted else ""

    @property
    def status(self) -> str:
        """The task's, as far as we know; `refused`, or `not submitted` for what never got there."""
        if self.cancelled:
            return "cancelled"
        if self.task is not None:
            return self.task.status
        if self.accepted is not None:
            return self.accepted.status
        return "not submitted" if self.error is None or isinstance(self.error, UnreachableError) else "refused"

    @property
    def open(self) -> bool:
        """A task that this run began and that has not ended as far as we know."""
        return self.accepted is not None and self.accepted.began and self.status in ("queued", "processing")

    def document(self) -> dict[str, Any]:
        """As `--json` shows it."""
        accepted = self.accepted.model_dump(mode="json") if self.accepted else {}
        return {
            "path": str(self.path),
            **accepted,
            "status": self.status,
            "task": self.task.model_dump(mode="json") if self.task else None,
            "error": str(self.error) if self.error else None,
        }


@dataclass
class Submitter:
    """Puts files into one gallery."""

    client: Client
    board: ProgressDisplay
    gallery: str
    again: bool = False
    identify: bool = True
    watch: bool = False
    cancel_on_interrupt: bool = False
    interrupted: bool = False
    _uploading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS_AT_ONCE))
    _watching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WATCHED_AT_ONCE))

    async def run(self, files: Sequence[Path]) -> list[Submission]:
        """All of them, each as far as it got; an unreachable service ends the whole run, as does Ctrl-C.

        Returns normally after Ctrl-C, with `interrupted` set.
        """
        all_of_them = [Submission(path) for path in files]
        running = {asyncio.create_task(self._one(one)): one for one in all_of_them}
        try:
            _, left = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            await self._stop({task: running[task] for task in left})
        except asyncio.CancelledError:
            self.interrupted = True
            await self._stop({task: one for task, one in running.items() if not task.done()})
            if self.cancel_on_interrupt:
                await self._cancel([one for one in all_of_them if one.open])
        for task, one in running.items():
            if not task.cancelled() and (error := task.exception()) is not None:
                if not isinstance(error, UnreachableError):
                    raise error
                one.error = error
        return all_of_them

    async def _one(self, one: Submission) -> None:
        async with self._uploading:
            row = self.board.row(one.path.name)
            try:
                await self._put(one, row)
            except UnreachableError:
                row.drop()
                raise
            except (OSError, ClientError) as error:
                one.error = error
                row.end("✗", "red", str(error))
                return
            except asyncio.CancelledError:
                row.drop()
                raise
        if not self.watch:
            state = "accepted" if one.open else "is there already"
            row.end("✓", "green", f"{state} · task {one.task_id} {one.status}")
            return
        row.move("queued")
        try:
            async with self._watching, contextlib.aclosing(self.client.watch(one.task_id)) as states:
                async for task in states:
                    one.task = task
                    row.task(task)
        finally:
            row.drop()

    async def _put(self, one: Submission, row: ProgressRow) -> None:
        one.size = one.path.stat().st_size

        def hashed(done: int) -> None:
            row.move("reading", done, one.size)

        def uploaded(done: int) -> None:
            one.sent = done
            row.move("uploading" if done < one.size else "storing", done, one.size)

        one.accepted = await self.client.submit(
            one.path,
            gallery=self.gallery,
            again=self.again,
            identify=self.identify,
            on_hash=hashed,
            on_upload=uploaded,
        )

    async def _cancel(self, begun: Sequence[Submission]) -> None:
        for one in begun:
            try:
                await self.client.cancel(one.task_id)
                one.cancelled = True
            except RequestRefusedError:  # it ended in the meantime
                with contextlib.suppress(ClientError):
                    one.task = await self.client.task(one.task_id)
            except ClientError as error:
                self.board.say("✗", "red", one.path.name, f"is not cancelled: {error}")

    async def _stop(self, running: dict[asyncio.Task[None], Submission]) -> None:
        """Abort what can be aborted; where the whole file is sent already, hear what became of it."""
        answering = {task for task, one in running.items() if one.accepted is None and 0 < one.size <= one.sent}
        for task in running.keys() - answering:
            task.cancel()
        if answering:
            self.watch = False  # to be answered is all we wait for
            await asyncio.wait(answering, timeout=_ANSWER_PATIENCE)
            for task in answering:
                task.cancel()
        if running:
            await asyncio.wait(running)
