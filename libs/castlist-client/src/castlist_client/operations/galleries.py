"""Galleries: which there are, their settings, and how far they are."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

from castlist.api.change_history import Change
from castlist.api.galleries import Gallery
from castlist_client.operations.services import POLL, Services, segment


class GalleryCalls(Services):
    """A part of `Client`."""

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

    async def gallery(self, gallery: str) -> Gallery:
        """How much is in a gallery, and whether anything in it is still to come."""
        return await self._get(f"/galleries/{segment(gallery)}", Gallery)

    async def settled(self, gallery: str) -> Gallery:
        """Wait until nothing is open or pending in a gallery."""
        while True:
            state = await self.gallery(gallery)
            if state.settled:
                return state
            await asyncio.sleep(POLL)

    async def settings(self, gallery: str) -> dict[str, Any]:
        """How faces are looked for and matched in a gallery."""
        path = f"/galleries/{segment(gallery)}/settings"
        return dict((await self._call("GET", self.query_url + path)).json())

    async def change_settings(self, gallery: str, *, dry_run: bool = False, **settings: Any) -> Change:
        """Change some settings, or have said in the change's `detail` what they would change."""
        path, query = f"/galleries/{segment(gallery)}/settings", {"dry_run": str(dry_run).lower()}
        return await self._correct("PATCH", path, json=settings, params=query)

    async def delete_gallery(self, gallery: str) -> Change:
        """Erase a gallery with everything in it, for good."""
        return await self._correct("DELETE", f"/galleries/{segment(gallery)}")
