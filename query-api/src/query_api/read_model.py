"""Reading the stored documents as what clients see. Every list is a fixed number of queries, however long it is."""

import asyncio
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from castlist.contract.ids import appearance_key, command_ledger_key
from castlist.contract.topics import GALLERY_COMMITS
from castlist.ports.documents import Document, Documents
from castlist.store.collections import APPEARANCES, LEDGER, OUTBOX, PENDING, PERSONS, PROFILES, REDIRECTS, TASKS, VIDEOS
from castlist.tasks import lifecycle
from query_api import views
from query_api.http.cursors import Order

NEWEST = 100
"""How many appearances a profile shows in a list."""
NEWEST_FIRST = Order("created_at", -1)
_APPEARANCE = (
    "profile_id",
    "video_id",
    "created_at",
    "segments",
    "seconds",
    "faces",
    "first_seen",
    "last_seen",
    "crop",
)


class Reading:
    """Views on the database."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    async def page(
        self, collection: str, where: Mapping[str, Any], order: Order, limit: int, cursor: str | None
    ) -> tuple[list[Document], str | None]:
        """One page of documents, and the cursor behind it (None at the end)."""
        rows: list[Document] = []
        for stretch in order.after(cursor):
            both = {"$and": [dict(where), stretch]} if where and stretch else where or stretch
            rows += await self.documents.find(collection, both, sort=order.sort, limit=limit + 1 - len(rows))
            if len(rows) > limit:
                break
        more = len(rows) > limit
        rows = rows[:limit]
        return rows, order.cursor(rows[-1]) if more else None

    # --- tasks --------------------------------------------------------------------------------------------------------

    async def tasks(self, rows: Sequence[Document], now: datetime) -> list[Document]:
        """Tasks as shown."""
        done = sorted({row["video_id"] for row in rows if row["status"] == lifecycle.DONE})
        people = await self.documents.count_by(APPEARANCES, {"video_id": {"$in": done}}, "video_id") if done else {}
        return [
            views.task(row, people.get(row["video_id"], 0) if row["status"] == lifecycle.DONE else None, now)
            for row in rows
        ]

    async def task(self, task_id: str, now: datetime) -> Document | None:
        """One task as shown."""
        row = await self.documents.get(TASKS, task_id)
        return None if row is None else (await self.tasks([row], now))[0]

    # --- profiles -----------------------------------------------------------------------------------------------------

    async def profiles(self, rows: Sequence[Document], video_id: str | None = None) -> list[Document]:
        """Profiles as shown, with their newest appearances, or only with that in one video.

        Nobody is a profile without appearing: those that were merged away since `rows` was read are left out.
        """
        ids = [row["_id"] for row in rows]
        if video_id is not None:
            where: Document = {"_id": {"$in": [appearance_key(one, video_id) for one in ids]}}
            found = await self.documents.find(APPEARANCES, where, fields=_APPEARANCE)
        else:
            found = await self._newest(rows)
        shown = await self.appearances(found)
        of: dict[str, list[tuple[datetime, str, Document]]] = defaultdict(list)
        for row, view in zip(found, shown, strict=True):
            of[row["profile_id"]].append((row["created_at"], row["_id"], view))
        return [
            views.profile(row, [view for _, _, view in sorted(of[row["_id"]], key=_age, reverse=True)[:NEWEST]])
            for row in rows
            if row["_id"] in of
        ]

    async def _newest(self, rows: Sequence[Document]) -> list[Document]:
        """The appearances of all in one query, but for those who are in so many videos that most are not shown."""
        few = [row["_id"] for row in rows if row["video_count"] <= NEWEST]
        many = [row["_id"] for row in rows if row["video_count"] > NEWEST]
        find = functools.partial(self.documents.find, APPEARANCES, fields=_APPEARANCE)
        queries = [find({"profile_id": one}, sort=NEWEST_FIRST.sort, limit=NEWEST) for one in many]
        if few:
            queries.append(find({"profile_id": {"$in": few}}))
        return [one for found in await asyncio.gather(*queries) for one in found]

    async def appearances(self, rows: Sequence[Document]) -> list[Document]:
        """Appearances as shown."""
        names = await self._names({row["video_id"] for row in rows})
        return [views.appearance(row, names.get(row["video_id"], "")) for row in rows]

    async def _names(self, videos: Iterable[str]) -> dict[str, str]:
        ids = sorted(videos)
        found = await self.documents.find(VIDEOS, {"_id": {"$in": ids}}, fields=("name",)) if ids else []
        return {one["_id"]: one["name"] for one in found}

    async def successor(self, profile_id: str) -> str | None:
        """The profile that holds the people of a retired id now; None if nobody does."""
        seen: set[str] = set()
        current: str | None = profile_id
        while current is not None and current not in seen:
            seen.add(current)
            if current != profile_id and await self.documents.get(PROFILES, current) is not None:
                return current
            redirect = await self.documents.get(REDIRECTS, current)
            if redirect is None:
                return None
            founder = await self.documents.get(PERSONS, redirect["founder"]) if redirect["founder"] else None
            current = founder["profile_id"] if founder else redirect["into"]
        return None

    # --- videos and galleries -----------------------------------------------------------------------------------------

    async def galleries(self, ids: Sequence[str]) -> list[Document]:
        """Galleries as shown."""
        count, where = self.documents.count_by, {"gallery": {"$in": list(ids)}}
        # In the order in which a commit comes about: what moves on meanwhile is counted twice, never missed.
        waiting = Counter(one["key"] for one in await self.waiting_commands(ids, fields=("key",)))
        open_tasks = await count(TASKS, {**where, "status": {"$in": list(lifecycle.OPEN)}}, "gallery")
        pending = await count(PENDING, where, "gallery")
        videos, profiles = await count(VIDEOS, where, "gallery"), await count(PROFILES, where, "gallery")
        return [
            {
                "id": one,
                "videos": videos.get(one, 0),
                "profiles": profiles.get(one, 0),
                "tasks_open": open_tasks.get(one, 0),
                "settled": not (waiting[one] or open_tasks.get(one) or pending.get(one)),
            }
            for one in ids
        ]

    async def waiting_commands(self, galleries: Sequence[str], fields: Sequence[str] = ()) -> list[Document]:
        """Commands on the galleries that were accepted and are not carried out: their outbox entries, oldest first."""
        where = {"topic": GALLERY_COMMITS.name, "key": {"$in": list(galleries)}}
        accepted = await self.documents.find(OUTBOX, where, sort=[("created_at", 1)], fields=fields)
        ids = [command_ledger_key(one["key"], one["_id"]) for one in accepted]
        applied = await self.documents.find(LEDGER, {"_id": {"$in": ids}}, fields=("_id",)) if ids else []
        done = {one["_id"] for one in applied}
        return [one for one, id in zip(accepted, ids, strict=True) if id not in done]


def _age(row: tuple[datetime, str, Document]) -> tuple[datetime, str]:
    return row[:2]
