"""What a profile's appearances add up to, held against a recount of them after every commit."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from castlist.adapters.memory import MemoryDocuments, MemoryLog
from castlist.clock import now_utc
from castlist.contract import commands, events, values
from castlist.contract.box import Box
from castlist.contract.ids import task_id
from castlist.contract.values import Crop, FrameSize, Segment
from castlist.store.query import set_to, with_id
from castlist.store.records.appearances import AppearanceTotals, in_milliseconds
from castlist.store.records.pending import PendingVideo
from castlist.store.records.profiles import ProfileTotals
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store
from castlist.tasks import registration
from castlist_identity.domain import VideoPerson
from profile_aggregator.commits import moments_before
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.maintenance import GalleryMaintenance
from profile_aggregator.videos.found_people import keep_people
from testkit.synthetic import face_of

DAY = timedelta(days=1)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


class World:
    """One gallery, whose videos come, come again, and go."""

    def __init__(self) -> None:
        self.store = Store(MemoryDocuments())
        galleries, said = GalleryCache(self.store), GalleryLog(self.store, MemoryLog().publisher(), now_utc)
        self.committer = Committer(self.store, said, galleries, now_utc, 10)
        self._maintenance = GalleryMaintenance(self.store, galleries, self.committer, now_utc)
        self._epochs: dict[str, int] = defaultdict(int)

    async def found(self, video: str, day: int | None, people: dict[int, float]) -> None:
        """A run over the video finds these people for so many seconds; it was recorded on that day, if known."""
        self._epochs[video] += 1
        uploaded = events.VideoUploaded(
            event_id=f"{video}{self._epochs[video]}",
            occurred_at=now_utc(),
            video_id=video,
            gallery="g",
            epoch=self._epochs[video],
            object=values.StoredObject(bucket="castlist", key=video),
            recorded_at=None if day is None else FIRST + day * DAY,
        )
        await registration.register(self.store, uploaded, now_utc())
        skipped = {"too_small": random.Random(day).randrange(3), f"on day {day}": 1}
        task = with_id(task_id(video, self._epochs[video]))
        await self.store.tasks.update(task, set_to(TaskRecord.faces_skipped, skipped))
        crop = Crop("crops/c.jpg", 0.0, Box(0, 0, 80, 80), FrameSize(640, 480), 0.9)
        view = random.Random(video + str(self._epochs[video])).randrange(10_000)
        persons = [
            VideoPerson(n, face_of(who, view), 0.0, 3, (Segment(0.0, s),), s, 0.0, s, crop, (), ())
            for n, (who, s) in enumerate(people.items())
        ]
        await keep_people(self.store, persons, "g", video, self._epochs[video])
        id = f"{video}:{self._epochs[video]}"
        about: dict[str, Any] = {"video_id": video, "epoch": self._epochs[video], "people": len(persons)}
        await self.store.pending.insert(PendingVideo(id=id, gallery="g", created_at=now_utc(), **about))

    async def order(self, kind: Any, **about: Any) -> None:
        """A command."""
        command = kind(event_id=str(random.random()), occurred_at=now_utc(), gallery="g", **about)
        await self.committer.stage(command)

    async def settle(self) -> None:
        """All that is pending is committed, and what that asks for."""
        while await self.committer.commit("g"):
            await self.check()
        while await self._maintenance.round():
            await self.check()

    async def check(self) -> None:
        """Each profile has what its appearances add up to, and each of these the moment of its video."""
        moments = {video.id: video.recorded_at or video.created_at for video in await self.store.videos.find()}
        milliseconds: dict[str, int] = defaultdict(int)
        at: dict[str, list[datetime]] = defaultdict(list)
        for one in await self.store.appearances.find():
            assert one.video_at == moments[one.video_id]
            milliseconds[one.profile_id] += in_milliseconds(one.seconds)
            at[one.profile_id].append(moments[one.video_id])
        counted = {
            id: ProfileTotals(id=id, first_seen=min(at[id]), last_seen=max(at[id]), milliseconds=total)
            for id, total in milliseconds.items()
        }
        assert {one.id: one for one in await self.store.profiles.find_parts(ProfileTotals)} == counted
        skipped: Counter[str] = Counter()
        for video in await self.store.videos.find():
            if video.committed_epoch is not None and (
                task := await self.store.tasks.get(task_id(video.id, video.committed_epoch))
            ):
                skipped.update(task.faces_skipped)
        gallery = await self.store.galleries.get("g")
        assert gallery is None or gallery.faces_skipped == +skipped


VIDEOS = st.sampled_from(["a", "b", "c", "d", "e"])
PEOPLE = st.dictionaries(st.integers(0, 3), st.sampled_from([0.1, 0.25, 1.0004, 12.3]), max_size=3)
STEP = st.one_of(
    st.tuples(st.just("found"), VIDEOS, st.none() | st.integers(0, 5), PEOPLE),
    st.tuples(st.just("found"), VIDEOS, st.none() | st.integers(0, 5), PEOPLE),
    st.tuples(st.just("found"), VIDEOS, st.none() | st.integers(0, 5), PEOPLE),
    st.tuples(st.just("deleted"), VIDEOS),
    st.tuples(st.just("distance"), st.sampled_from([0.05, 0.3, 0.95])),
    st.tuples(st.just("settled")),
)


@pytest.mark.slow
@pytest.mark.parametrize("few", [0, 100])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=3, max_size=14))
async def test_totals_are_those_of_a_recount(few: int, steps: list[Any]) -> None:
    """Videos come, are done again, and go; profiles are put together and taken apart; in any order, at once or one by
    one. It is the same however many appearances are read at once."""
    before, moments_before._FEW = moments_before._FEW, few
    try:
        world = World()
        for kind, *what in steps:
            if kind == "found":
                await world.found(*what)
            elif kind == "deleted":
                await world.order(commands.DeleteVideo, video_id=what[0])
            elif kind == "distance":
                analysis = values.AnalysisSettings()
                await world.order(commands.ChangeSettings, settings=analysis, across_video_distance=what[0])
            else:
                await world.settle()
        await world.settle()
    finally:
        moments_before._FEW = before


async def test_of_a_presenter_only_what_changes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many videos it is in: the appearances that change, and the next one where the last one goes."""
    monkeypatch.setattr(moments_before, "_FEW", 4)
    world = World()
    for day in range(12):
        await world.found(f"v{day}", day, {1: 1.0})
    await world.settle()
    read: list[int] = []
    find_parts = type(world.store.appearances).find_parts

    async def counted(table: Any, part: Any, *arguments: Any, **options: Any) -> Any:
        found = await find_parts(table, part, *arguments, **options)
        if part is AppearanceTotals:
            read.append(len(found))
        return found

    monkeypatch.setattr(type(world.store.appearances), "find_parts", counted)
    await world.found("new", 20, {1: 1.0})
    await world.settle()
    assert sum(read) == 0
    await world.found("v3", None, {1: 2.0})
    await world.settle()
    assert sum(read) == 1
    read.clear()
    await world.order(commands.DeleteVideo, video_id="new")
    await world.settle()
    assert sum(read) == 1 + 2 * 2
    (profile,) = await world.store.profiles.find()
    assert (profile.first_seen, profile.last_seen, profile.milliseconds) == (FIRST, FIRST + 11 * DAY, 13_000)
    assert len(await world.store.appearances.find()) == 12
