"""The distance across videos is a gallery's own: a change re-clusters what is there, as commits, in the background."""

import uuid
from dataclasses import asdict, replace
from typing import Any

import pytest

from castlist.clock import now_utc
from castlist.contract import commands, events, values, vectors
from testkit.api import new_gallery
from testkit.database import Database, are_done, videos_of_profiles
from testkit.eventually import eventually
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, expected_videos, submit

pytestmark = [pytest.mark.stack, pytest.mark.services]


async def choose(stack: RunningStack, database: Database, gallery: str, choice: Any) -> None:
    """What PATCH …/settings sends; returns once the gallery has obeyed, which is before it is through."""
    command = commands.ChangeSettings(
        event_id=uuid.uuid4().hex,
        occurred_at=now_utc(),
        gallery=gallery,
        settings=values.AnalysisSettings(),
        across_video_distance=choice,
    )
    async with connected(stack) as (_, publisher):
        await publisher.publish(command, command)
    eventually(lambda: database.ledger.find_one({"_id": f"{gallery}:command:{command.event_id}"}))


def settled(database: Database, gallery: str) -> None:
    eventually(lambda: database.pending.count_documents({"gallery": gallery}) == 0)


async def test_a_gallery_reaches_another_distance_and_comes_back(stack: RunningStack, database: Database) -> None:
    """All three people are one at 0.95, and who they were at the default; videos that come meanwhile are part of it."""
    gallery = new_gallery("distance")
    videos = [SyntheticVideo(f"{gallery}-{i}", gallery, [[1 + i % 3]]) for i in range(9)]
    async with connected(stack) as (store, publisher):
        for video in videos[:7]:
            await submit(store, publisher, video)
        eventually(lambda: are_done(database, gallery, 7))
        assert len(videos_of_profiles(database, gallery)) == 3
        await choose(stack, database, gallery, 0.95)
        for video in videos[7:]:
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, 9))
    settled(database, gallery)
    assert videos_of_profiles(database, gallery) == [tuple(sorted(video.video_id for video in videos))]
    assert database.galleries.find_one({"_id": gallery})["settings"]["across_video_distance"] == 0.95
    await choose(stack, database, gallery, "auto")
    settled(database, gallery)
    assert videos_of_profiles(database, gallery) == expected_videos(videos)


class LookAlikes(SyntheticVideo):
    """The same people, so near to each other that half of them are within the distance of a small gallery."""

    def encoded(self) -> list[events.FacesEncoded]:
        return [
            found.model_copy(update={"tracks": tuple(self._nearer(track) for track in found.tracks)})
            for found in super().encoded()
        ]

    def _nearer(self, track: values.Track) -> values.Track:
        faces = (
            replace(face, encoding=vectors.encode_vector(0.6 * vectors.decode_vector(face.encoding)))
            for face in track.faces
        )
        return replace(track, faces=tuple(faces))


async def test_people_who_are_alike_get_a_lower_distance_than_their_number_says(
    stack: RunningStack, database: Database
) -> None:
    """Twenty pairs seen together say how alike they are; those joined before that was known are parted again."""
    gallery = new_gallery("alike")
    videos = [LookAlikes(f"{gallery}-{i}", gallery, [[2 * i, 2 * i + 1]]) for i in range(20)]
    async with connected(stack) as (store, publisher):
        for video in videos:
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, len(videos)))
    settled(database, gallery)
    assert database.galleries.find_one({"_id": gallery})["distance"] < 0.44
    assert videos_of_profiles(database, gallery) == expected_videos(videos)


async def test_galleries_differ_in_their_distance(stack: RunningStack, database: Database) -> None:
    """What one gallery was told says nothing about another."""
    wide, usual = new_gallery("wide"), new_gallery("usual")
    await choose(stack, database, wide, 0.95)
    async with connected(stack) as (store, publisher):
        for gallery in (wide, usual):
            for i in range(2):
                await submit(store, publisher, SyntheticVideo(f"{gallery}-{i}", gallery, [[1 + i]]))
    eventually(lambda: are_done(database, wide, 2) and are_done(database, usual, 2))
    assert (len(videos_of_profiles(database, wide)), len(videos_of_profiles(database, usual))) == (1, 2)


async def test_a_task_shows_the_settings_of_its_plan(stack: RunningStack, database: Database) -> None:
    """As they were when it was planned, whatever the gallery says by now."""
    gallery = new_gallery("shown")
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, SyntheticVideo(f"{gallery}-0", gallery, [[1]]))
    eventually(lambda: are_done(database, gallery, 1))
    assert database.tasks.find_one({"gallery": gallery})["settings"] == asdict(values.AnalysisSettings())


@pytest.mark.faults
async def test_a_killed_aggregator_goes_on_with_its_re_clustering(stack: RunningStack, database: Database) -> None:
    """Killed as soon as the command is obeyed: the next process finds in MongoDB what is left."""
    gallery = new_gallery("killed")
    videos = [SyntheticVideo(f"{gallery}-{i}", gallery, [[1 + i % 3]]) for i in range(6)]
    async with connected(stack) as (store, publisher):
        for video in videos:
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, 6))
    await choose(stack, database, gallery, 0.95)
    former = stack.kill("profile-aggregator")
    stack.wait_restarted("profile-aggregator", former)
    settled(database, gallery)
    assert len(videos_of_profiles(database, gallery)) == 1
