"""A crowd of which a sample is clustered: the same people in any order, at the cost of a few."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist_identity.clustering import person_rows
from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.clustering.person_rows import PersonRows, stacked
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import FIRST, GalleryChange
from castlist_identity.matching import person_table
from castlist_identity.matching.crowd_sample import CROWDED, rank
from castlist_identity.matching.followers import chosen, is_taken
from castlist_identity.matching.partition import by_rounds, partition
from castlist_identity.matching.person_table import FEW, UNKNOWN, PersonTable
from testkit.grown_gallery import GrownGallery

T, SAMPLE = 0.42, 4


def crowd(seed: int, videos: int, people: int = 3) -> dict[str, list[GalleryPerson]]:
    """Videos of very few people, some near each other, most persons within CROWDED of many; half are seen together."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(0, chance.choice([0.02, 0.03]), (people, 128))
    made: dict[str, list[GalleryPerson]] = {}
    for v in range(videos):
        video, there = f"v{v:03}", chance.integers(0, people, chance.integers(1, 3))
        keys = [f"{video}:1:{n}" for n in range(len(there))]
        together = chance.uniform() < 0.5
        made[video] = [
            GalleryPerson(
                keys[n],
                video,
                (centres[who] + chance.normal(0, 0.02, 128)).astype(np.float32),
                float(chance.choice([0.0, 0.01, 0.03])),
                frozenset(keys) - {keys[n]} if together else frozenset(),
            )
            for n, who in enumerate(there)
        ]
    return made


class Grown(GrownGallery):
    """A gallery by commits, held against everything at once."""

    def __init__(self, distance: float = T) -> None:
        super().__init__(Gallery(distance, sample=SAMPLE))

    def check(self) -> None:
        known = self.gallery
        clusters, followers, _ = by_rounds(known.members, known.distance, known.links, SAMPLE)
        assert sorted(known.clusters.values()) == clusters
        assert known.followers == {key: set(keys) for key, keys in followers.items()}
        assert self.profiles == partition(known.members.values(), known.distance, known.links, sample=SAMPLE)
        assert {key for keys in known.followers.values() for key in keys} == known.home.keys()
        for profile, keys in known.persons.items():
            assert set(known.sampled_of(profile)) == keys - known.home.keys()
            assert known.videos_of(profile) == len({known.members[key].video for key in keys})
        pinned = {key for pair in known.links.must_link | known.links.cannot_link for key in pair}
        for number, table in enumerate(known.rounds):
            beyond = {
                key for key in table if not table.is_sampled(key) and known.round_of(known.home.get(key, key)) != number
            }
            assert beyond == set(known.rounds[number + 1] if number + 1 < len(known.rounds) else ())
            there = [known.members[key] for key in table]
            crowding = person_distance_matrix(there) <= CROWDED**2
            for i, one in enumerate(there):
                lower = sum(crowding[i, j] and rank(there[j].key) < rank(one.key) for j in range(len(there)))
                counted = int(table.lower[table.rows([one.key])][0])
                assert counted in (UNKNOWN, lower) or (counted < lower and not table.is_sampled(one.key))
                assert table.is_sampled(one.key) == (lower < SAMPLE or one.key in pinned)

    def restart(self) -> None:
        """What was loaded knows what the running one does."""
        running, self.gallery = self.gallery, Gallery(self.gallery.distance, self.gallery.links, sample=SAMPLE)
        known = [(running.members[key], profile) for key, profile in running.profile_of.items()]
        roles = {key: place for key in running.members if (place := running.role_of(key)) != FIRST}
        self.gallery.load(known, running.profiles.values(), roles)
        assert self.gallery.home == running.home
        assert self.gallery.clusters == running.clusters


def decided(keys: list[str], chance: random.Random) -> PairConstraints:
    pairs = [tuple(sorted(chance.sample(keys, 2))) for _ in range(chance.randrange(4))] if len(keys) > 1 else []
    half = len(pairs) // 2
    return PairConstraints(frozenset((a, b) for a, b in pairs[:half]), frozenset((a, b) for a, b in pairs[half:]))


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(st.integers(0, 100_000), st.randoms(use_true_random=False))
def test_any_order_and_any_way_there_gives_the_partition_of_everybody_at_once(seed: int, chance: random.Random) -> None:
    """Videos come in batches, go, come again and are done again; people are named, put together and taken apart; the
    process starts anew in between."""
    videos = crowd(seed, 40)
    waiting = sorted(videos)
    chance.shuffle(waiting)
    grown, here = Grown(), set[str]()
    while waiting:
        taken, waiting = waiting[: (size := chance.choice([1, 2, 8]))], waiting[size:]
        gone = set(chance.sample(sorted(here), min(len(here), chance.choice([0, 0, 1, 4]))))
        known = grown.gallery
        removed = frozenset(key for video in gone for key in known.persons_of(video))
        inserted = tuple(one for video in taken for one in videos[video])
        named: dict[str, str | None] = {}
        if here - gone and chance.random() < 0.3:
            profile = known.profile_of[chance.choice(sorted(known.members.keys() - removed))]
            named = dict.fromkeys(sorted(known.persons[profile] - removed), chance.choice(["Ann", "Bob", None]))
        staying = sorted((known.members.keys() - removed) | {one.key for one in inserted})
        links = decided(staying, chance) if chance.random() < 0.15 else None
        grown.commit(GalleryChange(removed=removed, inserted=inserted, named=named, links=links))
        grown.check()
        here = (here | set(taken)) - gone
        if chance.random() < 0.7:
            waiting += sorted(gone)
        if chance.random() < 0.15:
            grown.restart()
    assert grown.gallery.home, "else this shows nothing"
    while grown.gallery.members:
        left = sorted(grown.gallery.members)
        grown.commit(GalleryChange(removed=frozenset(chance.sample(left, min(len(left), 12)))))
        grown.check()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 100_000), st.randoms(use_true_random=False))
def test_the_partition_does_not_depend_on_the_order(seed: int, chance: random.Random) -> None:
    """Nor on anybody being there twice."""
    members = [one for video in crowd(seed, 50).values() for one in video]
    expected = partition(members, T, sample=SAMPLE)
    again = [*members, *members[:20]]
    chance.shuffle(again)
    assert partition(again, T, sample=SAMPLE) == expected


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 100_000), st.sampled_from([(0.46, 0.36), (0.38, 0.5)]), st.randoms(use_true_random=False))
def test_another_distance_is_reached_in_portions(
    seed: int, distances: tuple[float, float], chance: random.Random
) -> None:
    """Who follows is reconsidered as everybody is; videos come and go meanwhile."""
    videos = crowd(seed, 40)
    names = sorted(videos)
    chance.shuffle(names)
    grown = Grown(distances[0])
    for video in names[:30]:
        grown.commit(GalleryChange(inserted=tuple(videos[video])))
    grown.check()
    waiting = sorted(grown.gallery.set_distance(distances[1]))
    for video in names[30:]:
        gone = grown.gallery.persons_of(chance.choice(names[:30]))
        grown.commit(GalleryChange(inserted=tuple(videos[video]), removed=gone))
        waiting = [key for key in waiting if key in grown.gallery.members]
        portion, waiting = waiting[:5], waiting[5:]
        grown.commit(GalleryChange(reconsider=frozenset(portion)))
    grown.commit(GalleryChange(reconsider=frozenset(waiting)))
    made = grown.gallery.propose(GalleryChange(), lambda key: f"last-{key}", 1000, everybody=True)
    grown.gallery.apply(made)
    grown.check()


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 100_000), st.sampled_from([0, 3]), st.randoms(use_true_random=False))
def test_past_the_bound_it_is_the_same_once_reconsidered(seed: int, bound: int, chance: random.Random) -> None:
    """With a bound of nothing, too, where nobody moves who is there already."""
    videos, grown, unsettled = crowd(seed, 40), Grown(), set[str]()
    for video in chance.sample(sorted(videos), 40):
        made = grown.commit(GalleryChange(inserted=tuple(videos[video])), bound)
        assert bound > 0 or not made.moved
        unsettled |= made.clusters.unsettled
        for keys in grown.profiles:
            assert not any(grown.gallery.members[key].apart & set(keys) for key in keys)
    whole = False
    change = GalleryChange(reconsider=frozenset(unsettled))
    while not whole:
        made = grown.gallery.propose(change, lambda key: f"{grown.commits}-{key}", 1000, moves=6, everybody=True)
        grown.gallery.apply(made)
        grown.commits += 1
        whole, change = made.clusters.whole, GalleryChange()
    grown.check()


def test_who_is_outside_of_the_sample_changes_nothing_but_their_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody was seen: nobody else is looked up, nothing is clustered, nothing else is written."""
    gallery = Gallery(T, sample=SAMPLE)
    persons = [GalleryPerson(f"v{n:03}", f"v{n:03}", np.full(128, 0.0001 * n, np.float32), 0.0) for n in range(300)]
    gallery.apply(gallery.propose(GalleryChange(inserted=tuple(persons)), lambda _: "presenter", 1))
    assert len(gallery.home) == 300 - SAMPLE
    monkeypatch.setattr(Gallery, "near", lambda _, keys: pytest.fail("neighbours were asked for") if keys else {})
    monkeypatch.setattr(
        "castlist_identity.galleries.affected_clusters.first_stage", lambda *_: pytest.fail("clustered")
    )
    last = max(rank(key) for key in gallery.cluster_of)
    key = next(f"w{n}" for n in range(1000) if rank(f"w{n}") > last)
    newcomer = GalleryPerson(key, key, np.full(128, 0.01, np.float32), 0.0)
    made = gallery.propose(GalleryChange(inserted=(newcomer,)), lambda key: f"new {key}", 2)
    assert made.appeared == ((key, "presenter"),)
    assert made.videos == {"presenter": 301}
    assert made.appearances == {("presenter", key): (key,)}
    assert made.roles == {key: (0, True)}
    assert not (made.moved)
    assert not (made.created)
    assert not (made.names)
    assert not (made.clusters.come)
    assert not (made.clusters.gone)
    gallery.apply(made)
    gone = gallery.propose(GalleryChange(removed=frozenset({key})), lambda key: f"new {key}", 3)
    assert gone.left == ((key, "presenter"),)
    assert gone.videos == {"presenter": 300}
    assert not (gone.moved)
    assert not (gone.clusters.come)
    assert not (gone.clusters.gone)


def test_who_comes_to_the_sample_moves_nobody_who_follows_it_whatever_they_are_called() -> None:
    """Else whoever sorts before everybody would have all of a crowd looked at, and ids may count downwards."""
    gallery = Gallery(T, sample=SAMPLE)
    persons = [GalleryPerson(f"v{n:03}", f"v{n:03}", np.full(128, 0.0001 * n, np.float32), 0.0) for n in range(300)]
    gallery.apply(gallery.propose(GalleryChange(inserted=tuple(persons)), lambda _: "presenter", 1))
    first, *_, last = sorted(rank(key) for key in gallery.cluster_of)
    key = next(f"a{n}" for n in range(10_000) if first < rank(f"a{n}") < last)
    newcomer = GalleryPerson(key, key, np.full(128, 0.01, np.float32), 0.0)
    made = gallery.propose(GalleryChange(inserted=(newcomer,)), lambda key: f"new {key}", 2)
    assert key in made.clusters.into
    assert made.clusters.homes.keys() == made.clusters.out, "only whoever has left the sample for it"


@pytest.mark.slow
@pytest.mark.parametrize("strangers", [0, 80])
def test_whom_a_crowd_has_no_place_for_does_not_part_it_from_the_others(strangers: int) -> None:
    """Somebody seen often enough is now and then farther off than the distance, more often than a list is long. They
    are one all the same, however they come and go, for nobody else is near."""
    distance, chance = 0.36, random.Random(1)
    halves = [replace(one, mean=place(x=side)) for side in (-0.15, 0.15) for one in placed(f"c{side}", 20, 0.0)]
    late = [key for n in range(9000) if rank(key := f"o{n}") > max(rank(one.key) for one in halves)]
    outliers = [GalleryPerson(key, key, place(0.15, n + 1, 0.3), 0.0) for n, key in enumerate(late[:14])]
    others = [GalleryPerson(f"s{n}", f"s{n}", place(3.0, 20 + n, 3.0), 0.0) for n in range(strangers)]
    wanted = tuple(sorted(one.key for one in (*halves, *outliers)))
    everybody = [*halves, *outliers, *others]
    assert wanted not in partition(everybody, distance, sample=SAMPLE, stages=1)
    assert wanted in partition(everybody, distance, sample=SAMPLE)
    grown = Grown(distance)
    for _ in range(2):
        chance.shuffle(everybody)
        for start in range(0, len(everybody), 11):
            grown.commit(GalleryChange(inserted=tuple(everybody[start : start + 11])))
            grown.check()
        assert wanted in grown.profiles
        grown.restart()
        for start in range(0, len(everybody), 17):
            grown.commit(GalleryChange(removed=frozenset(one.key for one in everybody[start : start + 17])))
            grown.check()


def place(x: float, axis: int = 0, y: float = 0.0) -> npt.NDArray[np.float32]:
    """So far along the first axis, and so far along another."""
    mean = np.zeros(128, np.float32)
    mean[axis] = y
    mean[0] = x
    return mean


def test_of_two_seen_together_and_near_to_one_cluster_the_one_of_lower_rank_has_it() -> None:
    """The other is somebody else, who is put to the same test with all those whom nobody takes."""
    crowded = [GalleryPerson(f"v{n}", f"v{n}", np.full(128, 0.0001 * n, np.float32), 0.0) for n in range(50)]
    last = max(sorted(rank(one.key) for one in crowded)[:SAMPLE])
    one, other = [f"t:{n}" for n in range(2000) if rank(f"t:{n}") > last][:2]
    twins = [
        GalleryPerson(key, "t", np.full(128, 0.001, np.float32), 0.0, frozenset({beside}))
        for key, beside in ((one, other), (other, one))
    ]
    first, second = sorted((one, other), key=rank)
    clusters = partition([*crowded, *twins], T, sample=SAMPLE)
    assert (second,) in clusters
    assert next(len(keys) for keys in clusters if first in keys) == 51


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(st.integers(0, 100_000), st.randoms(use_true_random=False))
def test_whoever_was_counted_only_until_there_were_enough_is_counted_again(seed: int, chance: random.Random) -> None:
    """Of who follows it is known that so many crowd them; as these leave, there may be others, or too few."""
    members = [replace(one, apart=frozenset()) for video in crowd(seed, 40).values() for one in video]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(person_table, "FEW", 0)
        patch.setattr(person_table, "BLOCK", 3)
        grown = Grown()
        grown.commit(GalleryChange(inserted=tuple(members)))
        grown.restart()  # nothing is known of how many crowd whom
        while grown.gallery.members:
            left = sorted(grown.gallery.members)
            grown.commit(GalleryChange(removed=frozenset(chance.sample(left, min(len(left), 3)))))
            grown.check()


def test_who_takes_a_place_of_lower_rank_sends_on_whoever_had_it() -> None:
    """They were seen together, so one cluster cannot have both; the other goes to the next, or to nobody."""
    first, second, third = sorted((f"k{n}" for n in range(3)), key=lambda key: (rank(key), key))
    near = {key: [(0.1, "c"), (0.2, "d")] for key in (first, second)} | {third: [(0.1, "d")]}
    seen = {first: {second}, second: {first, third}, third: {second}}
    before = {second: "c", third: "d"}

    def taken(key: str, cluster: str, home: Callable[[str], str | None]) -> bool:
        return is_taken(key, cluster, seen[key], near.__contains__, home, lambda _: None)

    homes = chosen([first], near.__getitem__, before.get, taken, seen.__getitem__)
    assert homes == {first: "c", second: "d", third: None}


def test_who_crowds_is_counted_alike_for_few_and_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all rows at once, or in the order of ranks until there are enough."""
    members = [one for video in crowd(1, 60).values() for one in video]
    table = PersonTable()
    table.enter(members, [True] * len(members), [UNKNOWN] * len(members))
    left = table.rows([members[3].key, members[7].key])
    counted = table.count_lower(members[:FEW], left, 10**6)
    monkeypatch.setattr(person_table, "FEW", 0)
    monkeypatch.setattr(person_table, "BLOCK", 7)
    assert (table.count_lower(members[:FEW], left, 10**6) == counted).all()
    stopped = table.count_lower(members, left, SAMPLE)
    everybody = table.count_lower(members, left, 10**6)
    assert ((stopped >= SAMPLE) == (everybody >= SAMPLE)).all()
    assert (stopped < everybody).any()


@pytest.mark.parametrize("limit", [0.05, 0.2, 0.6])
def test_nobody_is_missed_who_is_near_any_of_very_many(monkeypatch: pytest.MonkeyPatch, limit: float) -> None:
    """Whatever is left out for being far from the middle of them."""
    monkeypatch.setattr(person_rows, "BAND", 5)
    monkeypatch.setattr(person_rows, "BLOCK", 7)
    chance = np.random.default_rng(int(100 * limit))
    asked, stored = (
        [
            GalleryPerson(f"{i}", "v", chance.normal(0, spread, 128).astype(np.float32), chance.uniform(0, 0.1))
            for i in range(150)
        ]
        for spread in (0.02, 0.04)
    )
    index = PersonRows()
    index.add(stored)
    found = {key for near in index.within(asked, limit) for key in near}
    assert found <= index.around(stacked(asked)[0], limit)
    assert len(index.around(stacked(asked)[0], limit)) < len(stored) or len(found) == len(stored)


def placed(called: str, count: int, at: float, above: int = 0) -> list[GalleryPerson]:
    """So many in one place, each in a video of their own; with higher ranks than this, so that they follow."""
    keys = [key for n in range(3000) if rank(key := f"{called}{n:04}") > above][:count]
    mean = np.zeros(128, np.float32)
    mean[0] = at
    return [GalleryPerson(key, key, mean, 0.0) for key in keys]


def highest(persons: list[GalleryPerson]) -> int:
    """The highest rank that the sample of a crowd has."""
    return sorted(rank(one.key) for one in persons)[SAMPLE - 1]


def test_who_is_named_follows_those_alone_who_are_called_the_same() -> None:
    """Those who are called that from now on, too."""
    crowded = placed("c", 30, 0.0)
    (ann,) = (replace(one, name="Ann") for one in placed("a", 1, 0.01, highest(crowded)))
    grown = Grown()
    grown.gallery.stages = 1
    grown.commit(GalleryChange(inserted=(*crowded, ann)))
    assert (ann.key,) in grown.profiles
    assert (ann.key,) in partition([*crowded, ann], T, stages=1, sample=SAMPLE)
    grown.commit(GalleryChange(named={one.key: "Ann" for one in crowded}))
    assert len(grown.profiles) == 1
    assert partition(grown.gallery.members.values(), T, stages=1, sample=SAMPLE) == grown.profiles


def test_followers_who_were_seen_together_part_the_clusters_that_they_follow() -> None:
    """For as long as both are there; nobody of the samples has to come or go for that."""
    one, other = placed("c", 30, 0.0), placed("d", 30, 0.5)
    strangers = []
    for n, person in enumerate(placed("z", 80, 0.0)):
        mean = person.mean.copy()
        mean[8 + n] = 3.0
        strangers.append(replace(person, mean=mean))
    grown = Grown()
    grown.commit(GalleryChange(inserted=(*one, *other, *strangers)))
    together = tuple(sorted(person.key for person in (*one, *other)))
    assert together in grown.profiles
    (a,), (b,) = placed("a", 1, 0.0, highest(one)), placed("b", 1, 0.5, highest(other))
    seen = (replace(a, video="v", apart=frozenset({b.key})), replace(b, video="v", apart=frozenset({a.key})))
    made = grown.commit(GalleryChange(inserted=seen))
    assert not made.clusters.come
    assert {a.key, b.key} <= grown.gallery.home.keys()
    assert together not in grown.profiles
    grown.check()
    grown.commit(GalleryChange(removed=frozenset({b.key})))
    assert tuple(sorted((*together, a.key))) in grown.profiles
    grown.check()
