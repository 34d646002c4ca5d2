"""A gallery that grows and shrinks by commits: same people as at once, ids that stick, differences that add up."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.contract.box import Box
from castlist.contract.vectors import Vector
from castlist_identity.decisions.decision import Decision
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.domain import GalleryPerson, PairConstraints, SightedAt
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange, GalleryDiff, PersonMove, ProfileMerge, ProfileSplit
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.galleries.video_update import VideoUpdate, change_for_updates
from castlist_identity.matching.partition import partition

T = 0.48


def at(*coordinates: float) -> Vector:
    encoding = np.zeros(128, dtype=np.float32)
    encoding[: len(coordinates)] = coordinates
    return encoding


def member(key: str, *coordinates: float, apart: Iterable[str] = (), name: str | None = None) -> GalleryPerson:
    return GalleryPerson(key, key.split(":")[0], at(*coordinates), 0.0, frozenset(apart), name)


class Committed:
    """A gallery with the bookkeeping of its caller: versions, and what a reader of the differences would know."""

    def __init__(self, distance: float = T) -> None:
        self.gallery = Gallery(distance)
        self.decisions = DecisionSet()
        self.versions = count(1)
        self.folded: dict[str, str] = {}
        self.appearances: dict[tuple[str, str], tuple[str, ...]] = {}
        self.names: dict[str, str | None] = {}

    def commit(self, change: GalleryChange, bound: int | None = None) -> GalleryDiff:
        version = next(self.versions)
        made = self.gallery.propose(change, lambda key: f"p{version}-{key}", version, bound)
        self.gallery.apply(made)
        self._fold(made)
        return made

    def add(self, *members: GalleryPerson) -> GalleryDiff:
        return self.commit(GalleryChange(inserted=members))

    def remove(self, *keys: str) -> GalleryDiff:
        return self.commit(GalleryChange(removed=frozenset(keys)))

    @property
    def clusters(self) -> list[tuple[str, ...]]:
        return sorted(tuple(sorted(keys)) for keys in self.gallery.persons.values())

    def _fold(self, made: GalleryDiff) -> None:
        for key, profile in made.left:
            assert self.folded.pop(key) == profile
        for move in made.moved:
            assert self.folded[move.person] == move.old
            self.folded[move.person] = move.new
        self.folded.update(made.appeared)
        assert self.folded == self.gallery.profile_of
        for pair, keys in made.appearances.items():
            if keys:
                self.appearances[pair] = keys
            else:
                del self.appearances[pair]
        expected: dict[tuple[str, str], set[str]] = defaultdict(set)
        for key, profile in self.folded.items():
            expected[profile, self.gallery.members[key].video].add(key)
        assert self.appearances == {pair: tuple(sorted(keys)) for pair, keys in expected.items()}
        for profile, videos in made.videos.items():
            assert videos == len({video for one, video in self.appearances if one == profile})


def world(seed: int, videos: int = 14) -> list[tuple[GalleryPerson, ...]]:
    """The persons of some videos: a few people, some near each other, several in one frame."""
    chance = np.random.default_rng(seed)
    people = chance.normal(0, 0.035, (6, 128))
    made = []
    for v in range(videos):
        present = chance.choice(6, size=chance.integers(1, 4), replace=False)
        keys = [f"v{v:02}:1:{n}" for n in range(len(present))]
        made.append(
            tuple(
                GalleryPerson(
                    keys[n],
                    f"v{v:02}",
                    (people[who] + chance.normal(0, 0.024, 128)).astype(np.float32),
                    float(chance.choice([0.0, 0.01, 0.04])),
                    frozenset(keys) - {keys[n]} if chance.uniform() < 0.5 else frozenset(),
                )
                for n, who in enumerate(present)
            )
        )
    return made


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_in_any_batches_gives_the_partition_of_everything_at_once(
    seed: int, chance: random.Random, batch: int
) -> None:
    """With videos that come, go, and come again in between."""
    videos = world(seed)
    chance.shuffle(videos)
    committed = Committed()
    here: dict[str, tuple[GalleryPerson, ...]] = {}
    waiting = list(videos)
    while waiting:
        taken, waiting = waiting[:batch], waiting[batch:]
        for video in taken:
            here[video[0].video] = video
        change = GalleryChange(inserted=tuple(person for video in taken for person in video))
        if chance.random() < 0.4:
            gone = chance.choice(sorted(here))
            if here[gone] not in taken:
                waiting.append(here.pop(gone))
                change = replace(change, removed=committed.gallery.persons_of(gone))
        committed.commit(change)
        everybody = [person for video in here.values() for person in video]
        assert committed.clusters == partition(everybody, T)
    assert committed.clusters == partition([person for video in videos for person in video], T)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_decisions_at_any_time_give_the_same_partition(seed: int, chance: random.Random) -> None:
    """Links made before, between and after the videos they are about."""
    videos = world(seed)
    keys = sorted(person.key for video in videos for person in video)
    pairs = [tuple(sorted(chance.sample(keys, 2))) for _ in range(6)]
    links = PairConstraints(
        must_link=frozenset((a, b) for a, b in pairs[:3]),
        cannot_link=frozenset((a, b) for a, b in pairs[3:]),
    )
    committed = Committed()
    steps: list[GalleryChange] = [GalleryChange(inserted=video) for video in videos]
    steps.insert(chance.randrange(len(steps) + 1), GalleryChange(links=links))
    for change in steps:
        committed.commit(change)
    assert committed.clusters == partition([person for video in videos for person in video], T, links)


def test_persons_added_one_by_one_are_where_they_are_when_added_at_once() -> None:
    """Greedy matching would put b with a, and c alone: b is nearer to c."""
    persons = [member("a:1:0", 0.0), member("b:1:0", 0.47), member("c:1:0", 0.57)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        committed = Committed()
        for i in order:
            committed.add(persons[i])
        assert committed.clusters == [("a:1:0",), ("b:1:0", "c:1:0")]


def test_proposing_changes_nothing() -> None:
    """A transaction that is lost leaves the gallery as it was, and proposing again gives the same."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0))
    change = GalleryChange(inserted=(member("b:1:0", 0.1),), removed=frozenset({"a:1:0"}))
    first = committed.gallery.propose(change, str, 2)
    assert committed.clusters == [("a:1:0",)]
    again = committed.gallery.propose(change, str, 2)
    assert (first.appeared, first.left, first.founders) == (again.appeared, again.left, again.founders)


def test_a_new_profile_is_named_after_its_smallest_key() -> None:
    """Its id is made once, from the key that founds it; a second person of the profile makes none."""
    committed = Committed()
    made = committed.add(member("b:1:0", 0.1), member("a:1:0", 0.0))
    (profile,) = made.created
    assert (profile.id, profile.founder, profile.created) == ("p1-a:1:0", "a:1:0", 1)
    assert committed.add(member("c:1:0", 0.05)).created == ()


def test_a_loaded_gallery_goes_on_as_the_running_one() -> None:
    """Restarting between two commits makes no difference."""
    videos = world(3)
    running, half = Committed(), Committed()
    for video in videos[:7]:
        running.add(*video)
        half.add(*video)
    restarted = Committed()
    restarted.versions = half.versions
    known = half.gallery
    restarted.gallery.load(
        [(known.members[key], profile) for key, profile in known.profile_of.items()], known.profiles.values()
    )
    restarted.folded, restarted.appearances = half.folded, half.appearances
    for video in videos[7:]:
        running.add(*video)
        restarted.add(*video)
    assert restarted.gallery.profile_of == running.gallery.profile_of
    assert restarted.gallery.profiles == running.gallery.profiles


def test_a_bridge_merges_two_profiles_and_the_larger_keeps_its_id() -> None:
    """The smaller one's persons move, its id leads to the larger one from then on."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0))
    committed.add(member("b:1:0", 0.52))
    committed.add(member("c:1:0", 0.54))
    made = committed.add(member("d:1:0", 0.2), member("e:1:0", 0.26))
    assert made.merged == (ProfileMerge("p1-a:1:0", "p2-b:1:0"),)
    assert made.moved == (PersonMove("a:1:0", "p1-a:1:0", "p2-b:1:0"),)
    assert made.appeared == (("d:1:0", "p2-b:1:0"), ("e:1:0", "p2-b:1:0"))
    assert (made.created, made.split, made.emptied) == ((), (), ())
    assert committed.gallery.redirect("p1-a:1:0") == "p2-b:1:0"


def test_a_removed_bridge_splits_the_profile_again() -> None:
    """The part with more persons keeps the id, the other one gets a new one; the retired id finds its founder."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0))
    committed.add(member("b:1:0", 0.52))
    committed.add(member("c:1:0", 0.54))
    committed.add(member("d:1:0", 0.2), member("e:1:0", 0.26))
    made = committed.remove("d:1:0", "e:1:0")
    assert committed.clusters == [("a:1:0",), ("b:1:0", "c:1:0")]
    assert made.split == (ProfileSplit("p2-b:1:0", ("p5-a:1:0",)),)
    assert made.left == (("d:1:0", "p2-b:1:0"), ("e:1:0", "p2-b:1:0"))
    assert committed.gallery.redirect("p1-a:1:0") == "p5-a:1:0"


def test_equal_votes_go_to_the_named_then_the_older() -> None:
    """One person each: the name decides, and without one the age."""
    for name, kept in ((None, "p1-a:1:0"), ("Bob", "p2-b:1:0")):
        committed = Committed()
        committed.add(member("a:1:0", 0.0))
        committed.add(member("b:1:0", 0.51, name=name))
        committed.add(member("c:1:0", 0.25))
        assert committed.clusters == [("a:1:0", "b:1:0", "c:1:0")]
        assert set(committed.gallery.profile_of.values()) == {kept}


def test_a_name_survives_a_merge_into_an_unnamed_profile() -> None:
    """The id is the larger one's; the name is that of the persons it was given to."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0), member("b:1:0", 0.01))
    committed.add(member("c:1:0", 0.52, name="Ann"))
    made = committed.add(member("d:1:0", 0.24))
    assert made.merged == (ProfileMerge("p2-c:1:0", "p1-a:1:0"),)
    assert made.names == {"p1-a:1:0": "Ann"}


def test_naming_two_halves_of_a_profile_takes_it_apart() -> None:
    """A name given by hand is a decision about the persons who have it."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0), member("b:1:0", 0.1), member("c:1:0", 0.02))
    assert committed.commit(GalleryChange(named={"a:1:0": "Ann"})).names == {"p1-a:1:0": "Ann"}
    made = committed.commit(GalleryChange(named={"b:1:0": "Bea"}))
    assert committed.clusters == [("a:1:0", "c:1:0"), ("b:1:0",)]
    assert made.names == {"p3-b:1:0": "Bea"}


def test_a_decision_is_carried_out_and_taken_back() -> None:
    """Apart by hand, and together again when the link is gone."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0), member("b:1:0", 0.1))
    committed.commit(GalleryChange(links=PairConstraints(cannot_link=frozenset({("a:1:0", "b:1:0")}))))
    assert committed.clusters == [("a:1:0",), ("b:1:0",)]
    committed.commit(GalleryChange(links=PairConstraints()))
    assert committed.clusters == [("a:1:0", "b:1:0")]
    committed.add(member("z:1:0", 5.0))
    committed.commit(GalleryChange(links=PairConstraints(must_link=frozenset({("a:1:0", "z:1:0")}))))
    assert committed.clusters == [("a:1:0", "b:1:0", "z:1:0")] or committed.clusters == [
        ("a:1:0", "z:1:0"),
        ("b:1:0",),
    ]


def test_deleting_everybody_empties_profiles_for_good() -> None:
    """Nobody is left for the id to lead to."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0))
    made = committed.commit(change_for_updates(committed.gallery, DecisionSet(), [VideoUpdate("a")]).change)
    assert made.emptied == ("p1-a:1:0",)
    assert made.founders == {"p1-a:1:0": None}
    assert committed.gallery.redirect("p1-a:1:0") is None
    assert committed.clusters == []


def test_a_retired_id_outlives_its_founder() -> None:
    """The founder's video is deleted: the id goes on leading to the profile that it led to."""
    committed = Committed()
    committed.add(member("b:1:0", 0.5), member("b:1:1", 0.52))
    committed.add(member("a:1:0", 0.0))
    committed.add(member("c:1:0", 0.25))
    assert committed.gallery.redirect("p2-a:1:0") == "p1-b:1:0"
    committed.remove("a:1:0")
    assert committed.gallery.redirect("p2-a:1:0") == "p1-b:1:0"


PLACES_LEFT = tuple(SightedAt(i * 0.2, Box(0, 0, 80, 80)) for i in range(10))
PLACES_RIGHT = tuple(SightedAt(i * 0.2 + 0.07, Box(310, 5, 80, 80)) for i in range(10))


def redone(committed: Committed, *members: GalleryPerson, **places: tuple[SightedAt, ...]) -> GalleryDiff:
    by_key = {f"v:{key[1:].replace('_', ':')}": value for key, value in places.items()}
    update = VideoUpdate("v", members, places=by_key)
    return committed.commit(change_for_updates(committed.gallery, committed.decisions, [update]).change)


def test_a_new_epoch_inherits_by_time_and_place() -> None:
    """The two persons come in the other order and a little elsewhere in the space of encodings: ids stay, as do the
    name and the decision that the two are not one."""
    committed = Committed()
    committed.add(member("v:1:0", 0.0, name="Ann"), member("v:1:1", 0.1))
    left, right = frozenset(["v:1:0"]), frozenset(["v:1:1"])
    named = Decision("named", 1, ("p",), about=left, card={"name": "Ann"})
    committed.decisions = DecisionSet([named, Decision("apart", 2, ("p",), leaving=right, rest=left)])
    committed.commit(GalleryChange(links=committed.decisions.constraints))
    first, second = committed.gallery.profile_of["v:1:0"], committed.gallery.profile_of["v:1:1"]
    made = redone(
        committed,
        member("v:2:0", 1.1),
        member("v:2:1", 1.0),
        _1_0=PLACES_LEFT,
        _1_1=PLACES_RIGHT,
        _2_0=PLACES_RIGHT[:6],
        _2_1=PLACES_LEFT[3:],
    )
    assert committed.gallery.profile_of == {"v:2:0": second, "v:2:1": first}
    assert committed.gallery.members["v:2:1"].name == "Ann"
    assert committed.gallery.links == PairConstraints(cannot_link=frozenset({("v:2:0", "v:2:1")}))
    assert made.founders == {first: "v:2:1", second: "v:2:0"}
    assert (made.created, made.merged, made.emptied) == ((), (), ())


def test_the_heir_is_the_founder_even_where_somebody_has_a_smaller_key() -> None:
    """An id stands for the person it was made for, and so for who replaces it."""
    committed = Committed()
    committed.add(member("v:1:0", 0.0))
    committed.add(member("a:1:0", 0.1))
    made = redone(committed, member("v:2:0", 0.0), _1_0=PLACES_LEFT, _2_0=PLACES_LEFT)
    assert made.founders == {"p1-v:1:0": "v:2:0"}


def test_somebody_elsewhere_inherits_nothing() -> None:
    """The same moments at another place are another person: the old profile goes, a new one comes."""
    committed = Committed()
    committed.add(member("v:1:0", 0.0))
    made = redone(committed, member("v:2:0", 3.0), _1_0=PLACES_LEFT, _2_0=PLACES_RIGHT)
    assert made.emptied == ("p1-v:1:0",)
    assert [profile.id for profile in made.created] == ["p2-v:2:0"]


def test_a_person_that_becomes_two_leaves_its_id_to_the_greater_overlap() -> None:
    """Both stand for the old one; only one can have its id."""
    committed = Committed()
    committed.add(member("v:1:0", 0.0))
    made = redone(
        committed,
        member("v:2:0", 0.0, apart=["v:2:1"]),
        member("v:2:1", 0.0, apart=["v:2:0"]),
        _1_0=PLACES_LEFT,
        _2_0=PLACES_LEFT[:3],
        _2_1=PLACES_LEFT[3:],
    )
    assert committed.gallery.profile_of == {"v:2:0": "p2-v:2:0", "v:2:1": "p1-v:1:0"}
    assert made.split == (ProfileSplit("p1-v:1:0", ("p2-v:2:0",)),)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_ids_are_never_two_things(seed: int, chance: random.Random) -> None:
    """Whatever comes and goes: no id is made twice, a retired one never returns, and all that can lead somewhere do."""
    committed = Committed()
    minted: set[str] = set()
    retired: set[str] = set()
    for video in world(seed):
        here = sorted(committed.gallery.members)
        gone = frozenset(chance.sample(here, min(len(here), chance.choice([0, 0, 1, 2]))))
        made = committed.commit(GalleryChange(inserted=video, removed=gone))
        new = {profile.id for profile in made.created}
        assert not new & minted
        minted |= new
        retired |= {merge.retired for merge in made.merged} | set(made.emptied)
        assert not retired & committed.gallery.persons.keys()
        for profile in minted:
            target = committed.gallery.redirect(profile)
            assert target is None or target in committed.gallery.persons
        for merge in made.merged:
            assert committed.gallery.redirect(merge.retired) == merge.into


@pytest.mark.parametrize(("old", "new"), [(0.55, 0.3), (0.3, 0.5)])
@pytest.mark.parametrize("seed", range(4))
def test_another_distance_is_reached_in_portions(seed: int, old: float, new: float) -> None:
    """Commits go on meanwhile; afterwards the partition is that of the new distance."""
    videos = world(seed, videos=30)
    committed = Committed(old)
    for video in videos[:25]:
        committed.add(*video)
    waiting = sorted(committed.gallery.set_distance(new))
    for video in videos[25:]:
        gone = sorted(committed.gallery.members)[7]
        waiting = [key for key in waiting if key != gone]
        committed.commit(GalleryChange(inserted=video, removed=frozenset({gone})))
        portion, waiting = waiting[:12], waiting[12:]
        committed.commit(GalleryChange(reconsider=frozenset(portion)))
    committed.commit(GalleryChange(reconsider=frozenset(waiting)))
    assert committed.clusters == partition(committed.gallery.members.values(), new)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_a_component_past_the_bound_is_canonical_once_it_is_reconsidered(seed: int, chance: random.Random) -> None:
    """Meanwhile nobody who is known to be two is one, and the differences say who is unsettled."""
    committed = Committed(0.55)
    unsettled: set[str] = set()
    for video in world(seed, videos=20):
        here = sorted(committed.gallery.members)
        gone = frozenset(chance.sample(here, min(len(here), chance.choice([0, 1, 3]))))
        made = committed.commit(GalleryChange(inserted=video, removed=gone), bound=4)
        unsettled = (unsettled | made.clusters.unsettled) - gone
        for keys in committed.clusters:
            for key in keys:
                assert not committed.gallery.members[key].apart & set(keys)
    committed.commit(GalleryChange(reconsider=frozenset(unsettled)))
    assert committed.clusters == partition(committed.gallery.members.values(), 0.55)


def test_within_the_bound_nothing_is_unsettled_and_past_it_something_is() -> None:
    """The bound counts persons of a component."""
    for bound, expected in ((3, frozenset()), (2, frozenset({"c:1:0"}))):
        committed = Committed()
        committed.add(member("a:1:0", 0.0))
        committed.add(member("b:1:0", 0.1))
        made = committed.commit(GalleryChange(inserted=(member("c:1:0", 0.2),)), bound)
        assert made.clusters.unsettled == expected
        assert committed.clusters == [("a:1:0", "b:1:0", "c:1:0")]


def test_a_profile_of_very_many_is_loaded_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start does not wait until all of it has been clustered."""
    monkeypatch.setattr("castlist_identity.galleries.gallery.DENSE", 5)
    monkeypatch.setattr("castlist_identity.galleries.gallery.first_stage", lambda *_: pytest.fail("clustered"))
    gallery = Gallery(0.4)
    persons = [member(f"v{n}:1:0", 0.001 * n) for n in range(6)]
    gallery.load([(one, "p") for one in persons], [Profile("p", persons[0].key, 0)])
    assert list(gallery.clusters.values()) == [tuple(sorted(one.key for one in persons))]


def test_past_the_bound_twins_are_two_as_well() -> None:
    """What joins in haste still never joins whom it was seen with, or whom somebody took apart by hand."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0), member("b:1:0", 0.0))
    twin = member("c:1:0", 0.0, apart=["a:1:0"])
    assert committed.commit(GalleryChange(inserted=(twin,)), bound=1).clusters.unsettled == {"c:1:0"}
    assert committed.clusters == [("a:1:0", "b:1:0"), ("c:1:0",)]
    committed.commit(GalleryChange(inserted=(member("d:1:0", 0.0, name="Ann"),)), bound=1)
    committed.commit(GalleryChange(inserted=(member("e:1:0", 0.0, name="Bea"),)), bound=1)
    assert committed.gallery.profile_of["d:1:0"] != committed.gallery.profile_of["e:1:0"]


def test_unknown_and_repeated_persons_are_refused() -> None:
    """A caller whose copy of the gallery is behind must not go on."""
    committed = Committed()
    committed.add(member("a:1:0", 0.0))
    with pytest.raises(KeyError):
        committed.remove("b:1:0")
    with pytest.raises(ValueError):
        committed.add(member("a:1:0", 0.0))
    with pytest.raises(ValueError):
        committed.add(member("b:1:0", 0.0), member("b:1:0", 0.0))


def test_whoever_was_kept_from_somebody_because_of_another_may_join_once_that_one_is_gone() -> None:
    """a and z are one by decision, and b was seen with z: with z gone, b is like a and joins, in one stage too."""
    committed = Committed()
    committed.gallery = Gallery(T, stages=1)
    committed.add(member("a:1:0", 0.0), member("z:1:0", 5.0), member("b:1:0", 0.1, apart=["z:1:0"]))
    committed.commit(GalleryChange(links=PairConstraints(must_link=frozenset({("a:1:0", "z:1:0")}))))
    assert committed.clusters == [("a:1:0", "z:1:0"), ("b:1:0",)]
    committed.remove("z:1:0")
    assert committed.clusters == [("a:1:0", "b:1:0")]
