"""People: who is where, in pictures too."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from castlist.api.appearances import Appearance
from castlist.api.profiles import Profile
from castlist.api.search import SearchResult
from castlist_client.operations.services import Services, segment
from castlist_client.operations.transport import ClientError

# No other server, and no step upwards.
_CROP = re.compile(r"/crops(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]{1,160}){1,4}")


class ForeignAddressError(ClientError):
    """An address that a service named leads elsewhere: it is not asked."""


class PeopleCalls(Services):
    """A part of `Client`."""

    def profiles(self, gallery: str) -> AsyncIterator[Profile]:
        """The people of a gallery, the oldest profile first."""
        return self._all("/profiles", Profile, gallery=gallery)

    async def profile(self, profile_id: str) -> Profile:
        """A person; an id that was merged away leads to the one that holds its people now."""
        return await self._get(f"/profiles/{segment(profile_id)}", Profile)

    def appearances(self, profile_id: str) -> AsyncIterator[Appearance]:
        """All appearances of a person, the newest first."""
        return self._all(f"/profiles/{segment(profile_id)}/appearances", Appearance)

    def people(self, video_id: str) -> AsyncIterator[Profile]:
        """The people of a video, each with the appearance in that video only."""
        return self._all(f"/videos/{segment(video_id)}/profiles", Profile)

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

    async def crop(self, url: str) -> bytes:
        """The JPEG under a crop's `url`, which is one of query-api's own; ForeignAddressError for any other."""
        if not _CROP.fullmatch(url):
            raise ForeignAddressError(f"{url!r} is no crop of {self.query_url}")
        return (await self._call("GET", self.query_url + url, follow_redirects=False)).content
