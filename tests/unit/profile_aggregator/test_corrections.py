"""What people decide by hand: it is done at once, outlives everything, and can be taken back."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from castlist.contract.box import Box
from castlist.contract.commands import AnswerSuggestion, Card, ChangeCard, SplitProfile
from castlist.contract.ids import crop_key
from castlist.contract.values import Sighting
from castlist.store.packed_tracks import kept, packed, unpacked
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.galleries import SuggestionRecord
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.persons import PersonRecord, TracksRecord
from castlist_identity.matching.auto_distance import auto_distance
from docs.examples.gallery_reader import GalleryCopy, GalleryReader
from testkit.corrected_gallery import CorrectedGallery
from testkit.faults import Faults, at_every_moment
from testkit.hands import STEPS, Hands


@pytest.fixture
async def gallery() -> CorrectedGallery:
    """Two people, Ann in a, b and c, Bea in x and y; both may appear in further videos."""
    made = CorrectedGallery()
    for video, value in (("a", 0.0), ("b", 0.05), ("c", 0.1), ("x", 5.0), ("y", 5.05)):
        await made.video(video, {0: value})
    return made


async def assert_whole(gallery: CorrectedGallery) -> None:
    """What is shown is what all decisions give at once, after a restart too, and what the events tell."""
    await gallery.settle()
    shown = await gallery.shown()
    assert shown == await gallery.at_once()
    copy, reader = GalleryCopy(), GalleryReader()
    for event in gallery.events():
        for one in reader.take(event):
            copy.apply(one)
    assert reader.missing is None
    profiles = {one.id: one for one in await gallery.servers.stored.profiles.find()}
    assert copy.profiles == {id: one.name for id, one in profiles.items()}
    pictures = {id: [one.person for one in profile.pictures] for id, profile in profiles.items() if profile.pictures}
    said_pictures: dict[str, list[str]] = {}
    for (id, _), event in copy.pictures.items():
        said_pictures[id] = sorted([*said_pictures.get(id, ()), *event["persons"]])
    assert said_pictures == pictures
    cards = {id: card for id, card in copy.cards.items() if any(card.values())}
    said = {id: _plain(one) for id, one in profiles.items()}
    assert cards == {id: card for id, card in said.items() if any(card.values())}


def _plain(profile: Any) -> dict[str, Any]:
    card = {name: getattr(profile, name) for name in (
        "external_id", "birth_date", "notes", "tags", "favourite", "hidden", "cover",
    )}  # fmt: skip
    return card | {"tags": list(card["tags"])}


async def test_a_card_is_written_field_by_field_and_taken_back(gallery: CorrectedGallery) -> None:
    """Each change keeps the fields that it does not name; taken back, what was before holds again."""
    ann = await gallery.of("a")
    first = await gallery.card(ann, name="Ann", tags=("guest",))
    assert (first.kind, first.status, first.profiles) == ("card", "applied", (ann,))
    second = await gallery.card(ann, name="Anna")
    await gallery.card(ann, notes="Speaks.", hidden=True)
    found = await gallery.profile(ann)
    assert (found.name, found.tags, found.notes, found.hidden) == ("Anna", ("guest",), "Speaks.", True)
    await assert_whole(gallery)
    assert (await gallery.undo(second)).status == "applied"
    assert (await gallery.profile(ann)).name == "Ann"
    await gallery.undo(first)
    found = await gallery.profile(ann)
    assert (found.name, found.tags, found.notes) == (None, (), "Speaks.")
    await assert_whole(gallery)


async def test_merged_profiles_are_one_under_the_id_that_was_named(gallery: CorrectedGallery) -> None:
    """However far apart they are, and though the other has more videos; who comes later joins them."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    made = await gallery.merge(bea, ann)
    assert (made.status, made.detail["into"], set(made.profiles)) == ("applied", bea, {ann, bea})
    assert await gallery.videos_of(bea) == ["a", "b", "c", "x", "y"]
    await gallery.video("d", {0: 0.02})
    await gallery.video("z", {0: 5.02})
    assert await gallery.videos_of(bea) == ["a", "b", "c", "d", "x", "y", "z"]
    await assert_whole(gallery)


async def test_a_merge_taken_back_gives_both_their_ids_names_and_cards_again(gallery: CorrectedGallery) -> None:
    """Those who came meanwhile go with whom they are like."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    await gallery.card(ann, name="Ann", notes="A.")
    await gallery.card(bea, name="Bea", notes="B.")
    made = (await gallery.profile(bea)).created_at
    change = await gallery.merge(ann, bea)
    assert (await gallery.profile(ann)).name == "Ann"
    await gallery.card(ann, name="Annabea")
    await gallery.video("z", {0: 5.02})
    back = await gallery.undo(change)
    assert (back.status, back.undoes) == ("applied", change.id)
    assert await gallery.videos_of(ann) == ["a", "b", "c"]
    assert await gallery.videos_of(bea) == ["x", "y", "z"]
    one, other = await gallery.profile(ann), await gallery.profile(bea)
    assert (one.name, one.notes, other.name, other.notes) == ("Annabea", "A.", "Bea", "B.")
    assert other.created_at == made
    stored = await gallery.servers.stored.changes.get(change.id)
    assert stored is not None
    assert stored.undone_by == back.id
    await assert_whole(gallery)


async def test_taking_back_is_taken_back(gallery: CorrectedGallery) -> None:
    """The decision holds again; twice in a row is a conflict that names what took it back."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    change = await gallery.merge(ann, bea)
    first = await gallery.undo(change)
    again = await gallery.undo(change)
    assert (again.status, again.error and again.error.code) == ("failed", "conflict")
    assert again.error is not None
    assert again.error.changes == (first.id,)
    second = await gallery.undo(first)
    assert second.status == "applied"
    assert await gallery.videos_of(ann) == ["a", "b", "c", "x", "y"]
    third = await gallery.undo(second)
    assert third.status == "applied"
    assert await gallery.videos_of(ann) == ["a", "b", "c"]
    await assert_whole(gallery)


async def test_what_is_split_off_goes_to_a_new_profile_without_the_name(gallery: CorrectedGallery) -> None:
    """It stays apart whatever comes, also where it is the larger part; the id stays with the rest."""
    ann = await gallery.of("a")
    await gallery.card(ann, name="Ann")
    made = await gallery.split(ann, "b", "c")
    new = made.detail["into"]
    assert await gallery.videos_of(ann) == ["a"]
    assert await gallery.videos_of(new) == ["b", "c"]
    assert ((await gallery.profile(ann)).name, (await gallery.profile(new)).name) == ("Ann", None)
    for n in range(4):
        await gallery.video(f"more{n}", {0: 0.02 * n})
    assert await gallery.of("a") != await gallery.of("b") == await gallery.of("c")
    await assert_whole(gallery)
    assert (await gallery.undo(made)).status == "applied"
    assert await gallery.of("a") == await gallery.of("b") == ann
    await assert_whole(gallery)


async def test_tracks_are_split_off_as_far_as_they_are_whole_people(gallery: CorrectedGallery) -> None:
    """Those that a person is made of go with it; a part of one, and what is not the profile's, is refused."""
    ann = await gallery.of("a")
    made = await gallery.order(SplitProfile, profile_id=ann, track_ids=("b:1:0:0",))
    assert made.status == "applied"
    assert await gallery.videos_of(made.detail["into"]) == ["b"]
    unknown = await gallery.order(SplitProfile, profile_id=ann, track_ids=("a:1:0:7",))
    nothing = await gallery.order(SplitProfile, profile_id=ann)
    await gallery.servers.stored.persons.update(
        with_id("c:1:0"), set_to(PersonRecord.tracks, np.array([(0, 0), (1, 0)], "<u4").tobytes())
    )
    part = await gallery.order(SplitProfile, profile_id=ann, track_ids=("c:1:1:0",))
    whole = await gallery.order(SplitProfile, profile_id=ann, track_ids=("c:1:1:0", "c:1:0:0"))
    codes = [one.error.code if one.error else one.status for one in (unknown, nothing, part, whole)]
    assert codes == ["not_found", "invalid", "invalid", "applied"]
    await assert_whole(gallery)


async def test_what_is_split_off_goes_to_another_profile(gallery: CorrectedGallery) -> None:
    """It has that one's name, and back where it came from it has the old one."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    await gallery.card(ann, name="Ann")
    await gallery.card(bea, name="Bea")
    made = await gallery.split(ann, "c", into=bea)
    assert made.detail["into"] == bea
    assert await gallery.videos_of(bea) == ["c", "x", "y"]
    assert (await gallery.profile(bea)).name == "Bea"
    await assert_whole(gallery)
    await gallery.card(bea, name="Beatrice")
    await gallery.undo(made)
    assert await gallery.videos_of(ann) == ["a", "b", "c"]
    assert ((await gallery.profile(ann)).name, (await gallery.profile(bea)).name) == ("Ann", "Beatrice")
    await assert_whole(gallery)


async def test_who_was_rejected_does_not_come_back(gallery: CorrectedGallery) -> None:
    """By no later video, by no other run; two who were rejected may be one."""
    ann = await gallery.of("a")
    await gallery.reject(ann, "b")
    await gallery.reject(ann, "c")
    assert await gallery.videos_of(ann) == ["a"]
    assert await gallery.of("b") == await gallery.of("c"), "the two were never said to be two"
    await gallery.video("d", {0: 0.03})
    await gallery.video("b", {0: 0.04}, epoch=2)
    assert await gallery.of("b") != await gallery.of("a")
    await assert_whole(gallery)


async def test_what_is_no_face_is_in_no_profile(gallery: CorrectedGallery) -> None:
    """Nor after another run; taken back, it is where it was."""
    ann = await gallery.of("a")
    made = await gallery.reject(ann, "b", "not_a_face")
    assert await gallery.videos_of(ann) == ["a", "c"]
    await gallery.video("b", {0: 0.05, 3: 9.0}, epoch=2)
    await gallery.settle()
    assert await gallery.videos_of(ann) == ["a", "c"]
    assert await gallery.videos_of(await gallery.of("b", 3)) == ["b"]
    await assert_whole(gallery)
    assert (await gallery.undo(made)).status == "applied"
    assert await gallery.videos_of(ann) == ["a", "b", "c"]
    await assert_whole(gallery)


async def test_a_deleted_profile_comes_back_with_its_id_and_name(gallery: CorrectedGallery) -> None:
    """Until then its id leads nowhere, and somebody like it is somebody new."""
    ann = await gallery.of("a")
    await gallery.card(ann, name="Ann", notes="A.")
    made = await gallery.delete(ann)
    assert made.status == "applied"
    assert await gallery.servers.stored.profiles.get(ann) is None
    await gallery.video("d", {0: 0.02})
    new = await gallery.of("d")
    assert new != ann
    await assert_whole(gallery)
    await gallery.undo(made)
    found = await gallery.profile(ann)
    assert (found.name, found.notes) == ("Ann", "A.")
    assert {"a", "b", "c"} <= set(await gallery.videos_of(ann))
    await assert_whole(gallery)


async def test_of_an_erased_person_nothing_is_left_that_could_find_them(gallery: CorrectedGallery) -> None:
    """No encoding, no crop, no name, in whatever is stored; a later run over the video leaves none either."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    await gallery.card(ann, name="Ann Unmistakable", notes="Unmistakable.")
    await gallery.card(bea, name="Bea")
    await gallery.undo(await gallery.merge(ann, bea))
    erased = await gallery.delete(ann, erase=True)
    assert (erased.kind, erased.status) == ("erase", "applied")
    for _ in range(2):
        await gallery.settle()
    change = await gallery.servers.stored.changes.get(erased.id)
    assert change is not None
    assert change.receipt is not None
    assert (change.receipt["persons"], change.receipt["crops"]) == (3, 3)
    assert {one["where"] for one in change.receipt["stays"]} == {
        "profile.events", "dead letters", "ledger", "oplog, journal and backups"
    }  # fmt: skip
    await gallery.video("b", {0: 0.05, 2: 9.0}, epoch=2)
    for _ in range(2):
        await gallery.settle()
    left = await gallery.servers.left()
    assert "Unmistakable" not in str(left["documents"])
    assert sorted(left["objects"]) == [
        "crops/b/2/0-d1-1.jpg", "crops/x/1/0-d1-0.jpg", "crops/y/1/0-d1-0.jpg"
    ]  # fmt: skip
    assert sorted(left["documents"]["persons"]) == ["b:2:1", "x:1:0", "y:1:0"]
    assert await gallery.servers.stored.erasures.count() == 0
    assert (await gallery.profile(bea)).name == "Bea"
    again = await gallery.undo(erased)
    assert again.error is not None
    assert again.error.code == "conflict"
    await assert_whole(gallery)


async def test_an_erasure_waits_for_what_is_still_to_be_said(gallery: CorrectedGallery) -> None:
    """A command with the name that Kafka has not got yet: nothing goes before it, and the receipt counts it all."""
    ann = await gallery.of("a")
    named = await gallery.card(ann, name="Ann")
    stored = gallery.servers.stored
    waiting = OutboxRecord(id=named.id, topic="gallery.commits", key="g", value="Ann", created_at=named.at, order=0)
    await stored.outbox.insert(waiting)
    erased = await gallery.delete(ann, erase=True)
    await gallery.settle()
    change = await stored.changes.get(erased.id)
    assert change is not None
    assert change.receipt is None
    await stored.outbox.update(with_id(named.id), set_to(OutboxRecord.published_at, named.at))
    await gallery.settle()
    change = await stored.changes.get(erased.id)
    assert change is not None
    assert change.receipt is not None
    assert change.receipt["crops"] == 3
    assert await stored.outbox.ids() == []


async def test_a_video_without_the_person_keeps_the_decision_until_a_later_run_finds_them(
    gallery: CorrectedGallery,
) -> None:
    """A detector that sees less loses nothing that was decided."""
    ann = await gallery.of("a")
    await gallery.reject(ann, "b")
    await gallery.video("b", {}, epoch=2)
    await gallery.settle()
    await gallery.video("b", {0: 0.05}, epoch=3)
    assert await gallery.of("b") != await gallery.of("a")
    await assert_whole(gallery)


async def test_contradictions_are_refused_and_name_what_they_contradict(gallery: CorrectedGallery) -> None:
    """A is B, B is not A: in either order, and nothing is changed."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    one = await gallery.merge(ann, bea)
    torn = await gallery.split(ann, "x", "y")
    assert torn.error is not None
    assert (torn.status, torn.error.code, torn.error.changes) == ("failed", "conflict", (one.id,))
    await gallery.undo(one)
    out = await gallery.reject(ann, "b")
    joined = await gallery.merge(ann, await gallery.of("b"))
    assert joined.error is not None
    assert (joined.error.code, joined.error.changes) == ("conflict", (out.id,))
    await assert_whole(gallery)


async def test_a_stranger_in_a_merged_profile_can_still_be_taken_out(gallery: CorrectedGallery) -> None:
    """That two profiles are one says nothing of who was in one of them by mistake."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    await gallery.merge(ann, bea)
    assert (await gallery.reject(ann, "b")).status == "applied"
    assert await gallery.videos_of(ann) == ["a", "c", "x", "y"]
    await assert_whole(gallery)


async def test_a_change_that_a_later_one_rests_on_stays(gallery: CorrectedGallery) -> None:
    """The answer names the later one; without it, it goes."""
    ann = await gallery.of("a")
    split = await gallery.split(ann, "b")
    name = await gallery.card(split.detail["into"], name="Bob")
    refused = await gallery.undo(split)
    assert refused.error is not None
    assert (refused.error.code, refused.error.changes) == ("conflict", (name.id,))
    await gallery.undo(name)
    assert (await gallery.undo(split)).status == "applied"
    await assert_whole(gallery)


async def test_somebody_is_there_although_no_face_was_found(gallery: CorrectedGallery) -> None:
    """In a video where others are, or nobody is: it stays whatever is done again, and goes where the person goes."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    await gallery.card(ann, name="Ann")
    await gallery.video("empty", {})
    whole = await gallery.presence(ann, "empty")
    await gallery.presence(ann, "x", 3.0, 8.5)
    assert await gallery.videos_of(ann) == ["a", "b", "c", "empty", "x"]
    found = await gallery.servers.stored.appearances.find()
    appearances = {one.video_id: one for one in found if one.profile_id == ann}
    by_hand = appearances["x"]
    assert (by_hand.manual, by_hand.faces, by_hand.crop, by_hand.seconds) == (True, 0, None, 5.5)
    assert not appearances["a"].manual
    for video in ("empty", "x"):
        await gallery.video(video, {0: 5.0}, epoch=2)
    await gallery.settle()
    assert await gallery.videos_of(ann) == ["a", "b", "c", "empty", "x"]
    assert await gallery.videos_of(bea) == ["empty", "x", "y"]
    await assert_whole(gallery)
    merged = await gallery.merge(bea, ann)
    assert await gallery.videos_of(bea) == ["a", "b", "c", "empty", "x", "y"]
    await gallery.undo(merged)
    back = await gallery.undo(whole)
    assert await gallery.videos_of(ann) == ["a", "b", "c", "x"]
    await gallery.undo(back)
    for video in ("a", "b", "c"):
        await gallery.delete_video(video)
    assert await gallery.videos_of(ann) == ["empty", "x"]
    assert (await gallery.profile(ann)).name == "Ann"
    await assert_whole(gallery)
    await gallery.delete_video("x")
    await gallery.delete_video("empty")
    assert await gallery.servers.stored.profiles.get(ann) is None
    await assert_whole(gallery)


async def test_what_cannot_be_meant_is_refused(gallery: CorrectedGallery) -> None:
    """Nobody, oneself, everything, elsewhere, twice."""
    ann = await gallery.of("a")
    change = await gallery.card(ann, name="Ann")
    refused = {
        "nobody": await gallery.card("nobody", name="No"),
        "oneself": await gallery.merge(ann, ann),
        "others who are nobody": await gallery.merge(ann, "nobody"),
        "everything": await gallery.split(ann, "a", "b", "c"),
        "another video": await gallery.split(ann, "x"),
        "into itself": await gallery.split(ann, "a", into=ann),
        "another's appearance": await gallery.reject(ann, "x"),
        "in no video": await gallery.presence(ann, "nothing"),
        "ends before it begins": await gallery.presence(ann, "x", 3.0, 2.0),
        "an unknown change": await gallery.undo("unknown"),
        "what cannot be taken back": await gallery.undo((await gallery.delete_video("y")).id),
    }
    codes = {what: one.error.code if one.error else one.status for what, one in refused.items()}
    assert codes == {
        "nobody": "not_found",
        "oneself": "invalid",
        "others who are nobody": "not_found",
        "everything": "invalid",
        "another video": "not_found",
        "into itself": "invalid",
        "another's appearance": "not_found",
        "in no video": "not_found",
        "ends before it begins": "invalid",
        "an unknown change": "not_found",
        "what cannot be taken back": "conflict",
    }
    assert (await gallery.undo(change)).status == "applied"
    await assert_whole(gallery)


async def test_an_answered_suggestion_is_a_decision(gallery: CorrectedGallery) -> None:
    """Same: they become the more prominent one. Different: whatever comes they stay two."""
    await gallery.video("d", {0: 0.62, 1: 7.0})
    ann, other = await gallery.of("a"), await gallery.of("d")
    suggestion = SuggestionRecord(id="s", gallery="g", profiles=(ann, other), distance=0.55)
    await gallery.servers.stored.suggestions.insert(suggestion)
    same = await gallery.order(AnswerSuggestion, suggestion_id="s", answer="same")
    assert (same.kind, same.status, same.detail["into"]) == ("answer", "applied", ann)
    assert await gallery.of("a") == await gallery.of("d")
    await assert_whole(gallery)
    await gallery.undo(same)
    assert await gallery.of("d") == other
    await gallery.servers.stored.suggestions.replace(suggestion)
    assert (await gallery.order(AnswerSuggestion, suggestion_id="s", answer="different")).status == "applied"
    for n in range(3):
        await gallery.video(f"between{n}", {0: 0.3})
    assert await gallery.of("a") != await gallery.of("d")
    await assert_whole(gallery)


async def test_a_card_stays_with_the_person_through_what_the_machine_does(gallery: CorrectedGallery) -> None:
    """Two profiles that a later video makes one keep what was known of either; the later word holds."""
    ann = await gallery.of("a")
    await gallery.video("d", {0: 0.62})
    other = await gallery.of("d")
    assert other != ann
    await gallery.card(ann, notes="A.", external_id="1")
    await gallery.card(other, notes="D.", tags=("guest",))
    for n in range(6):
        await gallery.video(f"between{n}", {0: 0.35})
    (one,) = {await gallery.of("a"), await gallery.of("d")}
    found = await gallery.profile(one)
    assert (found.notes, found.external_id, found.tags) == ("D.", "1", ("guest",))
    await assert_whole(gallery)


async def test_somebody_who_was_slower_is_told(gallery: CorrectedGallery) -> None:
    """By the revision that a decision was based on; an appearance that arrived is no conflict."""
    ann = await gallery.of("a")
    first = await gallery.card(ann, name="Ann")
    revision = (await gallery.profile(ann)).revision
    assert revision == first.gallery_version
    await gallery.video("d", {0: 0.03})
    assert (await gallery.profile(ann)).revision == revision
    card: dict[str, Any] = {"profile_id": ann, "changed": ("name",), "if_revision": revision}
    assert (await gallery.order(ChangeCard, card=Card(name="Anna"), **card)).status == "applied"
    slower = await gallery.order(ChangeCard, card=Card(name="Anne"), **card)
    assert slower.error is not None
    assert (slower.error.code, (await gallery.profile(ann)).name) == ("outdated", "Anna")


async def test_somebody_who_is_enrolled_is_found_from_then_on(gallery: CorrectedGallery) -> None:
    """A profile of its own without a video, by pictures that are far apart; whoever is like one of them joins it."""
    change = await gallery.enrol("Cleo", 9.0, 9.6)
    assert (change.kind, change.status) == ("enrol", "applied")
    (cleo,) = change.profiles
    found = await gallery.profile(cleo)
    assert (found.name, found.video_count, found.last_seen, len(found.pictures)) == ("Cleo", 0, None, 2)
    await assert_whole(gallery)
    await gallery.video("d", {0: 9.05})
    await gallery.video("e", {0: 9.65})
    assert await gallery.videos_of(cleo) == ["d", "e"]
    found = await gallery.profile(cleo)
    assert (found.video_count, found.last_seen is None, len(found.pictures)) == (2, False, 2)
    await assert_whole(gallery)
    await gallery.delete_video("d")
    await gallery.delete_video("e")
    assert (await gallery.profile(cleo)).name == "Cleo"
    await assert_whole(gallery)


async def test_whoever_is_there_already_gets_the_name_and_the_pictures(gallery: CorrectedGallery) -> None:
    """The nameless profile of who is enrolled keeps its id; taken back, it has no name and no picture."""
    ann = await gallery.of("a")
    change = await gallery.enrol("Ann", 0.03)
    assert change.profiles == (ann,)
    found = await gallery.profile(ann)
    assert (found.name, found.video_count, len(found.pictures)) == ("Ann", 3, 1)
    assert found.revision == change.gallery_version
    await assert_whole(gallery)
    await gallery.undo(change)
    found = await gallery.profile(ann)
    assert (found.name, found.video_count, found.pictures) == (None, 3, ())
    await assert_whole(gallery)


async def test_a_picture_is_never_doubted() -> None:
    """That it shows somebody is what a person said; a video that only just fits its profile may be looked at."""
    gallery = CorrectedGallery()
    await gallery.enrol("Cleo", 9.0)
    for video, value in (("a", 0.0), ("b", 0.48), ("c", 9.48)):
        await gallery.video(video, {0: value})
    await gallery.settle()
    assert await gallery.of("a") == await gallery.of("b")
    assert (await gallery.profile(await gallery.of("c"))).name == "Cleo"
    doubted = [one.videos for one in await gallery.servers.stored.suggestions.find() if one.kind == "two"]
    assert doubted == [("b",)]


async def test_an_enrolment_is_taken_back_and_put_again(gallery: CorrectedGallery) -> None:
    """The profile goes, and comes back under its id, with its name; where somebody has joined meanwhile, they stay."""
    change = await gallery.enrol("Cleo", 9.0)
    (cleo,) = change.profiles
    back = await gallery.undo(change)
    assert back.status == "applied"
    assert cleo not in await gallery.servers.stored.profiles.ids()
    await assert_whole(gallery)
    await gallery.undo(back)
    assert ((await gallery.profile(cleo)).name, len((await gallery.profile(cleo)).pictures)) == ("Cleo", 1)
    await gallery.video("d", {0: 9.05})
    await gallery.undo(change)
    assert await gallery.videos_of(cleo) == ["d"]
    await assert_whole(gallery)


async def test_of_an_erased_known_person_the_pictures_go_too(gallery: CorrectedGallery) -> None:
    """Crops and encodings; the receipt counts them."""
    (cleo,) = (await gallery.enrol("Cleo", 9.0, 9.1)).profiles
    await gallery.delete(cleo, erase=True)
    await gallery.settle()
    assert not [info.key for info in await gallery.servers.bucket.list("crops/enrolled")]
    assert not [id for id in await gallery.servers.stored.persons.ids() if "enrolled" in id]
    await assert_whole(gallery)


@pytest.mark.slow
async def test_who_is_only_counted_is_never_matched(gallery: CorrectedGallery) -> None:
    """Each is somebody of their own, whoever they look like, and nothing is kept that could match them; others are
    matched as ever, and what people say by hand holds."""
    for n in range(60):
        await gallery.video(f"counted{n}", {0: 0.0, 1: 5.0}, identified=False)
    await gallery.video("d", {0: 0.02})
    counted = [await gallery.of(f"counted{n}", place) for n in range(60) for place in (0, 1)]
    assert len(set(counted)) == 120
    assert await gallery.videos_of(await gallery.of("a")) == ["a", "b", "c", "d"]
    (stored,) = await gallery.servers.stored.galleries.find()
    assert stored.distance in (None, auto_distance(6))  # as if they were not there
    people = await gallery.servers.stored.persons.find()
    assert {one.video_id.startswith("counted"): bool(one.mean) for one in people} == {True: False, False: True}
    merged = await gallery.merge(counted[0], counted[2])
    assert merged.status == "applied"
    assert await gallery.videos_of(counted[0]) == ["counted0", "counted1"]
    await assert_whole(gallery)


@pytest.mark.parametrize("by", ["profile", "picture"])
async def test_who_objects_is_found_and_never_shown(gallery: CorrectedGallery, by: str) -> None:
    """What is known of them goes but for one encoding; nobody like them comes to a profile, their crops and tracks go,
    others stay. Withdrawn, they are known again in what comes then."""
    ann = await gallery.of("a")
    objection = await gallery.object(ann if by == "profile" else 0.02)
    assert (objection.kind, objection.status) == ("objection", "applied")
    await gallery.settle()
    stored = gallery.servers.stored
    receipt = (await stored.changes.get(objection.id) or objection).receipt
    assert receipt is not None
    assert receipt["persons"] == 3
    await gallery.video("d", {0: 0.03, 1: 5.02})
    await gallery.settle()
    assert await gallery.task_status("d", 1) == "done"
    assert sorted(await stored.persons.ids()) == ["d:1:1", "x:1:0", "y:1:0"]
    crops = [info.key for info in await gallery.servers.bucket.list("crops/d/")]
    assert crops == [crop_key("d", 1, 0, 1, "d1")]
    assert len(await stored.objections.find()) == 1
    refused = await gallery.enrol("Ann", 0.05)
    assert refused.error is not None
    assert (refused.error.code, refused.error.changes) == ("conflict", (objection.id,))
    await gallery.settle()
    assert not await gallery.servers.bucket.list("crops/enrolled")
    undone = await gallery.undo(objection)
    assert undone.error is not None
    assert undone.error.code == "conflict"
    await assert_whole(gallery)
    assert (await gallery.withdraw(objection)).status == "applied"
    assert not await stored.objections.find()
    await gallery.video("e", {0: 0.03})
    assert await gallery.videos_of(await gallery.of("e")) == ["e"]
    await assert_whole(gallery)


async def test_an_objection_by_a_picture_of_nobody_who_is_known_holds_for_who_comes(gallery: CorrectedGallery) -> None:
    """There is a receipt, too; withdrawn twice is refused."""
    objection = await gallery.object(9.0)
    await gallery.settle()
    change = await gallery.servers.stored.changes.get(objection.id)
    assert change is not None
    assert change.receipt is not None
    assert change.receipt["persons"] == 0
    gallery.start()
    await gallery.video("d", {0: 9.1})
    assert not await gallery.servers.stored.appearances.ids(eq(AppearanceRecord.video_id, "d"))
    await gallery.withdraw(objection)
    again = await gallery.withdraw(objection)
    assert again.error is not None
    assert again.error.code == "not_found"
    await assert_whole(gallery)


async def test_the_tracks_of_who_was_erased_are_forgotten(gallery: CorrectedGallery) -> None:
    """Where they were in the picture, moment by moment; those of others in the same video stay."""
    await gallery.video("d", {0: 0.03, 1: 5.02})
    run = TracksRecord(id="d:1:00000", start=0.0, end=1.0, tracks=two_tracks())
    stored = gallery.servers.stored
    await stored.tracks.insert(run)
    await gallery.delete(await gallery.of("a"), erase=True)
    await gallery.settle()
    (left,) = await stored.tracks.find()
    assert [(one.chunk, one.track) for one in unpacked(left.tracks)] == [(0, 1)]
    await gallery.delete(await gallery.of("x"), erase=True)
    await gallery.settle()
    assert not await stored.tracks.find()


def two_tracks() -> bytes:
    """Those of the two people of a video here."""
    seen = [Sighting(0.2 * n, Box(0, 0, 80, 80), 1.0) for n in range(3)]
    both = [one for n in (0, 1) if (one := kept(0, n, seen)) is not None]
    (part,) = packed(both)
    return part.tracks


# --- any sequence -----------------------------------------------------------------------------------------------------

EXAMPLES = 1_000 if os.environ.get("CASTLIST_FAULTS") == "1" else 60


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
async def test_any_sequence_comes_to_what_its_decisions_give_at_once(steps: list[tuple[str, int, int]]) -> None:
    """Videos, videos done again, deleted ones, corrections, and taking any of it back, in whatever order."""
    hands = Hands(CorrectedGallery())
    for step in steps:
        await hands.do(*step)
    if await hands.gallery.servers.stored.galleries.count():
        await assert_whole(hands.gallery)


async def put_right(gallery: CorrectedGallery) -> None:
    """A merge, a split, a deletion and what takes them back."""
    ann, bea = await gallery.of("a"), await gallery.of("x")
    merged = await gallery.merge(ann, bea)
    await gallery.card(ann, name="Ann")
    await gallery.undo(merged)
    split = await gallery.split(ann, "b")
    await gallery.delete(split.detail["into"])
    await gallery.delete(bea, erase=True)


async def known_and_objecting(gallery: CorrectedGallery) -> None:
    """Somebody is enrolled, and no more; somebody objects, and is in a later video."""
    enrolled = await gallery.enrol("Cleo", 9.0)
    await gallery.undo(enrolled)
    await gallery.object(0.02)
    await gallery.video("late", {0: 0.03})


@pytest.mark.slow
@pytest.mark.parametrize("decide", [put_right, known_and_objecting])
async def test_a_correction_is_done_once_wherever_a_process_dies(
    decide: Callable[[CorrectedGallery], Awaitable[None]],
) -> None:
    """At every moment of what people decide: the end is the same."""

    async def scenario(faults: Faults) -> Any:
        gallery = CorrectedGallery(faults)
        for video, value in (("a", 0.0), ("b", 0.05), ("x", 5.0)):
            await gallery.video(video, {0: value})
        faults.begin()
        await decide(gallery)
        for _ in range(2):
            await gallery.settle()
        await assert_whole(gallery)
        # Suggestions are looked for now and then, whatever was committed.
        left = await gallery.servers.left(without=["suggestions", "galleries"])
        for change in left["documents"]["changes"].values():
            if change["receipt"]:
                del change["receipt"]["at"], change["receipt"]["crops"]  # some may have been gone before
        return left["documents"], left["objects"]

    assert await at_every_moment(scenario) > 20
