"""Records as the services leave them in MongoDB, for tests of what reads them."""

import functools
import operator
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from castlist.contract.box import Box
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import appearance_key, crop_key, person_key, task_id
from castlist.contract.text import folded
from castlist.contract.values import ENCODING_SIZE, Crop, FrameSize, Segment, StoredObject
from castlist.store.query import set_to, with_id, with_ids
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.persons import PersonRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.tasks import Status, TaskError, TaskRecord
from castlist.store.records.videos import VideoMoment
from castlist.store.store import Store
from castlist.tasks import lifecycle, registration

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOT_A_VIDEO = TaskError("not_a_video", "This is text.")
PERSON = PersonRecord(
    id="v:1:0",
    gallery="g",
    video_id="v",
    epoch=1,
    n=0,
    mean=bytes(512),
    variance=0.1,
    faces=3,
    segments=((0.0, 1.5), (2.0, 3.0)),
    seconds=2.5,
    first_seen=0.0,
    last_seen=3.0,
    crop=Crop("crops/v/1/0-0.jpg", 0.5, Box(1, 2, 3, 4), FrameSize(640, 480), 0.5),
    apart=(1, 2),
)


@dataclass
class Stored:
    """Writes into one gallery. What it makes later is a second younger."""

    store: Store
    gallery: str
    seconds: int = 0

    def now(self) -> datetime:
        """A second after the last time."""
        self.seconds += 1
        return START + timedelta(seconds=self.seconds)

    async def video(self, name: str = "lobby.mp4", status: Status = lifecycle.DONE, **changes: Any) -> str:
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
        await registration.register(self.store, uploaded, now, keep=_came_by_ingest)
        if status == lifecycle.PROCESSING:
            await self.change_task(video, status=status, started_at=self.now(), progress=0.25, chunks_planned=8)
        elif status != lifecycle.QUEUED:
            error = NOT_A_VIDEO if status == lifecycle.FAILED else None
            await lifecycle.finish(self.store, video, 1, status, self.now(), error)
        return video

    async def change_task(self, video: str, **values: Any) -> None:
        """Set fields of a video's first task."""
        changes = [set_to(getattr(TaskRecord, name), value) for name, value in values.items()]
        await self.store.tasks.update(with_id(task_id(video, 1)), functools.reduce(operator.and_, changes))

    async def profile(
        self, videos: Sequence[str], name: str | None = None, at: datetime | None = None, **changes: Any
    ) -> str:
        """A person who appears in these videos, in that order; the id. `changes`: of the profile."""
        profile = f"p-{uuid.uuid4().hex}"
        at = at or self.now()
        known = await self.store.videos.find_parts(VideoMoment, with_ids(videos))
        moments = {video.id: video.at for video in known}
        record = ProfileRecord(
            id=profile,
            gallery=self.gallery,
            name=name,
            folded_name=name and folded(name),
            created_at=at,
            updated_at=at,
            video_count=len(videos),
            first_seen=min(moments.values(), default=None),
            last_seen=max(moments.values(), default=None),
            milliseconds=11_900 * len(videos),
        )
        await self.store.profiles.insert(replace(record, **changes))
        appearances = [
            replace(self._appearance(profile, video, at + timedelta(milliseconds=n)), video_at=moments.get(video))
            for n, video in enumerate(videos)
        ]
        await self.store.appearances.insert_many(appearances)
        return profile

    def _appearance(self, profile: str, video: str, at: datetime) -> AppearanceRecord:
        return AppearanceRecord(
            id=appearance_key(profile, video),
            gallery=self.gallery,
            profile_id=profile,
            video_id=video,
            epoch=1,
            created_at=at,
            persons=(person_key(video, 1, 0),),
            segments=(Segment(0.4, 9.1), Segment(27.8, 31.0)),
            seconds=11.9,
            faces=57,
            first_seen=0.4,
            last_seen=31.0,
            crop=_crop(video),
        )

    async def retired(self, founder: str | None, into: str | None) -> str:
        """The id of a profile that was merged away; its founder is that video person."""
        profile = f"r-{uuid.uuid4().hex}"
        await self.store.redirects.insert(RedirectRecord(id=profile, gallery=self.gallery, founder=founder, into=into))
        return profile

    async def person(self, video: str, profile: str) -> str:
        """A video person who belongs to that profile now; the key."""
        key = person_key(video, 1, 0)
        await self.store.persons.insert(
            PersonRecord(
                id=key,
                gallery=self.gallery,
                video_id=video,
                epoch=1,
                n=0,
                mean=bytes(4 * ENCODING_SIZE),
                variance=0.0,
                faces=57,
                segments=((0.4, 9.1), (27.8, 31.0)),
                seconds=11.9,
                first_seen=0.4,
                last_seen=31.0,
                crop=_crop(video),
                apart=(),
                profile_id=profile,
            )
        )
        return key


def _crop(video: str) -> Crop:
    box, frame = Box(left=210, top=88, width=96, height=96), FrameSize(width=640, height=480)
    return Crop(key=crop_key(video, 1, 0, 3), time=3.2, box=box, frame=frame, quality=0.93)


async def _came_by_ingest(_: Store) -> None:
    """Nothing else is known of the upload."""
