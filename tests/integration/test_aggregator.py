"""The running aggregator, told what frame-workers would tell it: completion, matching, commits, events."""

import json
import random
import uuid
from typing import Any

import pytest

from castlist.clock import now_utc
from castlist.contract import commands, events, ids
from castlist.contract.topics import TOPICS
from castlist.tasks import registration
from testkit.api import new_gallery
from testkit.database import Database, all_published, are_done, videos_of_profiles
from testkit.eventually import eventually
from testkit.running_stack import RunningStack, connected, whole_topic
from testkit.synthetic import SyntheticVideo, expected_videos, submit

pytestmark = [pytest.mark.stack, pytest.mark.services]


async def test_redelivered_and_reordered_events_change_nothing(stack: RunningStack, database: Database) -> None:
    """Every message twice and in a random order gives the people that each once and in order gives."""
    gallery = new_gallery("shuffled")
    videos = [SyntheticVideo(f"{gallery}-{i}", gallery, [[1, 2], [3 + i % 2], [1]]) for i in range(6)]
    async with connected(stack) as (store, publisher):
        for video in videos:
            await registration.register(store, video.uploaded(), now_utc())
            await video.store_plan(store)
        messages = [m for video in videos for m in (video.planned(), *video.encoded())] * 2
        random.Random(7).shuffle(messages)
        await publisher.publish(*messages)
        eventually(lambda: are_done(database, gallery, len(videos)))
        assert videos_of_profiles(database, gallery) == expected_videos(videos)
        random.Random(8).shuffle(messages)
        await publisher.publish(*messages)
        marker = SyntheticVideo(f"{gallery}-marker", gallery, [[9]])
        await submit(store, publisher, marker)
        eventually(lambda: are_done(database, gallery, len(videos) + 1))
    assert videos_of_profiles(database, gallery) == expected_videos([*videos, marker])


async def test_eight_videos_of_the_same_two_people_at_once_are_two_profiles(
    stack: RunningStack, database: Database
) -> None:
    """Videos that finish together find each other's new people."""
    gallery = new_gallery("eight")
    videos = [SyntheticVideo(f"{gallery}-{i}", gallery, [[1, 2]]) for i in range(8)]
    async with connected(stack) as (store, publisher):
        for video in videos:
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, 8))
    assert videos_of_profiles(database, gallery) == expected_videos(videos)


async def test_one_person_twice_in_a_frame_is_one_profile(stack: RunningStack, database: Database) -> None:
    """A mirror, a split screen: the same face at two places is one person, who is in other videos too."""
    gallery = new_gallery("mirror")
    videos = [SyntheticVideo(f"{gallery}-0", gallery, [[1, 1]]), SyntheticVideo(f"{gallery}-1", gallery, [[1]])]
    async with connected(stack) as (store, publisher):
        for video in videos:
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, 2))
    assert videos_of_profiles(database, gallery) == expected_videos(videos)


async def test_a_cancel_before_its_video_and_twice_ends_the_task_once(stack: RunningStack, database: Database) -> None:
    """The cancel is remembered; the video that comes later is cancelled at once and reaches no profile."""
    gallery = new_gallery("early")
    video = SyntheticVideo(f"{gallery}-0", gallery, [[1]])
    cancel = commands.CancelVideo(event_id=uuid.uuid4().hex, occurred_at=now_utc(), video_id=video.video_id)
    async with connected(stack) as (store, publisher):
        await publisher.publish(cancel, cancel)
        eventually(lambda: database.cancels.find_one({"_id": f"{video.video_id}:1"}))
        await submit(store, publisher, video)
        other = SyntheticVideo(f"{gallery}-1", gallery, [[2]])
        await submit(store, publisher, other)
    eventually(lambda: are_done(database, gallery, 1))
    task = database.tasks.find_one({"_id": ids.task_id(video.video_id, 1)})
    assert (task["status"], task["error"]["code"]) == ("cancelled", "cancelled")
    assert videos_of_profiles(database, gallery) == expected_videos([other])
    finished = database.outbox.count_documents({"_id": ids.event_id("TaskFinished", task["_id"])})
    assert finished == 1


async def test_a_cancel_without_epoch_means_the_run_it_was_first_received_in(
    stack: RunningStack, database: Database
) -> None:
    """Redelivered after a retry, it does not cancel the retry."""
    gallery = new_gallery("epochs")
    first, second = (SyntheticVideo(f"{gallery}-0", gallery, [[1]], epoch=epoch) for epoch in (1, 2))
    cancel = commands.CancelVideo(event_id=uuid.uuid4().hex, occurred_at=now_utc(), video_id=first.video_id)
    async with connected(stack) as (store, publisher):
        await publisher.publish(cancel)
        eventually(lambda: database.cancels.find_one({"_id": f"{first.video_id}:1"}))
        await submit(store, publisher, first)
        await publisher.publish(cancel)
        await submit(store, publisher, second)
    eventually(lambda: are_done(database, gallery, 1))
    assert database.tasks.find_one({"_id": ids.task_id(first.video_id, 2)})["status"] == "done"


async def test_a_newer_run_replaces_the_people_of_the_older_and_keeps_their_ids(
    stack: RunningStack, database: Database
) -> None:
    """Epoch 2 finds one person less and another one more: who stays keeps the profile, who left is gone."""
    gallery = new_gallery("redo")
    first = SyntheticVideo(f"{gallery}-0", gallery, [[1, 2]])
    again = SyntheticVideo(f"{gallery}-0", gallery, [[1], [3]], epoch=2)
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, first)
        eventually(lambda: are_done(database, gallery, 1))
        before = {p["_id"] for p in database.profiles.find({"gallery": gallery})}
        await submit(store, publisher, again)
        eventually(lambda: are_done(database, gallery, 2))
    after = {p["_id"] for p in database.profiles.find({"gallery": gallery})}
    assert len(after) == 2
    assert len(after & before) >= 1
    assert {p["epoch"] for p in database.persons.find({"gallery": gallery})} == {2}


async def test_a_late_older_run_is_superseded(stack: RunningStack, database: Database) -> None:
    """What a run finds after a newer one was committed reaches no profile."""
    gallery = new_gallery("late")
    old, new = (SyntheticVideo(f"{gallery}-0", gallery, [[epoch]], epoch=epoch) for epoch in (1, 2))
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, new)
        eventually(lambda: are_done(database, gallery, 1))
        await submit(store, publisher, old)
        task = ids.task_id(old.video_id, 1)
        eventually(lambda: database.tasks.find_one({"_id": task, "status": "cancelled"}))
    assert database.tasks.find_one({"_id": task})["error"]["code"] == "superseded"
    assert videos_of_profiles(database, gallery) == expected_videos([new])


@pytest.mark.parametrize("topic", ["video.uploaded", "face.encodings", "gallery.commits", "video.control"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"event": "NobodyKnows", "version": 1}', "carries no event"),
        (b"VERSION", "unknown"),
        (b"INVALID", "invalid"),
    ],
)
async def test_what_is_no_event_becomes_a_dead_letter_and_the_stream_goes_on(
    stack: RunningStack, database: Database, topic: str, value: bytes, reason: str
) -> None:
    """The raw message lies in the dead letters with its reason; a good video behind it is done."""
    declared = next(t for t in TOPICS if t.name == topic)
    name = declared.events[0].__name__.encode()
    made = {
        b"VERSION": b'{"event": "%s", "version": 99}' % name,
        b"INVALID": b'{"event": "%s", "version": 1}' % name,
    }.get(value, value)
    key = uuid.uuid4().hex.encode()
    gallery = new_gallery("poison")
    async with connected(stack) as (store, publisher):
        await publisher.publish_raw(topic, key, made)
        video = SyntheticVideo(f"{gallery}-0", gallery, [[1]])
        await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, 1))
    letters: list[Any] = []
    for _ in range(50):
        letters = [r for r in await whole_topic(stack, declared.dead) if r.key == key]
        if letters:
            break
    assert [letter.value for letter in letters][:1] == [made]
    assert reason in dict(letters[0].headers)["error"].decode()


async def test_folding_profile_events_gives_what_mongodb_holds(stack: RunningStack, database: Database) -> None:
    """A reader of profile.events alone, who orders by (version, index) and drops repeats, knows every appearance."""
    gallery = new_gallery("fold")
    videos = [SyntheticVideo(f"{gallery}-{i}", gallery, [[1, 2], [3 + i % 3]]) for i in range(5)]
    redone = SyntheticVideo(f"{gallery}-0", gallery, [[1], [5]], epoch=2)
    async with connected(stack) as (store, publisher):
        for video in videos:
            await submit(store, publisher, video)
        eventually(lambda: are_done(database, gallery, 5))
        await submit(store, publisher, redone)
        eventually(lambda: are_done(database, gallery, 6))
    eventually(lambda: all_published(database, gallery))
    said: dict[str, dict[str, Any]] = {}
    for record in await whole_topic(stack, "profile.events"):
        event = json.loads(record.value)
        if event["gallery"] == gallery and "gallery_version" in event:
            said[event["event_id"]] = event
    folded = fold(sorted(said.values(), key=lambda e: (e["gallery_version"], e["index"])))
    stored = {
        (a["profile_id"], a["video_id"]): (sorted(a["persons"]), a["faces"], a["crop"]["key"])
        for a in database.appearances.find({"gallery": gallery})
    }
    assert folded == stored
    assert {profile for profile, _ in folded} == {p["_id"] for p in database.profiles.find({"gallery": gallery})}


def fold(said: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    appearances: dict[tuple[str, str], Any] = {}
    for event in said:
        match event["event"]:
            case "PersonAppeared":
                key = (event["profile_id"], event["video_id"])
                appearances[key] = (sorted(event["persons"]), event["faces"], event["crop"]["key"])
            case "AppearanceRemoved":
                appearances.pop((event["profile_id"], event["video_id"]), None)
    return appearances


async def command(stack: RunningStack, event: events.Event, database: Database) -> None:
    """Send a command twice, and wait until the gallery has obeyed it."""
    async with connected(stack) as (_, publisher):
        await publisher.publish(event, event)
    eventually(lambda: database.ledger.find_one({"_id": {"$regex": f":command:{event.event_id}$"}}))


async def test_a_name_survives_the_video_being_done_again(stack: RunningStack, database: Database) -> None:
    """Given to a profile, carried by its person, inherited by who replaces that person."""
    gallery = new_gallery("names")
    first, again = (SyntheticVideo(f"{gallery}-0", gallery, [[1, 2]], epoch=epoch) for epoch in (1, 2))
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, first)
        eventually(lambda: are_done(database, gallery, 1))
        profile = database.profiles.find_one({"gallery": gallery})["_id"]
        rename = commands.RenameProfile(
            event_id=uuid.uuid4().hex,
            occurred_at=now_utc(),
            gallery=gallery,
            profile_id=profile,
            name="Ada",
        )
        await command(stack, rename, database)
        await submit(store, publisher, again)
        eventually(lambda: are_done(database, gallery, 2))
    assert database.profiles.find_one({"_id": profile})["name"] == "Ada"
    assert database.profiles.count_documents({"gallery": gallery, "name": "Ada"}) == 1


async def test_a_deleted_video_leaves_no_person_and_no_record(stack: RunningStack, database: Database) -> None:
    """Profiles left empty go, the others lose the appearance; its tasks, results and plan are gone."""
    gallery = new_gallery("delete")
    kept, gone = SyntheticVideo(f"{gallery}-0", gallery, [[1]]), SyntheticVideo(f"{gallery}-1", gallery, [[1, 2]])
    async with connected(stack) as (store, publisher):
        for video in (kept, gone):
            await submit(store, publisher, video)
        eventually(lambda: are_done(database, gallery, 2))
        delete = commands.DeleteVideo(
            event_id=uuid.uuid4().hex, occurred_at=now_utc(), gallery=gallery, video_id=gone.video_id
        )
        await command(stack, delete, database)
    assert videos_of_profiles(database, gallery) == expected_videos([kept])
    eventually(lambda: not database.removals.find_one({"video_id": gone.video_id}))
    for collection in ("videos", "tasks", "chunks", "plans", "persons", "appearances"):
        field = {"videos": "_id", "tasks": "video_id", "persons": "video_id", "appearances": "video_id"}
        where = {field.get(collection, "_id"): {"$regex": f"^{gone.video_id}"}}
        assert database[collection].count_documents(where) == 0, collection


async def test_a_task_is_finished_after_its_people_have_appeared(stack: RunningStack, database: Database) -> None:
    """On profile.events, TaskFinished comes behind what the same commit changed."""
    gallery = new_gallery("order")
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, SyntheticVideo(f"{gallery}-0", gallery, [[1, 2]]))
    eventually(lambda: are_done(database, gallery, 1))
    eventually(lambda: all_published(database, gallery))
    records = [json.loads(r.value) for r in await whole_topic(stack, "profile.events") if r.key == gallery.encode()]
    said = [record["event"] for record in records]
    assert said == ["ProfileCreated", "ProfileCreated", "PersonAppeared", "PersonAppeared", "TaskFinished"]
