"""Videos: putting them in, and following their tasks."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx2

from castlist.api.tasks import Task
from castlist.api.videos import Video, VideoAccepted
from castlist_client.operations.services import POLL, STREAM_TIMEOUT, Services, segment
from castlist_client.operations.transport import NotFoundError, UnreachableError
from castlist_client.submission.files import CountingReader, Progress, sha256_of

# A task that we watch goes on while a service is restarted.
_PATIENCE_WATCHING = 60.0
_UPLOAD_TIMEOUT = httpx2.Timeout(60, connect=5, read=300)


class Submitted(VideoAccepted):
    """What a video was accepted as. `began`: this very call made the task."""

    began: bool = False


class VideoCalls(Services):
    """A part of `Client`."""

    async def submit(
        self,
        path: Path,
        *,
        gallery: str = "default",
        name: str | None = None,
        again: bool = False,
        identify: bool = True,
        on_hash: Progress | None = None,
        on_upload: Progress | None = None,
    ) -> Submitted:
        """Put the file in, unless its bytes are in the gallery already and have not failed there.

        `again` starts a new task on what is there. Without `identify` people are counted, and not matched with those
        of other videos. OSError if the file cannot be read.
        """
        if not again:
            known = await self.known(gallery, await sha256_of(path, on_hash))
            if known is not None:
                return known
        return await self.upload(path, gallery=gallery, name=name, again=again, identify=identify, progress=on_upload)

    async def known(self, gallery: str, sha256: str) -> Submitted | None:
        """The video with these bytes and its latest task; None if uploading it would begin something new."""
        try:
            query = {"gallery": gallery, "sha256": sha256, "limit": "1"}
            videos, _ = await self._page("/videos", Video, query, patience=0)
            if not videos:
                return None
            task = await self.task(videos[0].latest_task_id, patience=0)
        except (NotFoundError, UnreachableError):
            return None  # ingest finds out, at the price of the upload
        if task.status in ("failed", "cancelled"):
            return None
        video = videos[0]
        return Submitted(
            video_id=video.id,
            task_id=task.id,
            gallery=video.gallery,
            name=video.name,
            bytes=video.bytes,
            sha256=video.sha256,
            status=task.status,
            duplicate=True,
        )

    async def video_with(self, gallery: str, sha256: str) -> Video | None:
        """The video of a gallery that has these bytes, whatever became of its tasks."""
        try:
            videos, _ = await self._page("/videos", Video, {"gallery": gallery, "sha256": sha256, "limit": "1"})
        except NotFoundError:  # there is no such gallery yet
            return None
        return videos[0] if videos else None

    async def upload(
        self,
        path: Path,
        *,
        gallery: str = "default",
        name: str | None = None,
        again: bool = False,
        identify: bool = True,
        progress: Progress | None = None,
    ) -> Submitted:
        """Stream the file to ingest. Cancelled while it runs, the connection is closed and nothing of it remains."""
        label = name or os.fsencode(path.name).decode("utf-8", "replace")
        fields = {"gallery": gallery, "name": label, "again": str(again).lower(), "identify": str(identify).lower()}
        with CountingReader(path, progress) as file:
            response = await self._call(
                "POST",
                f"{self.ingest_url}/videos",
                data=fields,
                files={"file": ("video", file, "application/octet-stream")},
                timeout=_UPLOAD_TIMEOUT,
            )
        accepted = Submitted.model_validate_json(response.content)
        return accepted.model_copy(update={"began": response.status_code == 202})

    async def cancel(self, task_id: str) -> None:
        """Have a task stopped; may be repeated. RequestRefusedError (409) if it is done or has failed."""
        await self._call("POST", f"{self.ingest_url}/tasks/{segment(task_id)}/cancel")

    async def task(self, task_id: str, *, patience: float | None = None) -> Task:
        """The task as it is now."""
        response = await self._call("GET", f"{self.query_url}/tasks/{segment(task_id)}", patience=patience)
        return Task.model_validate_json(response.content)

    async def watch(self, task_id: str) -> AsyncGenerator[Task, None]:
        """The task now and at every change, up to its final state; polled while its event stream does not work."""
        last = await self.task(task_id)
        yield last
        while not last.final:
            try:
                async with aclosing(self._events(task_id)) as events:
                    async for task in events:
                        if task != last:
                            yield (last := task)
                        if task.final:
                            return
            except httpx2.TransportError:
                pass
            task = await self.task(task_id, patience=_PATIENCE_WATCHING)
            if task != last:
                yield (last := task)
            if not task.final:
                await asyncio.sleep(POLL)

    async def _events(self, task_id: str) -> AsyncGenerator[Task, None]:
        url = f"{self.query_url}/tasks/{segment(task_id)}/events"
        headers = {"Accept": "text/event-stream", **self._calls.headers(url)}
        async with self._calls.http.stream("GET", url, headers=headers, timeout=STREAM_TIMEOUT) as response:
            if response.status_code != 200:
                return
            async for event in httpx2.EventSource(response):
                if event.event == "task":
                    yield Task.model_validate_json(event.data)

    async def video(self, video_id: str) -> Video:
        """One video."""
        return await self._get(f"/videos/{segment(video_id)}", Video)

    def videos(self, gallery: str) -> AsyncIterator[Video]:
        """All videos of a gallery."""
        return self._all("/videos", Video, gallery=gallery)
