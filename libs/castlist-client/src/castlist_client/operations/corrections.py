"""Putting right what the machine got wrong, and saying who is to be known and who is not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from castlist.api.change_history import Change
from castlist.api.objections import Objection
from castlist_client.operations.services import Services, segment


class CorrectionCalls(Services):
    """A part of `Client`."""

    async def edit(self, profile_id: str, **card: Any) -> Change:
        """Write those fields of a person's card; None clears one. RequestRefusedError where that is not to be."""
        return await self._correct("PATCH", f"/profiles/{segment(profile_id)}", json=card)

    async def merge(self, profile_id: str, *others: str) -> Change:
        """Other profiles are this person, too."""
        path = f"/profiles/{segment(profile_id)}/merge"
        return await self._correct("POST", path, json={"profiles": list(others)})

    async def split(self, profile_id: str, *videos: str, into: str | None = None) -> Change:
        """What of a profile is in these videos is somebody else: of the profile `into`, or of a new one."""
        path = f"/profiles/{segment(profile_id)}/split"
        return await self._correct("POST", path, json={"videos": list(videos), "into": into})

    async def reject(self, profile_id: str, video_id: str, *, face: bool = True) -> Change:
        """What of a profile is in this video is not this person, or no face."""
        reason = "not_this_person" if face else "not_a_face"
        path = f"/profiles/{segment(profile_id)}/reject"
        return await self._correct("POST", path, json={"video_id": video_id, "reason": reason})

    async def delete(self, profile_id: str, *, erase: bool = False) -> Change:
        """Take a profile away; erased, all that could find the person again goes for good."""
        return await self._correct("DELETE", f"/profiles/{segment(profile_id)}", params={"erase": str(erase).lower()})

    async def delete_video(self, video_id: str, *, erase: bool = False) -> Change:
        """Take a video away with its crops and records; erased, names of people who are nowhere else go too."""
        return await self._correct("DELETE", f"/videos/{segment(video_id)}", params={"erase": str(erase).lower()})

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
        path = f"/galleries/{segment(gallery)}/objections"
        if picture is None:
            return await self._correct("POST", path, json={"profile_id": profile})
        content = await asyncio.to_thread(picture.read_bytes)
        return await self._correct("POST", path, files={"file": ("picture", content, "application/octet-stream")})

    def objections(self, gallery: str) -> AsyncIterator[Objection]:
        """Who objects to being known in a gallery, the newest first."""
        return self._all(f"/galleries/{segment(gallery)}/objections", Objection)

    async def withdraw_objection(self, gallery: str, objection_id: str) -> Change:
        """Have somebody known again, in videos that come from now on."""
        return await self._correct("DELETE", f"/galleries/{segment(gallery)}/objections/{segment(objection_id)}")

    async def undo(self, change_id: str) -> Change:
        """Take a change back, or take back that it was taken back."""
        return await self._correct("POST", f"/changes/{segment(change_id)}/undo")

    async def change(self, change_id: str) -> Change:
        """What was changed by hand, and what became of it: a correction, a deletion, other settings."""
        return await self._get(f"/changes/{segment(change_id)}", Change)

    def changes(self, gallery: str) -> AsyncIterator[Change]:
        """What was changed by hand in a gallery, the newest first."""
        return self._all(f"/galleries/{segment(gallery)}/changes", Change)
