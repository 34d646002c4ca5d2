"""Documents as the services leave them in MongoDB, for tests of what reads them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from castlist.contract.events import VideoUploaded
from castlist.contract.ids import appearance_key, crop_key, person_key, task_id
from castlist.contract.values import StoredObject
from castlist.ports.documents import Document, Documents
from castlist.store.collections import APPEARANCES, PERSONS, PROFILES, REDIRECTS, TASKS
from castlist.tasks import lifecycle, registration

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Stored:
    """Writes into one gallery. What it makes later is a second younger."""

    documents: Documents
    gallery: str
    seconds: int = 0

    def now(self) -> datetime:
        """A second after the last time."""
        self.seconds += 1
        return START + timedelta(seconds=self.seconds)

    async def video(self, name: str = "lobby.mp4", status: str = lifecycle.DONE, **changes: Any) -> str:
        """A video with one task in that state; its id."""
        video = f"v-{uuid.uuid4().hex}"
        now = self.now()
        uploaded = VideoUploaded(
            event_id=video,
            occurred_at=now,
            video_id=video,
            gallery=self.gallery,
            object=StoredObject(bucket="castlist", key=f"videos/{video}"),
            name=name,
        ).model_copy(update=changes)
        await registration.register(self.documents, uploaded, now)
        if status in lifecycle.FINAL:
            code = ("not_a_video", "This is text.") if status == lifecycle.FAILED else (None, None)
            await lifecycle.finish(self.documents, video, 1, status, self.now(), *code)
        elif status == lifecycle.PROCESSING:
            await self.change_task(video, status=status, started_at=self.now(), progress=0.25, chunks_planned=8)
        return video

    async def change_task(self, video: str, **values: Any) -> None:
        """Set fields of a video's first task."""
        await self.documents.update(TASKS, {"_id": task_id(video, 1)}, {"$set": values})

    async def profile(self, videos: Sequence[str], name: str | None = None, at: datetime | None = None) -> str:
        """Somebody who appears in these videos, in that order; the id."""
        profile = f"p-{uuid.uuid4().hex}"
        at = at or self.now()
        await self.documents.insert(
            PROFILES,
            {
                "_id": profile,
                "gallery": self.gallery,
                "name": name,
                "created_at": at,
                "updated_at": at,
                "founder": None,
                "video_count": len(videos),
            },
        )
        rows = [self._appearance(profile, video, at + timedelta(milliseconds=n)) for n, video in enumerate(videos)]
        await self.documents.insert_many(APPEARANCES, rows)
        return profile

    def _appearance(self, profile: str, video: str, at: datetime) -> Document:
        return {
            "_id": appearance_key(profile, video),
            "gallery": self.gallery,
            "profile_id": profile,
            "video_id": video,
            "epoch": 1,
            "created_at": at,
            "persons": [person_key(video, 1, 0)],
            "segments": [{"start": 0.4, "end": 9.1}, {"start": 27.8, "end": 31.0}],
            "seconds": 11.9,
            "faces": 57,
            "first_seen": 0.4,
            "last_seen": 31.0,
            "crop": {
                "key": crop_key(video, 1, 0, 3),
                "time": 3.2,
                "box": {"left": 210, "top": 88, "width": 96, "height": 96},
                "frame": {"width": 640, "height": 480},
                "quality": 0.93,
            },
        }

    async def retired(self, founder: str | None, into: str | None) -> str:
        """The id of a profile that was merged away; its founder is that video person."""
        profile = f"r-{uuid.uuid4().hex}"
        row = {"_id": profile, "gallery": self.gallery, "founder": founder, "into": into}
        await self.documents.insert(REDIRECTS, row)
        return profile

    async def person(self, video: str, profile: str) -> str:
        """A video person who belongs to that profile now; the key."""
        key = person_key(video, 1, 0)
        row = {"_id": key, "gallery": self.gallery, "video_id": video, "profile_id": profile}
        await self.documents.insert(PERSONS, row)
        return key
