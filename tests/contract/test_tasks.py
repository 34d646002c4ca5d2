"""Videos and tasks, on both kinds of documents: each step may come twice, early or late, and counts once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from castlist.contract.codec import Poison, decode
from castlist.contract.commands import CancelVideo
from castlist.contract.events import TaskFinished, VideoUploaded
from castlist.contract.ids import event_id, task_id
from castlist.contract.topics import BY_NAME
from castlist.contract.values import StoredObject
from castlist.ports.documents import Document, Documents
from castlist.store.collections import DELETED, GALLERIES, OUTBOX, TASKS, VIDEOS
from castlist.tasks import cancels, lifecycle, registration
from castlist.tasks.lifecycle import CANCELLED, DONE, FAILED, QUEUED
from testkit.examples import example

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def uploaded(video_id: str = "v", epoch: int = 1, **changes: Any) -> VideoUploaded:
    """An announcement, as ingest or another system makes it."""
    values = {"video_id": video_id, "epoch": epoch, "event_id": event_id("VideoUploaded", video_id, epoch), **changes}
    return VideoUploaded.model_validate(example(VideoUploaded, **values))


async def told(documents: Documents, kind: type[Any]) -> list[Any]:
    """The events of one kind that lie in the outbox."""
    entries = await documents.find(OUTBOX, {}, sort=[("_id", 1)])
    found = [decode(BY_NAME[entry["topic"]], entry["value"].encode()) for entry in entries]
    return [event for event in found if isinstance(event, kind)]


async def stored_task(documents: Documents, video_id: str = "v", epoch: int = 1) -> Document:
    """A task that must be there."""
    task = await documents.get(TASKS, task_id(video_id, epoch))
    assert task is not None
    return task


async def test_registering_makes_gallery_video_and_task(documents: Documents) -> None:
    """All three are there afterwards as the event says, and the event is in the outbox to be published."""
    event = uploaded()
    made = await registration.register(documents, event, NOW, announce=True)
    assert made.created
    assert await documents.get(GALLERIES, "default") == {"_id": "default", "version": 0, "created_at": NOW}
    assert made.video == await documents.get(VIDEOS, "v")
    assert made.task == await stored_task(documents)
    assert (made.video["latest_epoch"], made.video["latest_task_id"]) == (1, made.task["_id"])
    assert (made.task["status"], made.task["progress"], made.task["video_name"]) == (QUEUED, 0.0, event.name)
    assert made.video["object"] == event.object.model_dump()
    assert await told(documents, VideoUploaded) == [event]
    assert await lifecycle.is_wanted(documents, "v", 1)


async def test_registering_again_changes_nothing(documents: Documents) -> None:
    """The second time says that it made nothing, and hands out what is there."""
    first = await registration.register(documents, uploaded(), NOW, announce=True)
    again = await registration.register(documents, uploaded(), LATER, announce=True)
    assert not again.created
    assert (again.video, again.task) == (first.video, first.task)
    assert len(await told(documents, VideoUploaded)) == 1


async def test_what_others_announced_is_not_announced_again(documents: Documents) -> None:
    """Registering for an event that came from the topic puts nothing into the outbox."""
    assert (await registration.register(documents, uploaded(), NOW)).created
    assert await documents.count(OUTBOX, {}) == 0


async def test_a_video_without_a_name_is_called_by_its_key(documents: Documents) -> None:
    """The last part of the object's key stands in for the name that nobody gave."""
    await registration.register(documents, uploaded(name=None), NOW)
    assert (await stored_task(documents))["video_name"] == "one"


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
    documents: Documents, changes: dict[str, Any], epoch: int
) -> None:
    """Another object or gallery under the same id is poison, in any epoch, and leaves everything as it was."""
    first = await registration.register(documents, uploaded(), NOW)
    with pytest.raises(Poison, match="already"):
        await registration.register(documents, uploaded(epoch=epoch, **changes), LATER, announce=True)
    assert await documents.get(VIDEOS, "v") == first.video
    assert await documents.count(TASKS, {}) == 1
    assert await documents.count(OUTBOX, {}) == 0


async def test_the_same_object_with_another_etag_is_the_same_video(documents: Documents) -> None:
    """Whether the object changed is for the workers to find out, who read it."""
    await registration.register(documents, uploaded(), NOW)
    changed = uploaded(object=StoredObject(bucket="castlist", key="videos/one", etag="other"))
    assert not (await registration.register(documents, changed, NOW)).created


async def test_registers_at_once_make_one_task(documents: Documents) -> None:
    """Of eight at the same moment one makes the task; all get the same one, and it is announced once."""
    made = await asyncio.gather(*(registration.register(documents, uploaded(), NOW, announce=True) for _ in range(8)))
    assert sum(one.created for one in made) == 1
    assert {one.task["_id"] for one in made} == {task_id("v", 1)}
    assert await documents.count(TASKS, {}) == 1
    assert len(await told(documents, VideoUploaded)) == 1


async def test_epochs_at_once_are_tasks_of_one_video(documents: Documents) -> None:
    """Whatever the order, each epoch has its task, and the highest is the latest."""
    await asyncio.gather(*(registration.register(documents, uploaded(epoch=epoch), NOW) for epoch in (3, 1, 4, 2)))
    video = await documents.get(VIDEOS, "v")
    assert video is not None
    assert (video["latest_epoch"], video["latest_task_id"]) == (4, task_id("v", 4))
    assert [task["epoch"] for task in await documents.find(TASKS, {}, sort=[("epoch", 1)])] == [1, 2, 3, 4]


async def test_a_task_ends_once(documents: Documents) -> None:
    """The first ending stands: later ones say so and change nothing, and one event tells of it."""
    await registration.register(documents, uploaded(), NOW)
    assert await lifecycle.finish(documents, "v", 1, DONE, LATER)
    for _ in range(2):
        assert not await lifecycle.finish(documents, "v", 1, FAILED, LATER, "internal", "Too late.")
        assert not await cancels.cancel(documents, "v", 1, LATER)
    task = await stored_task(documents)
    assert (task["status"], task["progress"], task["error"], task["finished_at"]) == (DONE, 1.0, None, LATER)
    assert [event.status for event in await told(documents, TaskFinished)] == [DONE]
    assert not await lifecycle.is_wanted(documents, "v", 1)


async def test_a_failed_task_says_why(documents: Documents) -> None:
    """Code and message are in the task and in its event."""
    await registration.register(documents, uploaded(), NOW)
    assert await lifecycle.finish(documents, "v", 1, FAILED, LATER, "unreadable", "No frame.")
    assert (await stored_task(documents))["error"] == {"code": "unreadable", "message": "No frame."}
    (event,) = await told(documents, TaskFinished)
    assert (event.status, event.code, event.message, event.epoch) == (FAILED, "unreadable", "No frame.", 1)


async def test_a_task_that_is_not_there_does_not_end(documents: Documents) -> None:
    """Nothing is made up for it."""
    assert not await lifecycle.finish(documents, "v", 1, DONE, NOW)
    assert await documents.count(OUTBOX, {}) == 0


async def test_endings_at_once_agree(documents: Documents) -> None:
    """Done, failed and cancelled at the same moment: one of them wins, in the task and in the one event."""
    for number in range(5):
        video = f"v{number}"
        await registration.register(documents, uploaded(video), NOW)
        endings = await asyncio.gather(
            lifecycle.finish(documents, video, 1, DONE, LATER),
            lifecycle.finish(documents, video, 1, FAILED, LATER, "internal", "A bug."),
            cancels.cancel(documents, video, 1, LATER),
        )
        assert sum(endings) == 1
        winner = (DONE, FAILED, CANCELLED)[endings.index(True)]
        assert (await stored_task(documents, video))["status"] == winner
        events = [event for event in await told(documents, TaskFinished) if event.video_id == video]
        assert [event.status for event in events] == [winner]


async def test_an_undone_transaction_ends_no_task(documents: Documents) -> None:
    """Ending a task inside a larger transaction is undone with it, its event too."""
    await registration.register(documents, uploaded(), NOW)

    async def body(tx: Documents) -> None:
        assert await lifecycle.finish_in(tx, "v", 1, DONE, LATER)
        raise RuntimeError("the rest did not work")

    with pytest.raises(RuntimeError):
        await documents.transaction(body)
    assert (await stored_task(documents))["status"] == QUEUED
    assert await documents.count(OUTBOX, {}) == 0


async def test_cancelling_twice_is_cancelling_once(documents: Documents) -> None:
    """The first cancel ends the task, the second finds it ended; one event."""
    await registration.register(documents, uploaded(), NOW)
    assert await cancels.cancel(documents, "v", 1, LATER)
    assert not await cancels.cancel(documents, "v", 1, LATER + timedelta(seconds=1))
    task = await stored_task(documents)
    assert (task["status"], task["error"]["code"], task["finished_at"]) == (CANCELLED, "cancelled", LATER)
    assert len(await told(documents, TaskFinished)) == 1


async def test_a_cancel_before_its_upload_is_remembered(documents: Documents) -> None:
    """The task begins as cancelled, is told of once, and is not wanted by anybody; the next epoch is."""
    for _ in range(2):
        assert not await cancels.cancel(documents, "v", 1, NOW)
    assert not await lifecycle.is_wanted(documents, "v", 1)
    made = await registration.register(documents, uploaded(), LATER, announce=True)
    assert (made.created, made.task["status"], made.task["error"]["code"]) == (True, CANCELLED, "cancelled")
    assert [event.status for event in await told(documents, TaskFinished)] == [CANCELLED]
    assert not await lifecycle.is_wanted(documents, "v", 1)
    assert (await registration.register(documents, uploaded(epoch=2), LATER)).task["status"] == QUEUED
    assert await lifecycle.is_wanted(documents, "v", 2)


async def test_a_cancel_beside_its_upload_is_not_lost(documents: Documents) -> None:
    """Neither of the two sees the other's uncommitted write; the task ends as cancelled all the same, once."""
    for number in range(10):
        video = f"v{number}"
        steps = [registration.register(documents, uploaded(video), NOW), cancels.cancel(documents, video, 1, NOW)]
        await asyncio.gather(*(steps if number % 2 else reversed(steps)))
        assert (await stored_task(documents, video))["status"] == CANCELLED
        assert len([event for event in await told(documents, TaskFinished) if event.video_id == video]) == 1


async def test_a_cancel_without_an_epoch_is_resolved_once(documents: Documents) -> None:
    """It means the epoch that is current when it first gets here, also when it comes again after a retry."""
    await registration.register(documents, uploaded(epoch=2), NOW)
    cancel = example(CancelVideo, video_id="v", epoch=None)
    assert await cancels.resolve_cancel(documents, cancel, NOW) == 2
    await registration.register(documents, uploaded(epoch=3), LATER)
    assert await cancels.resolve_cancel(documents, cancel, LATER) == 2
    assert await cancels.resolve_cancel(documents, cancel.model_copy(update={"event_id": "another"}), LATER) == 3


async def test_a_cancel_with_an_epoch_means_that_one(documents: Documents) -> None:
    """Whatever is current."""
    await registration.register(documents, uploaded(epoch=2), NOW)
    assert await cancels.resolve_cancel(documents, example(CancelVideo, video_id="v", epoch=7), NOW) == 7


async def test_a_cancel_of_an_unknown_video_means_its_first_epoch(documents: Documents) -> None:
    """And keeps meaning it when the video has come and been retried."""
    cancel = example(CancelVideo, video_id="v", epoch=None)
    assert await cancels.resolve_cancel(documents, cancel, NOW) == 1
    await registration.register(documents, uploaded(epoch=2), LATER)
    assert await cancels.resolve_cancel(documents, cancel, LATER) == 1


async def test_epochs_of_a_deleted_video_do_not_come_back(documents: Documents) -> None:
    """A late announcement of a deleted video is poison that says which epoch would do; that one is taken."""
    await documents.insert(DELETED, {"_id": "v", "latest_epoch": 3})
    for epoch in (1, 3):
        with pytest.raises(Poison, match="epoch 4"):
            await registration.register(documents, uploaded(epoch=epoch), NOW)
    assert await documents.count(TASKS, {}) == 0
    assert (await registration.register(documents, uploaded(epoch=4), NOW)).task["epoch"] == 4


async def test_uploading_a_deleted_video_again_goes_on_after_its_last_epoch(documents: Documents) -> None:
    """What ingest announces itself gets the next epoch, with an event id of its own; doing it twice gives one task."""
    await documents.insert(DELETED, {"_id": "v", "latest_epoch": 3})
    made = [await registration.register(documents, uploaded(), NOW, announce=True) for _ in range(2)]
    assert [(one.created, one.task["_id"]) for one in made] == [(True, task_id("v", 4)), (False, task_id("v", 4))]
    (event,) = await told(documents, VideoUploaded)
    assert (event.epoch, event.event_id) == (4, event_id("VideoUploaded", "v", 4))


async def test_a_stored_video_is_announced_as_it_was(documents: Documents) -> None:
    """The event made from a stored video says what the first one said, and is the same one each time."""
    first = uploaded()
    video = (await registration.register(documents, first, NOW)).video
    assert registration.announcement(video, 1, first.occurred_at) == first
    assert registration.announcement(video, 2, NOW).event_id == registration.announcement(video, 2, LATER).event_id
