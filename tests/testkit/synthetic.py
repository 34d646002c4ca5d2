"""Synthetic videos as frame-workers would announce them: encodings whose truth is known, without a frame decoded."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from castlist.clock import now_utc
from castlist.contract import events, values, vectors
from castlist.contract.box import Box
from castlist.contract.ids import crop_key, event_id, run_key
from castlist.ports.messages import Publisher
from castlist.store.query import insert_as
from castlist.store.records.runs import ChunkSpan, PlanRecord
from castlist.store.store import Store
from castlist.tasks import registration

BUCKET = "castlist"
_ROWS = (100, 0, 200, 300, 390)


def face_of(person: int, view: int) -> NDArray[np.float32]:
    """A view of a person: people lie about 0.8 apart, views of one about 0.2."""
    centre = np.random.default_rng(person).normal(size=128)
    noise = np.random.default_rng((person + 1) * 1_000_003 + view).normal(size=128)
    vector = 0.56 * centre / np.linalg.norm(centre) + 0.1 * noise / np.linalg.norm(noise)
    return vector.astype(np.float32)


@dataclass(frozen=True)
class SyntheticVideo:
    """`chunks` names who is in each chunk; people of one chunk, 30 at most, are beside each other in the same frames.

    `sightings`: in how many frames each of them, five a second.
    """

    video_id: str
    gallery: str
    chunks: Sequence[Sequence[int]]
    epoch: int = 1
    sightings: int = 6

    def uploaded(self) -> events.VideoUploaded:
        return events.VideoUploaded(
            event_id=event_id("VideoUploaded", self.video_id, self.epoch),
            occurred_at=now_utc(),
            video_id=self.video_id,
            epoch=self.epoch,
            gallery=self.gallery,
            object=values.StoredObject(bucket=BUCKET, key=f"synthetic/{self.video_id}"),
            name=f"{self.video_id}.mp4",
        )

    async def store_plan(self, store: Store) -> None:
        """What the planner does first."""
        planned = self.planned()
        plan = PlanRecord(
            id=run_key(self.video_id, self.epoch),
            gallery=self.gallery,
            object=self.uploaded().object,
            chunks=tuple(ChunkSpan(15.0 * i, 15.0 * (i + 1)) for i in range(len(self.chunks))),
            window=4,
            duration=planned.duration,
            width=planned.width,
            height=planned.height,
            frame_rate=planned.frame_rate,
            created_at=planned.occurred_at,
        )
        await store.plans.upsert(plan.id, insert_as(plan))

    def planned(self) -> events.VideoPlanned:
        return events.VideoPlanned(
            event_id=event_id("VideoPlanned", self.video_id, self.epoch),
            occurred_at=now_utc(),
            video_id=self.video_id,
            epoch=self.epoch,
            gallery=self.gallery,
            chunks=len(self.chunks),
            duration=15.0 * len(self.chunks),
            width=640,
            height=480,
            frame_rate=25.0,
        )

    def encoded(self) -> list[events.FacesEncoded]:
        return [self._chunk(i, people) for i, people in enumerate(self.chunks)]

    def _chunk(self, chunk: int, people: Sequence[int]) -> events.FacesEncoded:
        return events.FacesEncoded(
            event_id=event_id("FacesEncoded", self.video_id, self.epoch, chunk, 0),
            occurred_at=now_utc(),
            video_id=self.video_id,
            epoch=self.epoch,
            gallery=self.gallery,
            chunk=chunk,
            frames=375,
            tracks=tuple(self._track(chunk, place, person) for place, person in enumerate(people)),
        )

    def _track(self, chunk: int, place: int, person: int) -> values.Track:
        box = Box(left=5 + 105 * (place % 6), top=_ROWS[place // 6], width=90, height=90)
        times = [15.0 * chunk + 0.2 * i for i in range(self.sightings)]
        view = zlib.crc32(f"{self.video_id}:{chunk}".encode()) % 1_000_000
        faces = [
            values.EncodedFace(
                time=time, box=box, score=1.2, quality=0.9, encoding=vectors.encode_vector(face_of(person, view + i))
            )
            for i, time in enumerate(times[:3])
        ]
        return values.Track(
            track=place,
            sightings=tuple(values.Sighting(time=time, box=box, score=1.2) for time in times),
            faces=tuple(faces),
            crop=values.Crop(
                key=crop_key(self.video_id, self.epoch, chunk, place),
                time=times[0],
                box=box,
                frame=values.FrameSize(width=640, height=480),
                quality=0.9,
            ),
        )


async def submit(store: Store, publisher: Publisher, video: SyntheticVideo) -> None:
    """Everything up to the last result. The video is registered directly: no worker is to look for its object."""
    await registration.register(store, video.uploaded(), now_utc())
    await video.store_plan(store)
    await publisher.publish(video.planned(), *video.encoded())


def expected_videos(videos: Sequence[SyntheticVideo]) -> list[tuple[str, ...]]:
    """For each person, the videos it is in, sorted: what the profiles of a gallery must show."""
    seen: dict[int, set[str]] = {}
    for video in videos:
        for people in video.chunks:
            for person in people:
                seen.setdefault(person, set()).add(video.video_id)
    return sorted(tuple(sorted(found)) for found in seen.values())
