"""A gallery taken along: what was known of it, and what was decided, is so where it comes to."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from castlist.archive.archive_format import Sealing
from castlist.contract.commands import DeleteGallery
from castlist.contract.ids import derived
from castlist.ports.errors import UnavailableError
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.persons import PersonRecord
from castlist.store.records.videos import VideoRecord
from castlist.tasks.galleries import ensure_gallery
from docs.examples.gallery_reader import GalleryCopy, GalleryReader
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.faults import Faults, at_every_moment
from testkit.hands import STEPS, Hands
from testkit.moved_gallery import exported, imported, known

EXAMPLES = 300 if os.environ.get("CASTLIST_FAULTS") == "1" else 25


async def put_right(made: CorrectedGallery) -> None:
    """Ann in a, b and c, Bea in x and y; merged, taken back, split, somebody there by hand, one deleted, one erased;
    Cleo known by pictures, Dan no more."""
    for video, value in (("a", 0.0), ("b", 0.05), ("c", 0.1), ("x", 5.0), ("y", 5.05), ("z", 9.0), ("w", 7.0)):
        await made.video(video, {0: value})
    await made.video("counted", {0: 0.0, 1: 0.0}, identified=False)
    for one in await made.servers.stored.persons.find():
        assert one.crop is not None
        made.servers.bucket.store(one.crop.key, b"jpeg", "image/jpeg")
    ann, bea = await made.of("a"), await made.of("x")
    await made.card(ann, name="Ann", notes="A.", tags=("guest",), cover="a")
    await made.undo(await made.merge(ann, bea))
    await made.split(ann, "c")
    await made.presence(bea, "a", 1.0, 2.0)
    await made.merge(bea, await made.of("c"))
    await made.delete(await made.of("z"))
    await made.delete(await made.of("w"), erase=True)
    await made.enrol("Cleo", 12.0, 12.3)
    await made.undo(await made.enrol("Dan", 15.0))
    await made.object(20.0)
    for _ in range(2):
        await made.settle()


@pytest.fixture
async def gallery() -> CorrectedGallery:
    """One that was put right by hand."""
    made = CorrectedGallery()
    await put_right(made)
    return made


async def assert_told(world: CorrectedGallery) -> None:
    """The events say what is there."""
    await world.settle()
    copies: dict[str, GalleryCopy] = {}
    readers: dict[str, GalleryReader] = {}
    for event in world.events():
        copy = copies.setdefault(event["gallery"], GalleryCopy())
        reader = readers.setdefault(event["gallery"], GalleryReader())
        assert event.get("gallery_version") is None or event["previous_version"] is not None
        for one in reader.take(event):
            copy.apply(one)
    for id, copy in copies.items():
        assert readers[id].missing is None
        there = {one.id: one for one in await world.servers.stored.profiles.find() if one.gallery == id}
        assert copy.profiles == {one.id: one.name for one in there.values()}
        assert {id: card for id, card in copy.cards.items() if card["notes"]} == {
            one.id: {name: plain(getattr(one, name)) for name in copy.cards[one.id]}
            for one in there.values() if one.notes
        }  # fmt: skip


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


async def left_of(world: CorrectedGallery) -> dict[str, Any]:
    """All there is, but for what says that something was asked for, or that it failed."""
    left = await world.servers.left(without=["changes", "ledger", "pending", "galleries", "installation"])
    return {"documents": left["documents"], "objects": left["objects"]}


async def test_elsewhere_everything_is_as_it_was(gallery: CorrectedGallery) -> None:
    """Under the same ids, pictures too; it goes on there as it does here."""
    archive = await exported(gallery.servers)
    elsewhere = CorrectedGallery()
    change = await imported(elsewhere, archive)
    assert (change.status, change.detail["profiles"], change.detail["videos"]) == ("applied", 5, 8)
    assert "ids" not in change.detail
    assert await known(elsewhere.servers) == await known(gallery.servers)
    pictures = {one.crop.key for one in await gallery.servers.stored.persons.find() if one.crop is not None}
    assert {one.key for one in await elsewhere.servers.bucket.list("")} == pictures
    await assert_told(elsewhere)
    assert await elsewhere.shown() == await elsewhere.at_once()
    (cleo,) = [one for one in await gallery.servers.stored.profiles.find() if one.name == "Cleo"]
    history = {one.id: one for one in await gallery.servers.stored.changes.find()}
    for world in (gallery, elsewhere):
        world.count_orders_from(100)
        await world.video("later", {0: 0.02, 1: 5.02})
        await world.video("a", {0: 0.0}, epoch=2)
        await world.video("z", {0: 9.0}, epoch=2)
        await world.video("w", {0: 7.0}, epoch=2)
        await world.video("seen", {0: 12.31, 1: 20.01})
        with pytest.raises(LookupError):  # who objects there is nobody here
            await world.of("seen", 1)
        assert await world.of("seen") == cleo.id
        for id in sorted(id for id, one in history.items() if one.kind in ("split", "card", "undo", "delete")):
            await world.undo(id)
        await world.settle()
    assert (await known(elsewhere.servers))["profiles"].keys() == (await known(gallery.servers))["profiles"].keys()
    assert await elsewhere.shown() == await gallery.shown()


async def test_in_another_gallery_everything_has_another_id(gallery: CorrectedGallery) -> None:
    """Which follows from the gallery and the old one, and is told; nothing of the first gallery changes."""
    servers = gallery.servers
    before = await known(servers)
    change = await imported(gallery, await exported(servers), "copy")
    ids: Mapping[str, Mapping[str, str]] = change.detail["ids"]
    assert set(before["profiles"]) <= set(ids["profiles"])
    assert set(ids["videos"]) == {"a", "b", "c", "counted", "w", "x", "y", "z"}
    assert set(ids["changes"]) == set(before["changes"])
    assert all(new == derived("import", "copy", old) for kind in ids.values() for old, new in kind.items())
    assert await known(servers) == before
    copy = await known(servers, "copy")
    assert {ids["profiles"][old]: one["name"] for old, one in before["profiles"].items()} == {
        new: one["name"] for new, one in copy["profiles"].items()
    }
    assert len(copy["persons"]) == len(before["persons"])
    assert len(copy["decisions"]) == len(before["decisions"])
    objections = {one.gallery: one for one in await servers.stored.objections.find()}
    assert objections["copy"].id == ids["changes"][objections[G].id]
    assert objections["copy"].mean == objections[G].mean
    (covered,) = [one["cover"] for one in copy["profiles"].values() if one["cover"]]
    assert covered == ids["videos"]["a"]
    told = json.dumps([one["detail"] for one in copy["changes"].values()])
    assert not any(old in told for old in ids["profiles"])
    assert any(new in told for new in ids["profiles"].values())
    (cleo,) = [one for one in copy["profiles"].values() if one["name"] == "Cleo"]
    shown = [one.crop for one in cleo["pictures"]]
    assert (len(shown), cleo["video_count"]) == (2, 0)
    for picture in shown:
        assert picture is not None
        assert await servers.bucket.get(picture.key) == b"jpeg"
    for one in copy["appearances"].values():
        if one["crop"] is not None:
            assert await servers.bucket.get(one["crop"].key) == b"jpeg"
    await assert_told(gallery)


@pytest.mark.parametrize("into", [G, "copy"])
async def test_twice_is_once(gallery: CorrectedGallery, into: str) -> None:
    """The second time is the first one's answer."""
    archive = await exported(gallery.servers)
    world = CorrectedGallery() if into == G else gallery
    first = await imported(world, archive, into)
    after = await world.servers.left()
    assert await imported(world, archive, into) == first
    again = await world.servers.left()
    assert again["documents"] == after["documents"]


async def test_nothing_is_taken_from_anybody(gallery: CorrectedGallery) -> None:
    """Refused before anything is written: where it came from, where somebody is already, where an id is another's."""
    archive = await exported(gallery.servers)
    here = await imported(gallery, archive)
    assert (here.status, here.error and here.error.code) == ("failed", "conflict")
    elsewhere = CorrectedGallery()
    await elsewhere.video("mine", {0: 3.0})
    before = await left_of(elsewhere)
    full = await imported(elsewhere, archive)
    assert full.error is not None
    assert (full.error.code, "not empty" in full.error.message) == ("conflict", True)
    third = CorrectedGallery()
    assert (await imported(third, archive, "first")).status == "applied"
    before_second = await left_of(third)
    second = await imported(third, archive, "second")
    assert second.error is not None
    assert (second.error.code, "already" in second.error.message) == ("conflict", True)
    for world, left in ((elsewhere, before), (third, before_second)):
        now = await left_of(world)
        assert now["documents"] == left["documents"]
        assert [key for key in now["objects"] if not key.startswith("archives/")] == [
            key for key in left["objects"] if not key.startswith("archives/")
        ]


async def test_files_go_along_where_they_are_wanted(gallery: CorrectedGallery) -> None:
    """And are ingest's there. By reference nobody is shown an object that an archive merely names."""
    servers = gallery.servers
    for video in ("a", "b"):
        servers.bucket.store(f"videos/{video}", f"the film {video}".encode(), "video/mp4")
        await servers.stored.videos.update(with_id(video), set_to(VideoRecord.uploaded, True))
    for contents in (True, False):
        elsewhere = CorrectedGallery()
        change = await imported(elsewhere, await exported(servers, contents=contents))
        assert change.detail["files"] == (2 if contents else 0)
        there = await elsewhere.servers.stored.videos.get("a")
        assert there is not None
        assert there.uploaded is contents
        if contents:
            assert await elsewhere.servers.bucket.get(there.object.key) == b"the film a"
    copied = await imported(gallery, await exported(servers), "copy")
    copy = await servers.stored.videos.get(copied.detail["ids"]["videos"]["a"])
    assert copy is not None
    assert (copy.object.key, copy.uploaded) == ("videos/a", True)  # which is shown here already


# --- archives that are none -------------------------------------------------------------------------------------------


def rewritten(archive: bytes, change: Any, *, sealed: bool = True) -> bytes:
    """The archive with `change(name, content)` for each entry, None leaving it out; with a seal that fits."""
    made, sealing = io.BytesIO(), Sealing()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=made, mode="w") as new:
        for info in old:
            file = old.extractfile(info)
            assert file is not None
            content = change(info.name, file.read())
            if info.name == "seal.json" and sealed:
                seal = sealing.seal()
                content = json.dumps({"entries": seal.entries, "sha256": seal.sha256}).encode()
            if content is None:
                continue
            sealing.add(info.name, len(content), hashlib.sha256(content).hexdigest())
            entry = tarfile.TarInfo(info.name)
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def names_in(archive: bytes) -> list[str]:
    """Those of its entries."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def with_line(entry: str, **record: Any) -> Any:
    """Changes of an archive: the first line of such a record has these fields instead."""
    ((kind, fields),) = record.items()

    def change(name: str, content: bytes) -> bytes:
        if name != entry:
            return content
        lines = [json.loads(line) for line in content.splitlines()]
        for line in lines:
            if kind in line:
                line[kind] |= fields
                break
        else:
            raise LookupError(kind)
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return change


def about(**fields: Any) -> Any:
    """Changes of an archive: it says this of itself."""

    def change(name: str, content: bytes) -> bytes:
        return json.dumps(json.loads(content) | fields).encode() if name == "castlist.json" else content

    return change


def without(entry: str) -> Any:
    """Changes of an archive: it lacks an entry."""
    return lambda name, content: None if name == entry else content


async def refused(archive: bytes) -> str:
    """Why it is; nothing is left of it."""
    world = CorrectedGallery()
    change = await imported(world, archive)
    assert change.status == "failed", "it was imported"
    assert change.error is not None
    assert change.error.code == "invalid", change.error
    left = await left_of(world)
    assert not any(left["documents"].values())
    assert left["objects"] == []
    (there,) = await world.servers.stored.galleries.find()
    assert there.version == 0
    return change.error.message


async def test_an_archive_that_was_written_anew_is_one(gallery: CorrectedGallery) -> None:
    """So that what the tests below change is what makes the difference."""
    archive = rewritten(await exported(gallery.servers), lambda _, content: content)
    elsewhere = CorrectedGallery()
    assert (await imported(elsewhere, archive)).status == "applied"
    assert await known(elsewhere.servers) == await known(gallery.servers)


async def test_a_newer_or_foreign_archive_is_named_so(gallery: CorrectedGallery) -> None:
    """By what it says of itself."""
    archive = await exported(gallery.servers)
    assert "newer version, 2" in await refused(rewritten(archive, about(version=2)))
    assert "made with other" in await refused(rewritten(archive, about(encoder="other")))
    assert "no archive" in await refused(rewritten(archive, about(format="photos")))
    assert "no archive" in await refused(b"PK\3\4" + bytes(2000))
    assert "cut off" in await refused(b"")
    assert "not expected" in await refused(rewritten(archive, without("decisions.jsonl")))
    assert "is missing" in await refused(rewritten(archive, without("videos.jsonl")))
    assert "cut off" in await refused(rewritten(archive, without("seal.json"), sealed=False))


@pytest.mark.parametrize(
    ("entry", "record"),
    [
        ("people.jsonl", {"profile": {"_id": "a:b"}}),
        ("people.jsonl", {"profile": {"version": 10**6}}),
        ("people.jsonl", {"profile": {"_id": "nobody"}}),
        ("decisions.jsonl", {"change": {"status": "pending"}}),
        ("decisions.jsonl", {"decision": {"subjects": ["a:b"]}}),
        ("decisions.jsonl", {"decision": {"card": {"gallery": "other"}}}),
        ("decisions.jsonl", {"decision": {"_id": "unheard-of"}}),
        ("videos.jsonl", {"video": {"latest_epoch": 0}}),
        ("videos.jsonl", {"task": {"status": "queued"}}),
        ("videos.jsonl", {"person": {"mean": "AAAA"}}),
        ("videos.jsonl", {"person": {"profile_id": "nobody"}}),
        ("videos.jsonl", {"person": {"epoch": 7}}),
        ("videos.jsonl", {"person": {"variance": -1.0}}),
        ("videos.jsonl", {"places": {"_id": "other:1:0"}}),
        ("videos.jsonl", {"places": {"places": "AA=="}}),
    ],
    ids=str,
)
async def test_what_does_not_add_up_is_refused(gallery: CorrectedGallery, entry: str, record: Any) -> None:
    """Though its seal fits: whoever wrote it, nothing of it comes in."""
    assert "add up" in await refused(rewritten(await exported(gallery.servers), with_line(entry, **record)))


async def test_a_crop_that_is_anothers_is_refused(gallery: CorrectedGallery) -> None:
    """An archive writes nowhere but where its own pictures are."""
    archive = await exported(gallery.servers)
    crop = next(name for name in names_in(archive) if name.startswith("crops/a/"))
    stolen = archive.replace(crop.encode(), crop.replace("crops/a/", "crops/q/").encode())
    moved = rewritten(archive, lambda name, content: None if name == crop else content)
    assert "archive" in await refused(stolen)
    elsewhere = CorrectedGallery()
    assert (await imported(elsewhere, moved)).status == "applied"  # a picture that is not there is merely not shown


@pytest.fixture(scope="module")
def archives() -> dict[str, bytes]:
    """One, made once."""
    return {}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(0, 255))
async def test_cut_off_or_edited_anywhere_it_is_refused(archives: dict[str, bytes], place: float, flip: int) -> None:
    """At whatever byte (`flip` 0: cut off there)."""
    if not archives:
        made = CorrectedGallery()
        await put_right(made)
        archives["one"] = await exported(made.servers)
    archive = archives["one"]
    at = int(place * (len(archive) - 1024))  # what follows the seal is the tar's end alone
    changed = archive[:at] if not flip else archive[:at] + bytes([archive[at] ^ flip]) + archive[at + 1 :]
    world = CorrectedGallery()
    change = await imported(world, changed)
    if change.status == "applied":
        # Of a header's times, owners and padding nothing is believed.
        assert await known(world.servers) == await known_of(archive)
        return
    assert change.error is not None
    assert change.error.code == "invalid"
    assert not any((await left_of(world))["documents"].values())


async def known_of(archive: bytes) -> dict[str, Any]:
    world = CorrectedGallery()
    assert (await imported(world, archive)).status == "applied"
    return await known(world.servers)


# --- crashes, and any gallery -----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_import_is_done_once_wherever_a_process_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every moment of it, a few videos a commit: the end is the same, and nothing is half done."""
    monkeypatch.setattr("profile_aggregator.imports.imported_videos.MOST_VIDEOS", 2)
    source = CorrectedGallery()
    await put_right(source)
    archive, expected = await exported(source.servers), await known(source.servers)

    async def scenario(faults: Faults) -> Any:
        world = CorrectedGallery(faults)
        faults.begin()
        change = await imported(world, archive)
        for _ in range(3):
            await world.settle()
        assert change.status == "applied"
        assert await known(world.servers) == expected
        await assert_told(world)
        left = await world.servers.left(without=["suggestions", "galleries", "installation"])
        return left["documents"], [key for key in left["objects"] if not key.startswith("archives/")]

    assert await at_every_moment(scenario) > 20


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
async def test_any_gallery_comes_out_as_it_went_in(steps: list[tuple[str, int, int]]) -> None:
    """Whatever was done to it; there, and in a copy, every decision is taken back as here."""
    hands = Hands(CorrectedGallery())
    for step in steps:
        await hands.do(*step)
    here = hands.gallery
    if not await here.servers.stored.galleries.count():
        return
    await here.settle()
    archive, elsewhere = await exported(here.servers), CorrectedGallery()
    assert (await imported(elsewhere, archive)).status == "applied"
    assert await known(elsewhere.servers) == await known(here.servers)
    assert await elsewhere.shown() == await elsewhere.at_once()
    await assert_told(elsewhere)
    for number, change in enumerate(hands.changes):
        outcomes = []
        for world in (here, elsewhere):
            world.count_orders_from(1_000 + number)
            undone = await world.undo(change)
            outcomes.append((undone.status, undone.error and undone.error.code))
        applied = await here.servers.stored.changes.get(change)
        assert applied is not None
        if applied.status == "applied":  # of what had failed nothing went along
            assert outcomes[0] == outcomes[1]
    await here.settle()
    await elsewhere.settle()
    assert await elsewhere.shown() == await here.shown()


async def test_a_gallery_that_was_deleted_comes_back_under_its_ids(gallery: CorrectedGallery) -> None:
    """By an archive of it; nothing is in the way of what goes on going."""
    archive, before = await exported(gallery.servers), await known(gallery.servers)
    assert (await gallery.order(DeleteGallery)).status == "applied"
    for _ in range(3):
        await gallery.settle()
    assert not any((await known(gallery.servers)).values())
    await ensure_gallery(gallery.servers.stored, G, gallery.servers.clock())
    again = await exported(gallery.servers)
    assert "delete_gallery" not in str(again)
    assert (await imported(gallery, archive)).status == "applied"
    assert await known(gallery.servers) == before
    for _ in range(3):
        await gallery.settle()
    assert await known(gallery.servers) == before
    assert await gallery.shown() == await gallery.at_once()


async def test_nothing_else_is_committed_while_an_import_is_under_way(gallery: CorrectedGallery) -> None:
    """Not by a process either that had read what is pending before; afterwards it is matched with everybody."""
    stored = gallery.servers.stored
    await stored.galleries.update(with_id(G), set_to(GalleryRecord.importing, "command:import"))
    before = await stored.appearances.find()
    await gallery.find("later", {0: 5.01})
    with pytest.raises(UnavailableError):
        await gallery.committer.commit(G)
    assert await stored.appearances.find() == before
    await stored.galleries.update(with_id(G), set_to(GalleryRecord.importing, None))
    await gallery.commit()
    assert await gallery.of("later") == await gallery.of("x")


async def test_old_archives_that_nobody_imports_are_taken_away(gallery: CorrectedGallery) -> None:
    """After a day; those that are waited for stay."""
    servers = gallery.servers
    long_ago = int(servers.now.timestamp()) - 2 * 24 * 3600
    servers.bucket.store(f"archives/{long_ago}-old.tar", b"old", "application/x-tar")
    servers.bucket.store(f"archives/{int(servers.now.timestamp())}-new.tar", b"new", "application/x-tar")
    await gallery.imports.sweep()
    assert [one.key.rpartition("-")[2] for one in await servers.bucket.list("archives/")] == ["new.tar"]


async def test_whoever_was_erased_is_in_no_archive(gallery: CorrectedGallery) -> None:
    """Neither an encoding nor a picture; where they were is, so that they stay out."""
    archive = await exported(gallery.servers)
    assert await gallery.servers.stored.persons.get("w:1:0") is None
    assert not any(name.startswith("crops/w/") for name in names_in(archive))
    elsewhere = CorrectedGallery()
    await imported(elsewhere, archive)
    assert await elsewhere.servers.stored.places.get("w:1:0") is not None
    assert await elsewhere.servers.stored.persons.find(with_id("w:1:0")) == []
    assert await elsewhere.servers.stored.persons.find(eq(PersonRecord.unmatched, True)) != []
