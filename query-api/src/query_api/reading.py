"""Reading the stored documents as what clients see. Every list is a fixed number of queries, however long it is."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from castlist import tasks
from castlist.ids import appearance_key
from castlist.ports import Document, Documents
from castlist.schema import APPEARANCES, GALLERIES, PENDING, PERSONS, PROFILES, REDIRECTS, TASKS, VIDEOS
from query_api.cursors import Order
from query_api.responses import instant

NEWEST = 100
"""How many appearances a profile shows in a list."""
_MANY = 20_000
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
        after = order.after(cursor)
        both = {"$and": [dict(where), after]} if after else where
        rows = await self.documents.find(collection, both, sort=order.sort, limit=limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        return rows, order.cursor(rows[-1]) if more else None

    # --- tasks --------------------------------------------------------------------------------------------------------

    async def tasks(self, rows: Sequence[Document], now: datetime) -> list[Document]:
        """Tasks as shown."""
        done = sorted({row["video_id"] for row in rows if row["status"] == tasks.DONE})
        people: Counter[str] = Counter()
        if done:
            found = await self.documents.find(APPEARANCES, {"video_id": {"$in": done}}, fields=("video_id",))
            people.update(one["video_id"] for one in found)
        return [_task(row, people[row["video_id"]] if row["status"] == tasks.DONE else None, now) for row in rows]

    async def task(self, task_id: str, now: datetime) -> Document | None:
        """One task as shown."""
        row = await self.documents.get(TASKS, task_id)
        return None if row is None else (await self.tasks([row], now))[0]

    # --- profiles -----------------------------------------------------------------------------------------------------

    async def profiles(self, rows: Sequence[Document], video_id: str | None = None) -> list[Document]:
        """Profiles as shown, with their newest appearances, or only with that in one video."""
        ids = [row["_id"] for row in rows]
        if video_id is not None:
            where: Document = {"_id": {"$in": [appearance_key(one, video_id) for one in ids]}}
            found = await self.documents.find(APPEARANCES, where, fields=_APPEARANCE)
        elif sum(row["video_count"] for row in rows) <= _MANY:
            found = await self.documents.find(APPEARANCES, {"profile_id": {"$in": ids}}, fields=_APPEARANCE)
        else:
            found = [one for profile in ids for one in await self._newest(profile)]
        shown = await self.appearances(found)
        of: dict[str, list[tuple[datetime, str, Document]]] = defaultdict(list)
        for row, view in zip(found, shown, strict=True):
            of[row["profile_id"]].append((row["created_at"], row["_id"], view))
        return [
            _profile(row, [view for _, _, view in sorted(of[row["_id"]], key=_newest_first)[:NEWEST]]) for row in rows
        ]

    async def _newest(self, profile: str) -> list[Document]:
        order = [("created_at", -1), ("_id", 1)]
        return await self.documents.find(
            APPEARANCES, {"profile_id": profile}, sort=order, limit=NEWEST, fields=_APPEARANCE
        )

    async def appearances(self, rows: Sequence[Document]) -> list[Document]:
        """Appearances as shown."""
        names = await self._names({row["video_id"] for row in rows})
        return [_appearance(row, names.get(row["video_id"], "")) for row in rows]

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

    async def gallery(self, gallery: str) -> Document | None:
        """One gallery as shown; None if there is none."""
        if await self.documents.get(GALLERIES, gallery) is None:
            return None
        # In this order: a commit in between moves a task from open to pending to neither, never back.
        open_tasks = await self.documents.count(TASKS, {"gallery": gallery, "status": {"$in": list(tasks.OPEN)}})
        pending = await self.documents.count(PENDING, {"gallery": gallery})
        return {
            "id": gallery,
            "videos": await self.documents.count(VIDEOS, {"gallery": gallery}),
            "profiles": await self.documents.count(PROFILES, {"gallery": gallery}),
            "tasks_open": open_tasks,
            "settled": open_tasks == 0 and pending == 0,
        }


def _newest_first(row: tuple[datetime, str, Document]) -> tuple[float, str]:
    return -row[0].timestamp(), row[1]


def _task(row: Document, people: int | None, now: datetime) -> Document:
    eta = None
    if row["status"] == tasks.PROCESSING and row["started_at"] and row["progress"] > 0:
        spent = (now - row["started_at"]).total_seconds()
        eta = round(max(0.0, spent * (1 - row["progress"]) / row["progress"]), 1)
    return {
        "id": row["_id"],
        "video_id": row["video_id"],
        "video_name": row["video_name"],
        "gallery": row["gallery"],
        "epoch": row["epoch"],
        "status": row["status"],
        "progress": row["progress"],
        "chunks_done": row["chunks_done"],
        "chunks_planned": row["chunks_planned"],
        "people": people,
        "faces_skipped": row["faces_skipped"],
        "warnings": row["warnings"],
        "error": row["error"],
        "created_at": instant(row["created_at"]),
        "started_at": instant(row["started_at"]),
        "finished_at": instant(row["finished_at"]),
        "eta_seconds": eta,
    }


def _appearance(row: Document, name: str) -> Document:
    crop = row["crop"]
    return {
        "video_id": row["video_id"],
        "video_name": name,
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "seconds": row["seconds"],
        "faces": row["faces"],
        "segments": row["segments"],
        "crop": None
        if crop is None
        else {
            "url": f"/{crop['key']}",
            "time": crop["time"],
            "box": crop["box"],
            "frame": crop["frame"],
            "quality": crop["quality"],
        },
    }


def _profile(row: Document, appearances: list[Document]) -> Document:
    return {
        "id": row["_id"],
        "gallery": row["gallery"],
        "name": row["name"],
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
        "video_count": row["video_count"],
        "appearances": appearances,
    }


def video(row: Document) -> Document:
    """A video as shown."""
    return {
        "id": row["_id"],
        "gallery": row["gallery"],
        "name": row["name"],
        "bytes": row["bytes"],
        "sha256": row["sha256"],
        "duration": row["duration"],
        "width": row["width"],
        "height": row["height"],
        "frame_rate": row["frame_rate"],
        "recorded_at": instant(row["recorded_at"]),
        "external_id": row["external_id"],
        "latest_task_id": row["latest_task_id"],
        "created_at": instant(row["created_at"]),
    }
