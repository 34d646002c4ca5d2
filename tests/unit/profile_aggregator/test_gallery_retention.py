"""What a gallery keeps for so many days goes after them, by changes like anybody's."""

from datetime import timedelta
from typing import Any

import pytest

from castlist.contract.commands import ChangeSettings, PreviewSettings
from castlist.contract.values import AnalysisSettings, Retention
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.profiles import Picture, ProfileRecord
from castlist.store.records.videos import VideoRecord
from profile_aggregator.gallery_retention import GalleryRetention
from testkit.corrected_gallery import CorrectedGallery

DAYS = 30


@pytest.fixture
async def gallery() -> CorrectedGallery:
    """Ann in old and new, Bea in old alone; old is two months older."""
    made = CorrectedGallery()
    await made.video("old", {0: 0.0, 1: 5.0})
    made.servers.now += timedelta(days=2 * DAYS)
    await made.video("new", {0: 0.05})
    await made.settle()
    return made


async def keep(gallery: CorrectedGallery, **days: int) -> ChangeRecord:
    """The gallery's settings, with this retention."""
    return await gallery.order(ChangeSettings, settings=AnalysisSettings(), retention=Retention(**days))


async def rounds(gallery: CorrectedGallery) -> list[ChangeRecord]:
    """What retention has done, after two rounds of it."""
    rung: list[str] = []
    for _ in range(2):
        await GalleryRetention(gallery.servers.store, rung.append, gallery.servers.clock).round()
        await gallery.commit()
        await gallery.settle()
    assert len(rung) <= 1
    return await gallery.servers.stored.changes.find(eq(ChangeRecord.by, "retention"))


async def videos(gallery: CorrectedGallery) -> list[str]:
    return sorted(await gallery.servers.stored.videos.ids())


async def test_without_a_retention_nothing_goes(gallery: CorrectedGallery) -> None:
    """However old it is."""
    assert await rounds(gallery) == []
    assert await videos(gallery) == ["new", "old"]


async def test_videos_go_by_their_moment_and_the_changes_say_so(gallery: CorrectedGallery) -> None:
    """When it was recorded counts, where that is known; each is erased once, with a receipt."""
    await keep(gallery, videos=DAYS)
    (change,) = await rounds(gallery)
    assert (change.kind, change.status) == ("erase_video", "applied")
    assert change.receipt is not None
    assert change.receipt["videos"] == 1
    assert await videos(gallery) == ["new"]
    recorded = set_to(VideoRecord.recorded_at, gallery.servers.now - timedelta(days=2 * DAYS))
    await gallery.servers.stored.videos.update(with_id("new"), recorded)
    assert len(await rounds(gallery)) == 2
    assert await videos(gallery) == []


async def test_a_video_that_came_late_but_was_recorded_lately_stays(gallery: CorrectedGallery) -> None:
    """And one that was recorded within the days, though it came before them."""
    await keep(gallery, videos=DAYS)
    recorded = set_to(VideoRecord.recorded_at, gallery.servers.now - timedelta(days=1))
    await gallery.servers.stored.videos.update(with_id("old"), recorded)
    assert await rounds(gallery) == []


async def test_people_go_by_when_they_were_seen_last(gallery: CorrectedGallery) -> None:
    """Hidden ones too; who was seen since stays, in the old video as well. A video stays."""
    ann, bea = await gallery.of("old"), await gallery.of("old", 1)
    await gallery.card(bea, hidden=True)
    await keep(gallery, people=DAYS)
    (change,) = await rounds(gallery)
    assert (change.kind, change.profiles) == ("erase", (bea,))
    assert await gallery.videos_of(ann) == ["new", "old"]
    assert await videos(gallery) == ["new", "old"]


async def test_who_goes_with_a_video_is_not_erased_once_more(gallery: CorrectedGallery) -> None:
    """Where both are due the video goes first: nothing fails."""
    await keep(gallery, videos=DAYS, people=DAYS)
    changes = await rounds(gallery)
    assert [(one.kind, one.status) for one in changes] == [("erase_video", "applied")]


async def test_who_was_enrolled_stays(gallery: CorrectedGallery) -> None:
    """Whoever is looked for is known for good."""
    bea = await gallery.of("old", 1)
    known = set_to(ProfileRecord.pictures, (Picture(person="enrolled:0:0"),))
    await gallery.servers.stored.profiles.update(with_id(bea), known)
    await keep(gallery, people=DAYS)
    assert await rounds(gallery) == []


async def test_a_preview_says_what_would_go(gallery: CorrectedGallery) -> None:
    """How many, and which; nothing goes."""
    bea = await gallery.of("old", 1)
    asked = await gallery.order(
        PreviewSettings, settings=AnalysisSettings(), retention=Retention(videos=DAYS, people=DAYS)
    )
    await gallery.settle()
    change = await gallery.servers.stored.changes.get(asked.id)
    assert change is not None
    told: dict[str, Any] = change.detail["retention"]
    assert told == {"videos": 1, "video_ids": ["old"], "people": 1, "profile_ids": [bea]}
    assert await rounds(gallery) == []
