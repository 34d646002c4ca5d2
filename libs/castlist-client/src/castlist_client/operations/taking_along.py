"""Galleries taken along: as archives, as tables, as timelines."""

from pathlib import Path

from castlist.api.change_history import Change
from castlist_client.operations.archives import TIMEOUT, FileBlocks, download
from castlist_client.operations.services import Services, segment
from castlist_client.submission.files import Progress


class ArchiveCalls(Services):
    """A part of `Client`."""

    async def export(self, gallery: str, out: Path, *, videos: bool = False, progress: Progress | None = None) -> int:
        """Write a gallery's archive to `out`, with the files of its `videos` or without; how many bytes it has.

        What had come when it broke off is gone on with, by a later call too. OSError if the file cannot be written.
        """
        url = f"{self.query_url}/galleries/{segment(gallery)}/export"
        query = {"videos": "include" if videos else "reference"}
        return await download(self._calls, url, query, out, self.patience, progress)

    async def export_table(self, gallery: str, out: Path) -> int:
        """Write all appearances of a gallery to `out`, which is called `….csv` or `….jsonl`; how many bytes it has."""
        path = f"/galleries/{segment(gallery)}/appearances{out.suffix}"
        return await download(self._calls, self.query_url + path, {}, out, self.patience, None)

    async def export_timeline(self, out: Path, *, video: str | None = None, profile: str | None = None) -> int:
        """Write who is on screen in a `video` (or this `profile` in it), or all stretches of a `profile`, to `out`,
        which is called `….edl`, `….otio` or, of a video, `….vtt`; how many bytes it has."""
        of = f"/profiles/{segment(profile or '')}" if video is None else f"/videos/{segment(video)}"
        query = {"profile": profile} if video is not None and profile is not None else {}
        url = f"{self.query_url}{of}/timeline{out.suffix}"
        return await download(self._calls, url, query, out, self.patience, None)

    async def import_gallery(self, archive: Path, gallery: str, *, progress: Progress | None = None) -> Change:
        """Take an archive into a gallery where nothing is yet. The same one twice is imported once; the change's
        `detail` says what came, and which ids it has now where it has others. RequestRefusedError if it failed."""
        blocks = FileBlocks(archive, progress)
        response = await self._call(
            "POST",
            f"{self.query_url}/galleries/{segment(gallery)}/import",
            content=blocks,
            headers=blocks.headers,
            timeout=TIMEOUT,
        )
        return await self._done(Change.model_validate_json(response.content))
