"""From a picture to the profiles that its faces may be, and from a profile to those like it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import IO

from castlist.contract.values import AnalysisSettings, GallerySettings
from castlist.contract.vectors import VectorFace
from castlist.store.query import with_ids
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.profiles import ProfileHidden, ProfileRecord
from castlist_identity.search.face_index import Match
from query_api.http.rendering import Json
from query_api.read_model import ReadModel
from query_api.search.gallery_indexes import GalleryIndexes
from query_api.search.picture_children import PictureChildren
from query_api.search.protocol import PictureResult, SeenFace

_BESIDE = 20
"""Profiles that are looked up beside those asked for, as some of them may be hidden."""
_AT_ONCE = 50
"""Profiles put together at a time: other requests are answered in between."""
Ask = Callable[[int], list[list[Match]]]


class FaceSearch:
    """What answers. One instance a process."""

    def __init__(self, model: ReadModel, children: PictureChildren, indexes: GalleryIndexes) -> None:
        self._model, self._children, self._indexes = model, children, indexes

    def ensure_room(self) -> None:
        """Problem 503 where so many pictures wait that another one had better come later."""
        self._children.ensure_room()

    async def look(self, picture: IO[bytes], settings: AnalysisSettings) -> PictureResult:
        """What is in a picture. Raises as `PictureChildren.look`."""
        return await self._children.look(picture, settings)

    async def faces(self, picture: IO[bytes], gallery: GalleryRecord, limit: int, within: float) -> list[Json]:
        """Each face of a picture, with the profiles nearest to it. Raises as `PictureChildren.look`."""
        settings = gallery.settings or GallerySettings()
        seen = (await self._children.look(picture, settings.analysis)).faces
        encodings = [VectorFace.decoded(one.face).encoding for one in seen]
        async with self._indexes.current(gallery.id) as index:
            found = await self._visible(lambda n: [index.nearest(one, n, within) for one in encodings], limit)
        return [_face(one, matches) for one, matches in zip(seen, await self._views(found), strict=True)]

    async def similar(self, profile: ProfileRecord, limit: int, within: float) -> list[Json]:
        """The other profiles of the gallery that are nearest to one."""
        async with self._indexes.current(profile.gallery) as index:
            found = await self._visible(lambda n: [index.similar(profile.id, n, within)], limit)
        return (await self._views(found))[0]

    async def _visible(self, ask: Ask, limit: int) -> list[list[Match]]:
        """The first `limit` of each list that are there and not hidden; `ask` gives lists of a length."""
        count = limit + _BESIDE
        while True:
            asked = await asyncio.to_thread(ask, count)
            ids = sorted({one.profile for matches in asked for one in matches})
            there = await self._model.store.profiles.find_parts(ProfileHidden, with_ids(ids)) if ids else []
            shown = {one.id for one in there if not one.hidden}
            found = [[one for one in matches if one.profile in shown] for matches in asked]
            if all(len(few) >= limit or len(all) < count for few, all in zip(found, asked, strict=True)):
                return [matches[:limit] for matches in found]
            count *= 4

    async def _views(self, found: Sequence[Sequence[Match]]) -> list[list[Json]]:
        """With the profiles as shown; those that went meanwhile are left out."""
        ids = sorted({one.profile for one in chain.from_iterable(found)})
        views: dict[str, Json] = {}
        for start in range(0, len(ids), _AT_ONCE):
            records = await self._model.store.profiles.find(with_ids(ids[start : start + _AT_ONCE]))
            views |= {view["id"]: view for view in await self._model.profiles(records)}
        return [[_match(one, views[one.profile]) for one in matches if one.profile in views] for matches in found]


def _match(found: Match, profile: Json) -> Json:
    return {"profile": profile, "distance": round(found.distance, 4), "likeness": round(found.likeness, 4)}


def _face(seen: SeenFace, matches: list[Json]) -> Json:
    return {
        "box": asdict(seen.face.box),
        "quality": seen.face.quality,
        "crop": f"data:image/jpeg;base64,{seen.jpeg}",
        "matches": matches,
    }
