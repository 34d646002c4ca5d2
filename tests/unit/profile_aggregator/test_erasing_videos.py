"""Erasing a video, or a gallery: nothing of it is left that could find somebody, whatever happens on the way."""

import json
from datetime import timedelta
from typing import Any

import pytest

from castlist.contract.commands import DeleteGallery, PreviewSettings
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import event_id
from castlist.contract.topics import FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_UPLOADED
from castlist.contract.values import NEW_GALLERY, AnalysisSettings, StoredObject
from castlist.store import outbox
from castlist.store.query import eq
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.runs import AttemptsRecord
from castlist.tasks.galleries import GalleryGoingError, create_gallery
from castlist.tasks.registration import VideoConflictError, register
from docs.examples.gallery_reader import GalleryCopy, GalleryReader
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.faults import Faults, at_every_moment


async def people(faults: Faults | None = None) -> CorrectedGallery:
    """Ann is in a and b, Bea in b alone; all have names that are found again wherever they are kept."""
    gallery = CorrectedGallery(faults)
    await gallery.video("a", {0: 0.0})
    await gallery.video("b", {0: 0.05, 1: 5.0})
    await gallery.card(await gallery.of("a"), name="Ann Unmistakable")
    await gallery.card(await gallery.of("b", 1), name="Bea Unforgettable", notes="Unforgettable.")
    for video in ("a", "b"):
        gallery.servers.bucket.store(f"videos/{video}", b"mp4", "video/mp4")
    await gallery.settle()
    return gallery


async def receipt(gallery: CorrectedGallery, change: ChangeRecord) -> dict[str, Any]:
    """What a change says is gone, once it does."""
    assert change.error is None
    for _ in range(10):
        await gallery.settle()
        stored = await gallery.servers.stored.changes.get(change.id)
        assert stored is not None
        if stored.receipt is not None:
            return stored.receipt
    raise AssertionError("no receipt")


async def documents(gallery: CorrectedGallery) -> dict[str, Any]:
    """All that lies in MongoDB."""
    left = (await gallery.servers.left())["documents"]
    stored = gallery.servers.stored
    return dict(left) | {"outbox": await stored.outbox.find(), "gallery_log": await stored.gallery_log.find()}


# --- a video ----------------------------------------------------------------------------------------------------------


async def test_of_an_erased_video_nothing_is_left_but_that_it_was_there() -> None:
    """Who was in it alone has no name any more; who is elsewhere too keeps it."""
    gallery = await people()
    ann = await gallery.of("a")
    erased = await gallery.delete_video("b", erase=True)
    assert (erased.kind, erased.status) == ("erase_video", "applied")
    gone = await receipt(gallery, erased)
    assert {key: gone[key] for key in ("videos", "objects", "persons", "crops", "changes")} == {
        "videos": 1, "objects": 1, "persons": 2, "crops": 2, "changes": 1
    }  # fmt: skip
    left = await documents(gallery)
    assert "Unforgettable" not in str(left)
    assert (await gallery.profile(ann)).name == "Ann Unmistakable"
    assert sorted(left["persons"]) == ["a:1:0"]
    assert sorted(left["deleted"]) == ["b"]
    assert sorted((await gallery.servers.left())["objects"]) == ["crops/a/1/0-d1-0.jpg", "videos/a"]
    assert left["erasures"] == left["removals"] == {}


@pytest.mark.slow
async def test_a_video_is_erased_whenever_a_process_dies() -> None:
    """The end is the same, and so is who stays."""

    async def scenario(faults: Faults) -> Any:
        gallery = await people(faults)
        faults.begin()
        await receipt(gallery, await gallery.delete_video("b", erase=True))
        left = await gallery.servers.left(without=["suggestions"])
        del left["documents"]["galleries"][G]["suggestions_due"]  # these take a rest now and then
        for change in left["documents"]["changes"].values():
            if change["receipt"] is not None:
                for number in ("at", "crops", "objects"):  # some may have been gone before
                    del change["receipt"][number]
        return left["documents"], left["objects"], left["unpublished"]

    assert await at_every_moment(scenario) > 20


async def test_a_video_that_is_only_deleted_leaves_what_was_said() -> None:
    """The decision waits for whoever it is about."""
    gallery = await people()
    deleted = await gallery.delete_video("b")
    await gallery.settle()
    assert (deleted.kind, deleted.receipt) == ("delete_video", None)
    assert "Unforgettable" in str((await documents(gallery))["decisions"])


async def test_a_merge_of_somebody_who_is_gone_says_their_name_no_more() -> None:
    """Though the decision goes on for those who stay."""
    gallery = await people()
    ann, bea = await gallery.of("a"), await gallery.of("b", 1)
    await gallery.merge(ann, bea)
    await receipt(gallery, await gallery.delete_video("b", erase=True))
    assert "Unforgettable" not in str(await documents(gallery))
    assert (await gallery.profile(ann)).name == "Ann Unmistakable"


# --- a gallery --------------------------------------------------------------------------------------------------------


async def test_of_an_erased_gallery_nothing_is_left_but_that_it_was_there() -> None:
    """Its videos' ids, and the change with its receipt. A reader of its events has nothing left either."""
    gallery = await people()
    await gallery.order(PreviewSettings, settings=AnalysisSettings(), across_video_distance=0.7)
    await gallery.settle()
    deleted = await gallery.delete_gallery()
    assert (deleted.kind, deleted.status) == ("delete_gallery", "applied")
    gone = await receipt(gallery, deleted)
    assert {key: gone[key] for key in ("videos", "objects", "persons", "crops", "changes")} == {
        "videos": 2, "objects": 2, "persons": 3, "crops": 3, "changes": 3
    }  # fmt: skip
    left = await documents(gallery)
    assert "Unmistakable" not in str(left)
    assert "Unforgettable" not in str(left)
    assert {one.topic for one in left.pop("outbox")} == {"video.control"}
    assert {name for name, there in left.items() if there} == {"galleries", "deleted", "changes", "ledger"}
    assert sorted(left["changes"]) == [deleted.id]
    assert (await gallery.servers.left())["objects"] == []
    copy, reader = GalleryCopy(), GalleryReader()
    for event in gallery.events():
        for one in reader.take(event):
            copy.apply(one)
    assert (reader.missing, copy.profiles, copy.appearances, copy.cards) == (None, {}, {}, {})


@pytest.mark.slow
async def test_a_gallery_is_deleted_whenever_a_process_dies() -> None:
    """Each step may be the last of a process; the end is the same."""

    async def scenario(faults: Faults) -> Any:
        gallery = await people(faults)
        faults.begin()
        await receipt(gallery, await gallery.delete_gallery())
        left = await gallery.servers.left()
        for change in left["documents"]["changes"].values():
            for number in ("at", "crops", "objects", "persons", "changes"):  # some may have been gone before
                del change["receipt"][number]
        return left["documents"], left["objects"], left["unpublished"]

    assert await at_every_moment(scenario) > 30


async def test_what_comes_while_a_gallery_is_deleted_is_refused_and_what_waits_ends() -> None:
    """An upload and a creation say why; a video whose people are pending is cancelled, a command fails."""
    gallery = await people()
    stored, now = gallery.servers.stored, gallery.servers.clock()
    await register(stored, uploaded("late"), now)
    await gallery.committer.stage(DeleteGallery(event_id="going", occurred_at=now, gallery=G))
    await gallery.commit()
    with pytest.raises(GalleryGoingError, match="being deleted"):
        await register(stored, uploaded("new"), now)
    with pytest.raises(GalleryGoingError, match="being deleted"):
        await create_gallery(stored, G, NEW_GALLERY, now)
    again = await gallery.delete_gallery()
    assert again.error is not None
    assert again.error.code == "not_found"
    change = await stored.changes.get("going")
    assert change is not None
    await receipt(gallery, change)
    finished = [event for event in gallery.servers.published("profile.events") if event.event == "TaskFinished"]
    unsaid = [json.loads(one.value) for one in await stored.outbox.find(eq(OutboxRecord.topic, "profile.events"))]
    ends = {one["video_id"]: (one["status"], one["code"]) for one in unsaid if one["event"] == "TaskFinished"}
    assert ends == {"late": ("cancelled", "video_deleted")}, finished
    assert await stored.tasks.ids() == await stored.videos.ids() == []
    assert [json.loads(one.value)["event"] for one in await stored.outbox.find(eq(OutboxRecord.topic, "video.control"))]


async def test_a_gallery_of_the_same_name_begins_anew_and_its_version_goes_on() -> None:
    """No id comes again, nobody of before is found; only what was put in anew is there. Old news does not wake it."""
    gallery = await people()
    before = set(await gallery.servers.stored.profiles.ids())
    version = await version_of(gallery)
    await receipt(gallery, await gallery.delete_gallery())
    with pytest.raises(VideoConflictError):  # it is announced again, as Kafka does
        await register(gallery.servers.stored, uploaded("a"), gallery.servers.clock())
    closed = await gallery.servers.stored.galleries.get(G)
    assert closed is not None
    assert (closed.deleted_at is None, closed.deletion, closed.settings) == (False, None, None)
    await gallery.video("c", {0: 0.0})
    again = await gallery.servers.stored.galleries.get(G)
    assert again is not None
    assert (again.deleted_at, again.settings, again.version > version + 2) == (None, NEW_GALLERY, True)
    assert set(await gallery.servers.stored.profiles.ids()).isdisjoint(before)
    assert (await gallery.profile(await gallery.of("c"))).name is None
    assert await gallery.shown() == await gallery.at_once()


async def test_a_command_on_a_gallery_that_was_deleted_is_in_vain() -> None:
    """It fails, and the gallery stays gone."""
    gallery = await people()
    ann = await gallery.of("a")
    await receipt(gallery, await gallery.delete_gallery())
    late = await gallery.card(ann, name="Ann")
    assert late.error is not None
    assert (late.status, late.error.code) == ("failed", "not_found")
    closed = await gallery.servers.stored.galleries.get(G)
    assert closed is not None
    assert closed.deleted_at is not None


async def test_records_of_runs_go_with_an_erasure() -> None:
    """Attempts, cancels, and what the outbox says of the video: its name."""
    gallery = await people()
    stored, now = gallery.servers.stored, gallery.servers.clock()
    await outbox.add(stored, uploaded("b", event_id("VideoUploaded", "b", 1)), now)
    await stored.attempts.insert(AttemptsRecord(id="b:1:0", owner="w", message="Unforgettable.mp4"))
    await stored.attempts.insert(AttemptsRecord(id="bb:1:0", owner="w"))
    await receipt(gallery, await gallery.delete_video("b", erase=True))
    assert await stored.attempts.ids() == ["bb:1:0"]
    assert {one.topic for one in await stored.outbox.find()} == {"video.control"}


async def test_who_was_enrolled_goes_with_the_gallery() -> None:
    """Names, encodings and the crops of the pictures, though these are of no video."""
    gallery = await people()
    await gallery.enrol("Cy Unforgettable", 9.0, 9.1)
    await receipt(gallery, await gallery.delete_gallery())
    left = await documents(gallery)
    assert "Unforgettable" not in str(left)
    assert left["persons"] == {}
    assert (await gallery.servers.left())["objects"] == []


# --- Kafka ------------------------------------------------------------------------------------------------------------


async def test_messages_that_every_group_has_read_go_and_what_is_left_is_said() -> None:
    """Until all have read them, or for a minute; then the receipt names the topics and the days."""
    gallery = await people()
    log = gallery.servers.log
    for topic in (FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_UPLOADED):
        log.append(topic.name, b"b", b"Unforgettable", ())
    async with log.subscribe([FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_UPLOADED], "ours") as ours:
        for _ in range(3):
            message = await ours.receive(0.1)
            assert message is not None
            await ours.commit(message)
    async with log.subscribe([FACE_ENCODINGS], "theirs") as theirs:
        log.append(FACE_ENCODINGS.name, b"b", b"Unforgettable", ())
        message = await theirs.receive(0.1)
        assert message is not None
        await theirs.commit(message)
    erased = await gallery.delete_video("b", erase=True)
    await gallery.settle()
    waiting = await gallery.servers.stored.changes.get(erased.id)
    assert waiting is not None
    assert waiting.receipt is None
    gallery.servers.now += timedelta(minutes=1)
    gone = await receipt(gallery, erased)
    assert [one["where"] for one in gone["stays"] if one["where"] in ("face.encodings", "gallery.commits")] == [
        "face.encodings"
    ]
    assert next(one["days"] for one in gone["stays"] if one["where"] == "face.encodings") == 7
    assert [len(log.messages(topic.name)) for topic in (FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_UPLOADED)] == [1, 0, 0]


# --- what the tests need ----------------------------------------------------------------------------------------------


def uploaded(video: str, id: str = "e") -> VideoUploaded:
    """A video that is announced."""
    stored, at = StoredObject("castlist", f"videos/{video}"), CorrectedGallery().servers.now
    return VideoUploaded(event_id=id, occurred_at=at, video_id=video, gallery=G, object=stored)


async def version_of(gallery: CorrectedGallery) -> int:
    """The gallery's."""
    record = await gallery.servers.stored.galleries.get(G)
    assert record is not None
    return record.version
