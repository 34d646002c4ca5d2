"""Watches on people: told once for each video, whatever becomes of the profile."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from castlist.store.query import eq, with_id
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.change_history import ChangeRecord
from profile_aggregator.deletion.listeners import forget_gallery
from testkit.alerted import Alerted
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.faults import Faults, at_every_moment

EXAMPLES = 60 if os.environ.get("CASTLIST_FAULTS") == "1" else 15


@pytest.fixture
async def gallery() -> CorrectedGallery:
    """Ann in a and b, Bea in x and y; both may appear in further videos."""
    made = CorrectedGallery()
    for video, value in (("a", 0.0), ("b", 0.05), ("x", 5.0), ("y", 5.05)):
        await made.video(video, {0: value})
    return made


@pytest.fixture
def alerted(gallery: CorrectedGallery) -> Alerted:
    """Who hears of it."""
    return Alerted(gallery.servers, G)


async def test_a_watch_tells_of_what_is_there_and_of_what_comes(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """At once for videos already processed, then once for each further one, of others nothing."""
    ann = await gallery.of("a")
    await alerted.watch(ann)
    await alerted.round()
    assert sorted(await alerted.alerts()) == ["a", "b"]
    await gallery.video("c", {0: 0.1, 1: 5.1})
    await gallery.video("z", {0: 5.1})
    await alerted.round()
    assert (await alerted.alerts())[2:] == ["c"]
    (said,) = [one for one in await alerted.feed() if one.get("video_id") == "c" and "watch_id" in one]
    (there,) = await gallery.servers.stored.appearances.find(
        eq(AppearanceRecord.profile_id, ann) & eq(AppearanceRecord.video_id, "c")
    )
    assert (said["event"], said["watched"], said["profile_id"]) == ("WatchedPersonAppeared", ann, ann)
    assert (said["first_seen"], said["seconds"], said["crop"]["key"]) == (0.0, 1.0, there.crop and there.crop.key)


async def test_a_video_that_is_done_again_is_told_once(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """The appearance is another one, the news is old."""
    await alerted.watch(await gallery.of("a"))
    await alerted.round()
    await gallery.video("a", {0: 0.01}, epoch=2)
    await alerted.round()
    assert sorted(await alerted.alerts()) == ["a", "b"]


async def test_somebody_who_is_there_by_hand_is_told_of(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Though no face was found."""
    ann = await gallery.of("a")
    await alerted.watch(ann)
    await alerted.round()
    await gallery.presence(ann, "x")
    await alerted.round()
    (said,) = [one for one in await alerted.feed() if one.get("watch_id") and one["video_id"] == "x"]
    assert (said["manual"], said["crop"], said["faces"]) == (True, None, 0)


async def test_a_watch_goes_with_a_merge_and_comes_back_with_its_undo(
    gallery: CorrectedGallery, alerted: Alerted
) -> None:
    """Merged away, it is about who holds the people now, in all their videos; undone, about the one of before."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    await alerted.watch(ann)
    await alerted.round()
    merged = await gallery.merge(bea, ann)
    await alerted.round()
    assert sorted(await alerted.alerts()) == ["a", "b", "x", "y"]
    await gallery.video("z", {0: 5.1})
    await alerted.round()
    assert (await alerted.alerts())[4:] == ["z"]
    await gallery.undo(merged)
    await gallery.video("zz", {0: 5.1})
    await gallery.video("c", {0: 0.1})
    await alerted.round()
    assert (await alerted.alerts())[5:] == ["c"]
    watch = await gallery.servers.stored.watches.get("watch")
    assert watch is not None
    assert (watch.profile_id, watch.holder) == (ann, ann)


async def test_a_watch_on_who_was_merged_twice_follows(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Also where all of it is told after the fact."""
    await gallery.video("m", {0: 9.0})
    ann, bea, mia = await gallery.of("a"), await gallery.of("x"), await gallery.of("m")
    await alerted.watch(ann)
    await alerted.round()
    await gallery.merge(bea, ann)
    await gallery.merge(mia, bea)
    await gallery.video("n", {0: 9.05})
    await alerted.round()
    assert sorted(await alerted.alerts()) == ["a", "b", "m", "n", "x", "y"]


async def test_a_deleted_person_is_watched_again_once_that_is_undone(
    gallery: CorrectedGallery, alerted: Alerted
) -> None:
    """Nobody holds them meanwhile; what was told is not told again."""
    ann = await gallery.of("a")
    await alerted.watch(ann)
    await alerted.round()
    deleted = await gallery.delete(ann)
    await alerted.round()
    watch = await gallery.servers.stored.watches.get("watch")
    assert watch is not None
    assert watch.holder is None
    await gallery.undo(deleted)
    await gallery.video("c", {0: 0.1})
    await alerted.round()
    assert (await alerted.alerts())[2:] == ["c"]


async def test_a_watch_that_was_taken_away_tells_nothing_more(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Nor leaves anything."""
    await alerted.watch(await gallery.of("a"))
    store = gallery.servers.stored
    due = await store.watches.get("watch")
    assert due is not None
    await store.watches.delete(with_id("watch"))
    await alerted._watching._evaluate(due)  # as if it was taken away in between
    await alerted.round()
    assert await alerted.alerts() == []
    assert await store.alerts.count() == 0


async def test_an_erased_person_is_watched_for_no_more(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Nor is it kept where they were told of; also of a watch that had come to them by a merge. Others are watched."""
    await gallery.video("m", {0: 9.0})
    ann, bea, mia = await gallery.of("a"), await gallery.of("x"), await gallery.of("m")
    for watch, profile in (("ann", ann), ("bea", bea), ("mia", mia)):
        await alerted.watch(profile, watch)
    await gallery.merge(bea, ann)
    await alerted.round()
    await gallery.delete(bea, erase=True)
    store = gallery.servers.stored
    assert [one.id for one in await store.watches.find()] == ["mia"]
    assert [one.watch_id for one in await store.alerts.find()] == ["mia"]
    await alerted.round()


async def test_a_deleted_video_that_comes_again_is_told_again(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """It is another one, by a further run."""
    await alerted.watch(await gallery.of("a"))
    await alerted.round()
    await gallery.delete_video("b")
    await alerted.round()
    await gallery.video("b", {0: 0.05}, epoch=2)
    await alerted.round()
    assert sorted(await alerted.alerts()) == ["a", "b", "b"]
    assert len({one["event_id"] for one in await alerted.feed() if "watch_id" in one}) == 3


async def test_a_deleted_gallery_takes_all_with_it(gallery: CorrectedGallery, alerted: Alerted) -> None:
    """Watches, webhooks, and what either has told."""
    await alerted.watch(await gallery.of("a"))
    await alerted.webhook()
    await alerted.settle()
    store = gallery.servers.stored
    assert await store.alerts.count()
    await forget_gallery(store, "another")
    assert await store.watches.count()
    await forget_gallery(store, G)
    for table in (store.watches, store.alerts, store.webhooks, store.deliveries):
        assert await table.count() == 0


@pytest.mark.slow
async def test_watches_survive_every_crash() -> None:
    """Each video is told exactly once, whatever fails or dies in between."""

    async def scenario(faults: Faults) -> Any:
        gallery = CorrectedGallery(faults)
        alerted = Alerted(gallery.servers, G)
        for video, value in (("a", 0.0), ("x", 5.0), ("y", 5.05)):
            await gallery.video(video, {0: value})
        ann, bea = await gallery.of("a"), await gallery.of("x")
        await alerted.watch(ann)
        faults.begin()
        await alerted.round()
        merged = await gallery.merge(bea, ann)
        await alerted.round()
        await gallery.undo(merged)
        await alerted.round()
        told = [(one["watch_id"], one["video_id"]) for one in await alerted.feed() if "watch_id" in one]
        assert len(set(told)) == len(told)
        return sorted(told)

    assert await at_every_moment(scenario)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("video"), st.sampled_from([0.0, 5.0, 9.0])),
        st.tuples(st.just("merge"), st.sampled_from([("a", "x"), ("x", "a"), ("m", "x"), ("x", "m")])),
        st.tuples(st.just("undo"), st.integers(0, 3)),
        st.tuples(st.just("round"), st.none()),
    ),
    max_size=8,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=_STEPS)
async def test_in_whatever_order_all_is_told_in_the_end(steps: list[tuple[str, Any]]) -> None:
    """Videos, merges and undos, with rounds at any time in between: in the end each video in which the person is was
    told, once."""
    gallery = CorrectedGallery()
    alerted = Alerted(gallery.servers, G)
    for video, value in (("a", 0.0), ("x", 5.0), ("m", 9.0)):
        await gallery.video(video, {0: value})
    ann = await gallery.of("a")
    await alerted.watch(ann)
    made: list[ChangeRecord] = []
    for n, (step, about) in enumerate(steps):
        match step:
            case "video":
                await gallery.video(f"v{n}", {0: about + 0.001 * n})
            case "merge":
                one, other = await gallery.of(about[0]), await gallery.of(about[1])
                if one != other:
                    made.append(await gallery.merge(one, other))
            case "undo":
                if about < len(made):
                    await gallery.undo(made[about])
            case _:
                await alerted.round()
    await alerted.round()
    told = await alerted.alerts()
    assert len(set(told)) == len(told)
    holder = await gallery.of("a")
    assert set(told) >= set(await gallery.videos_of(holder))
