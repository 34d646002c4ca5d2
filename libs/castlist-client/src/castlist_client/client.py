"""The two services as an async client: put videos in, follow their tasks, read who is where.

    async with Client() as castlist:
        accepted = await castlist.submit(Path("lobby.mp4"), gallery="newsroom")
        async for task in castlist.watch(accepted.task_id):
            print(task.status, task.progress)

Every call may be repeated without harm, and is while a server is away. What is left raises `UnreachableError`,
and what a service refuses `RequestRefusedError` (`NotFoundError`).
"""

import asyncio
import os
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2

from castlist.api.appearances import Appearance
from castlist.api.change_history import Change
from castlist.api.galleries import Gallery
from castlist.api.objections import Objection
from castlist.api.profiles import Profile
from castlist.api.resource import Resource
from castlist.api.search import SearchResult
from castlist.api.tasks import Task
from castlist.api.videos import Video, VideoAccepted
from castlist_client.operations.alerts import STREAM_TIMEOUT, AlertCalls, GalleryEvent
from castlist_client.operations.archives import TIMEOUT, FileBlocks, download
from castlist_client.operations.transport import (
    ClientError,
    NotFoundError,
    RequestRefusedError,
    Transport,
    UnreachableError,
)
from castlist_client.submission.files import CountingReader, Progress, sha256_of

__all__ = [
    "Client",
    "ClientError",
    "ForeignAddressError",
    "GalleryEvent",
    "NotFoundError",
    "RequestRefusedError",
    "Submitted",
    "UnreachableError",
]

A = TypeVar("A", bound=Resource)

_PAGE = 500
_POLL = 0.5
# A task that we watch goes on while a service is restarted.
_PATIENCE_WATCHING = 60.0
_UPLOAD_TIMEOUT = httpx2.Timeout(60, connect=5, read=300)


# No other server, and no step upwards.
_CROP = re.compile(r"/crops(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]{1,160}){1,4}")


class ForeignAddressError(ClientError):
    """An address that a service named leads elsewhere: it is not asked."""


class Submitted(VideoAccepted):
    """What a video was accepted as. `began`: this very call made the task."""

    began: bool = False


class Client(AlertCalls):
    """Both services, for as long as the block is open. `patience` is how long a call is repeated, in seconds."""

    def __init__(
        self,
        ingest_url: str = "http://127.0.0.1:50001",
        query_url: str = "http://127.0.0.1:56667",
        *,
        key: str | None = None,
        patience: float = 5.0,
    ) -> None:
        self.ingest_url, self.query_url = ingest_url.rstrip("/"), query_url.rstrip("/")
        self.patience = patience
        self._calls = Transport((self.ingest_url, self.query_url), key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._calls.http.aclose()

    # --- videos in ----------------------------------------------------------------------------------------------------

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
        await self._call("POST", f"{self.ingest_url}/tasks/{_segment(task_id)}/cancel")

    # --- how it goes --------------------------------------------------------------------------------------------------

    async def task(self, task_id: str, *, patience: float | None = None) -> Task:
        """The task as it is now."""
        response = await self._call("GET", f"{self.query_url}/tasks/{_segment(task_id)}", patience=patience)
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
                await asyncio.sleep(_POLL)

    async def _events(self, task_id: str) -> AsyncGenerator[Task, None]:
        url = f"{self.query_url}/tasks/{_segment(task_id)}/events"
        headers = {"Accept": "text/event-stream", **self._calls.headers(url)}
        async with self._calls.http.stream("GET", url, headers=headers, timeout=STREAM_TIMEOUT) as response:
            if response.status_code != 200:
                return
            async for event in httpx2.EventSource(response):
                if event.event == "task":
                    yield Task.model_validate_json(event.data)

    # --- who is where -------------------------------------------------------------------------------------------------

    def profiles(self, gallery: str) -> AsyncIterator[Profile]:
        """The people of a gallery, the oldest profile first."""
        return self._all("/profiles", Profile, gallery=gallery)

    async def profile(self, profile_id: str) -> Profile:
        """A person; an id that was merged away leads to the one that holds its people now."""
        return await self._get(f"/profiles/{_segment(profile_id)}", Profile)

    def appearances(self, profile_id: str) -> AsyncIterator[Appearance]:
        """All appearances of a person, the newest first."""
        return self._all(f"/profiles/{_segment(profile_id)}/appearances", Appearance)

    def people(self, video_id: str) -> AsyncIterator[Profile]:
        """The people of a video, each with the appearance in that video only."""
        return self._all(f"/videos/{_segment(video_id)}/profiles", Profile)

    def videos(self, gallery: str) -> AsyncIterator[Video]:
        """All videos of a gallery."""
        return self._all("/videos", Video, gallery=gallery)

    async def video(self, video_id: str) -> Video:
        """One video."""
        return await self._get(f"/videos/{_segment(video_id)}", Video)

    def galleries(self) -> AsyncIterator[Gallery]:
        """All galleries, by their names."""
        return self._all("/galleries", Gallery)

    async def create_gallery(self, gallery: str, **settings: Any) -> Gallery:
        """Make a gallery; settings that are not named are the usual ones. RequestRefusedError (409) if it is there."""
        response = await self._call(
            "POST",
            f"{self.query_url}/galleries",
            headers={"Idempotency-Key": str(uuid.uuid4())},
            json={"id": gallery, "settings": settings},
        )
        return Gallery.model_validate_json(response.content)

    async def settings(self, gallery: str) -> dict[str, Any]:
        """How faces are looked for and matched in a gallery."""
        path = f"/galleries/{_segment(gallery)}/settings"
        return dict((await self._call("GET", self.query_url + path)).json())

    async def change_settings(self, gallery: str, *, dry_run: bool = False, **settings: Any) -> Change:
        """Change some settings, or have said in the change's `detail` what they would change."""
        path, query = f"/galleries/{_segment(gallery)}/settings", {"dry_run": str(dry_run).lower()}
        return await self._correct("PATCH", path, json=settings, params=query)

    async def gallery(self, gallery: str) -> Gallery:
        """How much is in a gallery, and whether anything in it is still to come."""
        return await self._get(f"/galleries/{_segment(gallery)}", Gallery)

    async def settled(self, gallery: str) -> Gallery:
        """Wait until nothing is open or pending in a gallery."""
        while True:
            state = await self.gallery(gallery)
            if state.settled:
                return state
            await asyncio.sleep(_POLL)

    async def find(self, picture: Path, *, gallery: str = "default", limit: int = 5) -> SearchResult:
        """Who is in a picture: each face in it with the profiles nearest to it. OSError if it cannot be read."""
        content = await asyncio.to_thread(picture.read_bytes)
        response = await self._call(
            "POST",
            f"{self.query_url}/search",
            data={"gallery": gallery, "limit": str(limit)},
            files={"file": ("picture", content, "application/octet-stream")},
        )
        return SearchResult.model_validate_json(response.content)

    async def enrol(self, name: str, *pictures: Path, gallery: str = "default") -> Change:
        """Somebody is known by these pictures, alone in each: `profiles` of the change names the profile.

        OSError if one cannot be read, RequestRefusedError where one shows nobody or more than one.
        """
        contents = [await asyncio.to_thread(picture.read_bytes) for picture in pictures]
        files = [("file", ("picture", content, "application/octet-stream")) for content in contents]
        return await self._correct("POST", "/profiles", data={"gallery": gallery, "name": name}, files=files)

    async def raise_objection(self, gallery: str, *, profile: str | None = None, picture: Path | None = None) -> Change:
        """Whom a profile, or a picture, shows is erased, and left out of what comes. OSError if the picture cannot be
        read."""
        path = f"/galleries/{_segment(gallery)}/objections"
        if picture is None:
            return await self._correct("POST", path, json={"profile_id": profile})
        content = await asyncio.to_thread(picture.read_bytes)
        return await self._correct("POST", path, files={"file": ("picture", content, "application/octet-stream")})

    def objections(self, gallery: str) -> AsyncIterator[Objection]:
        """Who objects to being known in a gallery, the newest first."""
        return self._all(f"/galleries/{_segment(gallery)}/objections", Objection)

    async def withdraw_objection(self, gallery: str, objection_id: str) -> Change:
        """Have somebody known again, in videos that come from now on."""
        return await self._correct("DELETE", f"/galleries/{_segment(gallery)}/objections/{_segment(objection_id)}")

    # --- putting right ------------------------------------------------------------------------------------------------

    async def edit(self, profile_id: str, **card: Any) -> Change:
        """Write those fields of a person's card; None clears one. RequestRefusedError where that is not to be."""
        return await self._correct("PATCH", f"/profiles/{_segment(profile_id)}", json=card)

    async def merge(self, profile_id: str, *others: str) -> Change:
        """Other profiles are this person, too."""
        path = f"/profiles/{_segment(profile_id)}/merge"
        return await self._correct("POST", path, json={"profiles": list(others)})

    async def split(self, profile_id: str, *videos: str, into: str | None = None) -> Change:
        """What of a profile is in these videos is somebody else: of the profile `into`, or of a new one."""
        path = f"/profiles/{_segment(profile_id)}/split"
        return await self._correct("POST", path, json={"videos": list(videos), "into": into})

    async def reject(self, profile_id: str, video_id: str, *, face: bool = True) -> Change:
        """What of a profile is in this video is not this person, or no face."""
        reason = "not_this_person" if face else "not_a_face"
        path = f"/profiles/{_segment(profile_id)}/reject"
        return await self._correct("POST", path, json={"video_id": video_id, "reason": reason})

    async def delete(self, profile_id: str, *, erase: bool = False) -> Change:
        """Take a profile away; erased, all that could find the person again goes for good."""
        return await self._correct("DELETE", f"/profiles/{_segment(profile_id)}", params={"erase": str(erase).lower()})

    async def delete_video(self, video_id: str, *, erase: bool = False) -> Change:
        """Take a video away with its crops and records; erased, names of people who are nowhere else go too."""
        return await self._correct("DELETE", f"/videos/{_segment(video_id)}", params={"erase": str(erase).lower()})

    async def delete_gallery(self, gallery: str) -> Change:
        """Erase a gallery with everything in it, for good."""
        return await self._correct("DELETE", f"/galleries/{_segment(gallery)}")

    async def undo(self, change_id: str) -> Change:
        """Take a change back, or take back that it was taken back."""
        return await self._correct("POST", f"/changes/{_segment(change_id)}/undo")

    async def change(self, change_id: str) -> Change:
        """What was changed by hand, and what became of it: a correction, a deletion, other settings."""
        return await self._get(f"/changes/{_segment(change_id)}", Change)

    def changes(self, gallery: str) -> AsyncIterator[Change]:
        """What was changed by hand in a gallery, the newest first."""
        return self._all(f"/galleries/{_segment(gallery)}/changes", Change)

    # --- galleries taken along ----------------------------------------------------------------------------------------

    async def export(self, gallery: str, out: Path, *, videos: bool = False, progress: Progress | None = None) -> int:
        """Write a gallery's archive to `out`, with the files of its `videos` or without; how many bytes it has.

        What had come when it broke off is gone on with, by a later call too. OSError if the file cannot be written.
        """
        url = f"{self.query_url}/galleries/{_segment(gallery)}/export"
        query = {"videos": "include" if videos else "reference"}
        return await download(self._calls, url, query, out, self.patience, progress)

    async def export_table(self, gallery: str, out: Path) -> int:
        """Write all appearances of a gallery to `out`, which is called `….csv` or `….jsonl`; how many bytes it has."""
        path = f"/galleries/{_segment(gallery)}/appearances{out.suffix}"
        return await download(self._calls, self.query_url + path, {}, out, self.patience, None)

    async def export_timeline(self, out: Path, *, video: str | None = None, profile: str | None = None) -> int:
        """Write who is on screen in a `video` (or this `profile` in it), or all stretches of a `profile`, to `out`,
        which is called `….edl`, `….otio` or, of a video, `….vtt`; how many bytes it has."""
        of = f"/profiles/{_segment(profile or '')}" if video is None else f"/videos/{_segment(video)}"
        query = {"profile": profile} if video is not None and profile is not None else {}
        url = f"{self.query_url}{of}/timeline{out.suffix}"
        return await download(self._calls, url, query, out, self.patience, None)

    async def import_gallery(self, archive: Path, gallery: str, *, progress: Progress | None = None) -> Change:
        """Take an archive into a gallery where nothing is yet. The same one twice is imported once; the change's
        `detail` says what came, and which ids it has now where it has others. RequestRefusedError if it failed."""
        blocks = FileBlocks(archive, progress)
        response = await self._call(
            "POST",
            f"{self.query_url}/galleries/{_segment(gallery)}/import",
            content=blocks,
            headers=blocks.headers,
            timeout=TIMEOUT,
        )
        return await self._done(Change.model_validate_json(response.content))

    async def crop(self, url: str) -> bytes:
        """The JPEG under a crop's `url`, which is one of query-api's own; ForeignAddressError for any other."""
        if not _CROP.fullmatch(url):
            raise ForeignAddressError(f"{url!r} is no crop of {self.query_url}")
        return (await self._call("GET", self.query_url + url, follow_redirects=False)).content

    # --- underneath ---------------------------------------------------------------------------------------------------

    async def _call(self, method: str, url: str, *, patience: float | None = None, **options: Any) -> httpx2.Response:
        return await self._calls.send(method, url, patience=self.patience if patience is None else patience, **options)

    async def _correct(self, method: str, path: str, **options: Any) -> Change:
        """A correction, once it is applied: however often it is sent, it is one."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        response = await self._call(method, self.query_url + path, headers=key, **options)
        return await self._done(Change.model_validate_json(response.content))

    async def _done(self, change: Change) -> Change:
        """The change once nothing more becomes of it."""
        while not change.final:
            await asyncio.sleep(_POLL)
            change = await self.change(change.id)
        return change

    async def _get(self, path: str, model: type[A]) -> A:
        return model.model_validate_json((await self._call("GET", self.query_url + path)).content)

    async def _page(
        self, path: str, model: type[A], query: dict[str, str], patience: float | None = None
    ) -> tuple[list[A], str | None]:
        body = (await self._call("GET", self.query_url + path, params=query, patience=patience)).json()
        return [model.model_validate(item) for item in body["items"]], body["next_cursor"]

    async def _all(self, path: str, model: type[A], **query: str) -> AsyncIterator[A]:
        cursor: str | None = None
        while True:
            here = {"cursor": cursor} if cursor else {}
            items, cursor = await self._page(path, model, {**query, "limit": str(_PAGE), **here})
            for item in items:
                yield item
            if cursor is None:
                return


def _segment(id: str) -> str:
    return quote(id, safe="")
