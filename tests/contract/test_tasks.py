"""Videos and tasks, in memory and in MongoDB: each step may come twice, early or late, and counts once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from castlist.contract.bounds import WHOLE
from castlist.contract.codec import decode
from castlist.contract.commands import CancelVideo
from castlist.contract.errors import PermanentError
from castlist.contract.events import TaskFinished, VideoUploaded
from castlist.contract.ids import event_id, task_id
from castlist.contract.topics import BY_NAME
from castlist.contract.values import NEW_GALLERY, StoredObject
from castlist.store.query import ascending
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import DeletedVideoRecord
from castlist.store.store import Store
from castlist.tasks import cancels, lifecycle, registration
from castlist.tasks.lifecycle import CANCELLED, DONE, FAILED, ON_REQUEST, QUEUED
from castlist.tasks.registration import VideoConflictError
from testkit.examples import example

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def uploaded(video_id: str = "v", epoch: int = 1, **changes: Any) -> VideoUploaded:
    """An announcement, as ingest or another system makes it."""
    values = {"video_id": video_id, "epoch": epoch, "event_id": event_id("VideoUploaded", video_id, epoch), **changes}
    return VideoUploaded.model_validate(example(VideoUploaded, **values))


async def events_of(store: Store, kind: type[Any]) -> list[Any]:
    """The events of one kind that lie in the outbox."""
    entries = await store.outbox.find(sort=[ascending(OutboxRecord.id)])
    found = [decode(BY_NAME[entry.topic], entry.value.encode()) for entry in entries]
    return [event for event in found if isinstance(event, kind)]


async def stored_task(store: Store, video_id: str = "v", epoch: int = 1) -> TaskRecord:
    """A task that must be there."""
    task = await store.tasks.get(task_id(video_id, epoch))
    assert task is not None
    return task


async def test_registering_makes_gallery_video_and_task(store: Store) -> None:
    """All three are there afterwards as the event says, and the event is in the outbox to be published."""
    event = uploaded()
    made = await registration.register(store, event, NOW, announce=True)
    assert made.created
    assert await store.galleries.get("default") == GalleryRecord(
        id="default", version=0, created_at=NOW, settings=NEW_GALLERY
    )
    assert made.video == await store.videos.get("v")
    assert made.task == await stored_task(store)
    assert (made.video.latest_epoch, made.video.latest_task_id) == (1, made.task.id)
    assert (made.task.status, made.task.progress, made.task.video_name) == (QUEUED, 0.0, event.name)
    assert made.video.object == event.object
    assert await events_of(store, VideoUploaded) == [event]
    assert await lifecycle.is_wanted(store, "v", 1)


async def test_registering_again_changes_nothing(store: Store) -> None:
    """The second time says that it made nothing, and hands out what is there."""
    first = await registration.register(store, uploaded(), NOW, announce=True)
    again = await registration.register(store, uploaded(), LATER, announce=True)
    assert not again.created
    assert (again.video, again.task) == (first.video, first.task)
    assert len(await events_of(store, VideoUploaded)) == 1


async def test_what_others_announced_is_not_announced_again(store: Store) -> None:
    """Registering for an event that came from the topic puts nothing into the outbox."""
    assert (await registration.register(store, uploaded(), NOW)).created
    assert await store.outbox.count() == 0


async def test_a_video_without_a_name_is_called_by_its_key(store: Store) -> None:
    """The last part of the object's key stands in for a name."""
    await registration.register(store, uploaded(name=None), NOW)
    assert (await stored_task(store)).video_name == "one"


@pytest.mark.parametrize(
    "changes",
    [
        {"object": StoredObject(bucket="castlist", key="videos/two")},
        {"object": StoredObject(bucket="elsewhere", key="videos/one")},
        {"gallery": "other"},
    ],
    ids=["key", "bucket", "gallery"],
)
@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_videos_id_stands_for_one_object_in_one_gallery(
    store: Store, changes: dict[str, Any], epoch: int
) -> None:
    """Another object or gallery under the same id is refused, in any epoch, and leaves everything as it was."""
    first = await registration.register(store, uploaded(), NOW)
    with pytest.raises(VideoConflictError, match="already"):
        await registration.register(store, uploaded(epoch=epoch, **changes), LATER, announce=True)
    assert await store.videos.get("v") == first.video
    assert await store.tasks.count() == 1
    assert await store.outbox.count() == 0


async def test_the_same_object_with_another_etag_is_the_same_video(store: Store) -> None:
    """Whether the object changed is for the workers to find out, which read it."""
    await registration.register(store, uploaded(), NOW)
    changed = uploaded(object=StoredObject(bucket="castlist", key="videos/one", etag="other"))
    assert not (await registration.register(store, changed, NOW)).created


async def test_registers_at_once_make_one_task(store: Store) -> None:
    """Of eight at the same moment one makes the task; all get the same one, and it is announced once."""
    made = await asyncio.gather(*(registration.register(store, uploaded(), NOW, announce=True) for _ in range(8)))
    assert sum(one.created for one in made) == 1
    assert {one.task.id for one in made} == {task_id("v", 1)}
    assert await store.tasks.count() == 1
    assert len(await events_of(store, VideoUploaded)) == 1


async def test_epochs_at_once_are_tasks_of_one_video(store: Store) -> None:
    """Whatever the order, each epoch has its task, and the highest is the latest."""
    await asyncio.gather(*(registration.register(store, uploaded(epoch=epoch), NOW) for epoch in (3, 1, 4, 2)))
    video = await store.videos.get("v")
    assert video is not None
    assert (video.latest_epoch, video.latest_task_id) == (4, task_id("v", 4))
    assert [task.epoch for task in await store.tasks.find(sort=[ascending(TaskRecord.epoch)])] == [1, 2, 3, 4]


async def test_a_task_ends_once(store: Store) -> None:
    """The first ending stands: later ones say so and change nothing, and there is one event about it."""
    await registration.register(store, uploaded(), NOW)
    assert await lifecycle.finish(store, "v", 1, DONE, LATER)
    for _ in range(2):
        assert not await lifecycle.finish(store, "v", 1, FAILED, LATER, TaskError("internal", "Too late."))
        assert not await cancels.cancel(store, "v", 1, LATER)
    task = await stored_task(store)
    assert (task.status, task.progress, task.error, task.finished_at) == (DONE, 1.0, None, LATER)
    assert [event.status for event in await events_of(store, TaskFinished)] == [DONE]
    assert not await lifecycle.is_wanted(store, "v", 1)


async def test_a_failed_task_says_why(store: Store) -> None:
    """Code and message are in the task and in its event."""
    await registration.register(store, uploaded(), NOW)
    assert await lifecycle.finish(store, "v", 1, FAILED, LATER, TaskError("unreadable", "No frame."))
    assert (await stored_task(store)).error == TaskError("unreadable", "No frame.")
    (event,) = await events_of(store, TaskFinished)
    assert (event.status, event.code, event.message, event.epoch) == (FAILED, "unreadable", "No frame.", 1)


async def test_a_task_that_is_not_there_does_not_end(store: Store) -> None:
    """Nothing is made up for it."""
    assert not await lifecycle.finish(store, "v", 1, DONE, NOW)
    assert await store.outbox.count() == 0


async def test_endings_at_once_agree(store: Store) -> None:
    """Done, failed and cancelled at the same moment: one of them wins, in the task and in the one event."""
    for number in range(5):
        video = f"v{number}"
        await registration.register(store, uploaded(video), NOW)
        endings = await asyncio.gather(
            lifecycle.finish(store, video, 1, DONE, LATER),
            lifecycle.finish(store, video, 1, FAILED, LATER, TaskError("internal", "A bug.")),
            cancels.cancel(store, video, 1, LATER),
        )
        assert sum(endings) == 1
        winner = (DONE, FAILED, CANCELLED)[endings.index(True)]
        assert (await stored_task(store, video)).status == winner
        events = [event for event in await events_of(store, TaskFinished) if event.video_id == video]
        assert [event.status for event in events] == [winner]


async def test_an_undone_transaction_ends_no_task(store: Store) -> None:
    """Ending a task inside a larger transaction is undone with it, its event too."""
    await registration.register(store, uploaded(), NOW)

    async def body(transaction: Store) -> None:
        assert await lifecycle.finish_in(transaction, "v", 1, DONE, LATER)
        raise RuntimeError("the rest did not work")

    with pytest.raises(RuntimeError):
        await store.transaction(body)
    assert (await stored_task(store)).status == QUEUED
    assert await store.outbox.count() == 0


async def test_cancelling_twice_is_cancelling_once(store: Store) -> None:
    """The first cancel ends the task, the second finds it ended; one event."""
    await registration.register(store, uploaded(), NOW)
    assert await cancels.cancel(store, "v", 1, LATER)
    assert not await cancels.cancel(store, "v", 1, LATER + timedelta(seconds=1))
    task = await stored_task(store)
    assert (task.status, task.error, task.finished_at) == (CANCELLED, ON_REQUEST, LATER)
    assert len(await events_of(store, TaskFinished)) == 1


async def test_a_cancel_before_its_upload_is_remembered(store: Store) -> None:
    """The task begins as cancelled, one event says so, and no work on it is wanted; on the next epoch it is."""
    for _ in range(2):
        assert not await cancels.cancel(store, "v", 1, NOW)
    assert not await lifecycle.is_wanted(store, "v", 1)
    made = await registration.register(store, uploaded(), LATER, announce=True)
    assert made.task.error is not None
    assert (made.created, made.task.status, made.task.error.code) == (True, CANCELLED, "cancelled")
    assert [event.status for event in await events_of(store, TaskFinished)] == [CANCELLED]
    assert not await lifecycle.is_wanted(store, "v", 1)
    assert (await registration.register(store, uploaded(epoch=2), LATER)).task.status == QUEUED
    assert await lifecycle.is_wanted(store, "v", 2)


async def test_a_cancel_beside_its_upload_is_not_lost(store: Store) -> None:
    """Neither of the two sees the other's uncommitted write; the task ends as cancelled all the same, once."""
    for number in range(10):
        video = f"v{number}"
        steps = [registration.register(store, uploaded(video), NOW), cancels.cancel(store, video, 1, NOW)]
        await asyncio.gather(*(steps if number % 2 else reversed(steps)))
        assert (await stored_task(store, video)).status == CANCELLED
        assert len([event for event in await events_of(store, TaskFinished) if event.video_id == video]) == 1


async def test_a_cancel_without_an_epoch_is_resolved_once(store: Store) -> None:
    """It means the epoch that is current when it first gets here, also when it comes again after a retry."""
    await registration.register(store, uploaded(epoch=2), NOW)
    cancel = example(CancelVideo, video_id="v", epoch=None)
    assert await cancels.resolve_cancel(store, cancel, NOW) == 2
    await registration.register(store, uploaded(epoch=3), LATER)
    assert await cancels.resolve_cancel(store, cancel, LATER) == 2
    assert await cancels.resolve_cancel(store, cancel.model_copy(update={"event_id": "another"}), LATER) == 3


async def test_cancels_of_two_videos_may_have_one_id(store: Store) -> None:
    """Each system numbers its own; what one meant is not what the other means."""
    for video, epoch in (("v", 2), ("w", 5)):
        await registration.register(store, uploaded(video_id=video, epoch=epoch), NOW)
        assert await cancels.resolve_cancel(store, example(CancelVideo, video_id=video, epoch=None), NOW) == epoch


async def test_a_cancel_with_an_epoch_means_that_one(store: Store) -> None:
    """Whatever is current."""
    await registration.register(store, uploaded(epoch=2), NOW)
    assert await cancels.resolve_cancel(store, example(CancelVideo, video_id="v", epoch=7), NOW) == 7


async def test_a_cancel_of_an_unknown_video_means_its_first_epoch(store: Store) -> None:
    """And keeps meaning it when the video has come and been retried."""
    cancel = example(CancelVideo, video_id="v", epoch=None)
    assert await cancels.resolve_cancel(store, cancel, NOW) == 1
    await registration.register(store, uploaded(epoch=2), LATER)
    assert await cancels.resolve_cancel(store, cancel, LATER) == 1


async def test_epochs_of_a_deleted_video_do_not_come_back(store: Store) -> None:
    """A late announcement of a deleted video is refused, and told which epoch would do; that one is taken."""
    await store.deleted.insert(DeletedVideoRecord(id="v", latest_epoch=3, at=NOW))
    for epoch in (1, 3):
        with pytest.raises(PermanentError, match="epoch 4"):
            await registration.register(store, uploaded(epoch=epoch), NOW)
    assert await store.tasks.count() == 0
    assert (await registration.register(store, uploaded(epoch=4), NOW)).task.epoch == 4


async def test_uploading_a_deleted_video_again_goes_on_after_its_last_epoch(store: Store) -> None:
    """What ingest announces itself gets the next epoch, with an event id of its own; doing it twice gives one task."""
    await store.deleted.insert(DeletedVideoRecord(id="v", latest_epoch=3, at=NOW))
    made = [await registration.register(store, uploaded(), NOW, announce=True) for _ in range(2)]
    assert [(one.created, one.task.id) for one in made] == [(True, task_id("v", 4)), (False, task_id("v", 4))]
    (event,) = await events_of(store, VideoUploaded)
    assert (event.epoch, event.event_id) == (4, event_id("VideoUploaded", "v", 4))


async def test_there_is_no_epoch_after_the_last(store: Store) -> None:
    """A video that was deleted with the largest epoch there is does not come again; the message could not be read."""
    await store.deleted.insert(DeletedVideoRecord(id="v", latest_epoch=WHOLE, at=NOW))
    for announce in (False, True):
        with pytest.raises(PermanentError, match="epoch"):
            await registration.register(store, uploaded(epoch=WHOLE), NOW, announce=announce)
    assert await store.videos.count() == await store.outbox.count() == 0


async def test_a_stored_video_is_announced_as_it_was(store: Store) -> None:
    """The event made from a stored video says what the first one said, and is the same one each time."""
    first = uploaded()
    video = (await registration.register(store, first, NOW)).video
    assert registration.announcement(video, 1, first.occurred_at) == first
    assert registration.announcement(video, 2, NOW).event_id == registration.announcement(video, 2, LATER).event_id
