"""The second stage: rule by rule, against its definition, and kept up by commits as if everybody had come at once."""

import random
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# Behind everything else: bench/ingest.py is not the service.
sys.path.append(str(Path(__file__).resolve().parents[3] / "bench"))

from encodings_of_people import STRANGERS, Population, appearances

from castlist.contract.vectors import Vector
from castlist_identity.clustering.average_link import NEVER, average_link, united
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.clustering.person_distances import person_distances
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.matching import second_stage
from castlist_identity.matching.decided_groups import must_groups, positions
from castlist_identity.matching.partition import first_stage, partition
from castlist_identity.matching.second_stage import JOINED
from castlist_identity.nearest.isolation import COHORT, FAR, PRIOR, TYPICAL, USUAL, cohort
from castlist_identity.nearest.nearest_clusters import NearestClusters
from testkit.grown_gallery import GrownGallery

T = 0.46
Kind = Callable[[int, int], list[GalleryPerson]]
CLOSER = FAR - JOINED
"""By how much two must be nearer to each other than their cohorts are."""


def at(*coordinates: float) -> Vector:
    encoding = np.zeros(128, dtype=np.float32)
    encoding[: len(coordinates)] = coordinates
    return encoding


def member(key: str, *coordinates: float, apart: str = "", name: str | None = None) -> GalleryPerson:
    return GalleryPerson(key, f"video-{key}", at(*coordinates), 0.0, frozenset(apart), name)


def strangers(count: int, *centre: float, radius: float = 3.0, called: str = "z") -> list[GalleryPerson]:
    """So many, each in a direction of their own, so far from a place and √2 as far from each other."""
    made = []
    for i in range(count):
        encoding = at(*centre)
        encoding[8 + i] = radius
        made.append(GalleryPerson(f"{called}{i:03}", f"video-{called}{i}", encoding, 0.0))
    return made


def joined(members: list[GalleryPerson], links: PairConstraints | None = None, distance: float = T) -> list[str]:
    """The clusters that hold anybody but strangers."""
    return ["".join(keys) for keys in partition(members, distance, links) if not keys[0].startswith("z")]


CROWD = strangers(80, radius=3.0)


def test_who_has_nobody_else_near_joins_from_farther_away() -> None:
    """Nine of ten nearest are far, the tenth is the other one: D ≤ (D + 9 · 0.68) / 10 - 0.12."""
    assert joined([member("a", 0.0), member("b", 0.546), *CROWD]) == ["ab"]
    assert joined([member("a", 0.0), member("b", 0.547), *CROWD]) == ["a", "b"]


def test_two_who_are_no_nearer_than_others_of_their_kind_do_not_join() -> None:
    """The same 0.5, and around both of them people who are 0.55 away."""
    pair = [member("a", 0.0), member("b", 0.5)]
    kind = strangers(COHORT, 0.25, radius=(0.55**2 - 0.25**2) ** 0.5)
    rest = strangers(60, 5.0, called="zz")
    assert joined([*pair, *rest]) == ["ab"]
    assert joined([*pair, *kind, *rest]) == ["a", "b"]
    isolation = (0.5 + 9 * 0.55) / 10
    assert isolation - CLOSER < 0.5, "else this shows nothing"


def test_in_a_small_gallery_the_usual_stands_for_the_others_there_are_not() -> None:
    """Two persons have no cohort: USUAL is where it would be. Seven count their nearest, the eighth part nothing."""
    assert [cohort(n) for n in (1, 2, 6, 7, 13, 60, 61, 1000)] == [0, 0, 0, 1, 2, 9, 10, 10]
    limit = USUAL - CLOSER
    assert joined([member("a", 0.0), member("b", limit - 0.001)]) == ["ab"]
    assert joined([member("a", 0.0), member("b", limit + 0.001)]) == ["a", "b"]
    # (0.49 + 9 · 0.62) / 10 - 0.12
    assert joined([member("a", 0.0), member("b", 0.486), *strangers(5)]) == ["ab"]
    assert joined([member("a", 0.0), member("b", 0.489), *strangers(5)]) == ["a", "b"]


def test_a_few_who_are_alike_are_measured_by_how_alike_they_are() -> None:
    """0.49 is near where the others are as far off as strangers are, and not where these are hardly farther."""
    pair = [member("a", 0.0), member("b", 0.49)]

    def around(distance: float) -> list[GalleryPerson]:
        return strangers(3, 0.245, radius=(distance**2 - 0.245**2) ** 0.5)

    assert joined([*pair, *around(0.85)]) == ["ab"]
    assert joined([*pair, *around(0.58)]) == ["a", "b"]


def test_who_may_not_be_one_is_not_joined_by_the_second_stage_either() -> None:
    """Seen together, named differently or taken apart, and any two clusters that hold such a pair."""
    far = [member("a", 0.0), member("b", 0.5)]
    assert joined([*far, *CROWD]) == ["ab"]
    assert joined([member("a", 0.0, apart="b"), far[1], *CROWD]) == ["a", "b"]
    assert joined([member("a", 0.0, name="Ann"), member("b", 0.5, name="Bob"), *CROWD]) == ["a", "b"]
    assert joined([member("a", 0.0, name="Ann"), member("b", 0.5, name="Ann"), *CROWD]) == ["ab"]
    assert joined([*far, *CROWD], PairConstraints(cannot_link=frozenset({("b", "a")}))) == ["a", "b"]
    of_two = [member("a", 0.0), member("c", 0.01, apart="d"), member("b", 0.5), member("d", 0.51)]
    assert joined([*of_two, *CROWD]) == ["ac", "bd"]


def test_what_people_put_together_is_one_and_joined_by_whoever_is_like_one_of_them() -> None:
    """b is like a, and so with c, which nobody would take for either; d may not be with c, and so not with a."""
    by_hand = PairConstraints(must_link=frozenset({("a", "c")}))
    members = [member("a", 0.0), member("c", 2.0), member("b", 0.5)]
    assert joined([*members, *CROWD], by_hand) == ["abc"]
    assert joined([*members, *CROWD]) == ["ab", "c"]
    apart = PairConstraints(by_hand.must_link, frozenset({("b", "c")}))
    assert joined([*members, *CROWD], apart) == ["ac", "b"]


def test_a_cluster_weighs_as_many_as_it_holds() -> None:
    """Average link over clusters with sizes joins what it joins over as many items in the same places."""
    chance = np.random.default_rng(4)
    for _ in range(30):
        sizes = chance.integers(1, 4, 7).tolist()
        half = np.triu(chance.uniform(0, 0.5, (7, 7)), 1)
        distances = half + half.T
        np.fill_diagonal(distances, -1.0)  # the items of one place join first
        expanded = np.repeat(np.repeat(distances, sizes, axis=0), sizes, axis=1)
        owner = np.repeat(np.arange(7), sizes)
        found = average_link(expanded, 0.2)
        owners = [sorted({int(owner[i]) for i in cluster}) for cluster in found]
        assert average_link(distances, 0.2, sizes=sizes) == owners


def test_it_is_persons_that_are_counted_where_three_clusters_may_be_one() -> None:
    """c is near b and not near a: where a is nine persons, who count for more than b, it stays by itself."""
    near_b = at(0.4295, 0.419)
    assert np.linalg.norm(near_b) == pytest.approx(0.60, abs=0.001)
    assert np.linalg.norm(near_b - at(0.4)) == pytest.approx(0.42, abs=0.001)
    others = [member("b", 0.4), GalleryPerson("c", "c", near_b, 0.0), *CROWD]
    assert joined([member("a", 0.0), *others], distance=0.3) == ["abc"]
    of_nine = [GalleryPerson(f"a{i}", f"a{i}", at(0.0), 0.0) for i in range(9)]
    assert joined([*of_nine, *others], distance=0.3) == ["a0a1a2a3a4a5a6a7a8b", "c"]


def by_definition(members: list[GalleryPerson], distance: float, links: PairConstraints) -> list[tuple[str, ...]]:
    """Both stages without lists, components or an index: every cluster is measured against every other."""
    known = {one.key: one for one in members}
    clusters = first_stage(members, distance, links)
    points = [summary(keys[0], [known[key] for key in keys]) for keys in clusters]
    between = np.sqrt([person_distances(one, points) for one in points]).reshape(len(points), len(points))
    used = cohort(len(points))
    isolation = []
    for i, row in enumerate(between):
        others = np.sort(np.delete(row, i))
        usual = min(USUAL, USUAL * float(np.mean([TYPICAL] * PRIOR + others[1:].tolist())) / TYPICAL)
        isolation.append((np.minimum(others[:used], FAR).sum() + (COHORT - used) * usual) / COHORT)
    normed = np.maximum(0.0, between - np.add.outer(isolation, isolation) / 2 + FAR) ** 2
    for (i, one), (j, other) in product(enumerate(clusters), enumerate(clusters)):
        names = [{known[key].name for key in keys} - {None} for keys in (one, other)]
        if (
            any(known[a].apart & set(other) or known[b].apart & set(one) for a in one for b in other)
            or any({a, b} in map(set, links.cannot_link) for a in one for b in other)
            or (all(names) and len(names[0] | names[1]) > 1)
        ):
            normed[i, j] = NEVER
    place = {key: i for i, key in enumerate(sorted(known))}
    owner = {place[key]: i for i, keys in enumerate(clusters) for key in keys}
    decided_groups = must_groups(len(place), positions(links.joined_to, place), positions(links.parted_from, place))
    every = united([[i] for i in range(len(clusters))], [{owner[n] for n in group} for group in decided_groups])
    together = [group for group in every if len(group) > 1]
    joined = average_link(normed, JOINED**2, together, [len(keys) for keys in clusters])
    groups = united(joined, together)
    return sorted(tuple(sorted(key for i in group for key in clusters[i])) for group in groups)


def people(seed: int, persons: int) -> list[GalleryPerson]:
    """Of a collection of strangers, some of a kind, each in one video or more."""
    who = appearances(persons, seed)
    return Population(max(who) + 1, seed, of=STRANGERS).members(who)


def grid(seed: int, persons: int) -> list[GalleryPerson]:
    """Distances that are equal everywhere, and persons who are the same."""
    chance = np.random.default_rng(seed)
    return [
        GalleryPerson(f"{i:03}:1:0", f"{i:03}", at(*(0.22 * chance.integers(0, 4, 5))), float(chance.choice([0, 0.02])))
        for i in range(persons)
    ]


def decided(members: list[GalleryPerson], chance: random.Random) -> PairConstraints:
    """Some decisions by hand, at random."""
    keys = sorted(one.key for one in members)
    pairs = [tuple(sorted(chance.sample(keys, 2))) for _ in range(8)]
    return PairConstraints(frozenset((a, b) for a, b in pairs[:3]), frozenset((a, b) for a, b in pairs[3:]))


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from([people, grid]))
def test_the_partition_is_what_its_definition_says_in_any_order(seed: int, kind: Kind) -> None:
    """Around the number of clusters from which on not everybody is one component, and well past it."""
    chance = random.Random(seed)
    members = kind(seed, chance.choice([40, 120, 200]))
    links = decided(members, chance)
    expected = by_definition(members, T, links)
    chance.shuffle(members)
    assert partition(members, T, links) == expected


class Grown(GrownGallery):
    """A gallery by commits, held against everything at once after each."""

    def __init__(self, stages: int = 2, distance: float = T) -> None:
        super().__init__(Gallery(distance, stages=stages))

    def check(self) -> None:
        known = self.gallery
        assert self.profiles == partition(known.members.values(), known.distance, known.links, known.stages)

    def restart(self) -> None:
        """What was loaded knows what the running one does."""
        running, self.gallery = self.gallery, Gallery(T, self.gallery.links, self.gallery.stages)
        known = [(running.members[key], profile) for key, profile in running.profile_of.items()]
        self.gallery.load(known, running.profiles.values())
        assert self.gallery.clusters == running.clusters
        assert set(self.gallery.nearest) == set(running.nearest)
        before, after = running.nearest.change(), self.gallery.nearest.change()
        for key in self.gallery.nearest:
            assert after.nearest(key)[:COHORT] == before.nearest(key)[:COHORT]


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([people, grid]))
def test_commits_keep_up_the_partition_of_everybody_at_once(seed: int, kind: Kind) -> None:
    """Videos come in batches, go, come again and are done again; people are named, put together and taken apart; the
    process starts anew in between. Up to some hundred clusters, and down again."""
    chance, members = random.Random(seed), kind(seed, 150)
    videos: dict[str, list[GalleryPerson]] = {}
    for one in members:
        videos.setdefault(one.video, []).append(one)
    waiting = sorted(videos)
    chance.shuffle(waiting)
    grown, here = Grown(), set[str]()
    while waiting:
        taken, waiting = waiting[: (size := chance.choice([1, 2, 5, 25]))], waiting[size:]
        gone = set(chance.sample(sorted(here), min(len(here), chance.choice([0, 0, 1, 4]))))
        removed = frozenset(key for video in gone for key in grown.gallery.persons_of(video))
        inserted = tuple(one for video in taken for one in videos[video])
        named: dict[str, str | None] = {}
        if here - gone and chance.random() < 0.3:
            profile = grown.gallery.profile_of[chance.choice(sorted(grown.gallery.members.keys() - removed))]
            named = dict.fromkeys(sorted(grown.gallery.persons[profile] - removed), chance.choice(["Ann", "Bob", None]))
        links = decided(members, chance) if chance.random() < 0.2 else None
        grown.commit(GalleryChange(removed=removed, inserted=inserted, named=named, links=links))
        grown.check()
        here = (here | set(taken)) - gone
        if chance.random() < 0.7:
            waiting += sorted(gone)
        if chance.random() < 0.15:
            grown.restart()
    while grown.gallery.members:
        left = sorted(grown.gallery.members)
        grown.commit(GalleryChange(removed=frozenset(chance.sample(left, min(len(left), 40)))))
        grown.check()


def test_somebody_who_comes_between_parts_two_who_had_nobody_else_near() -> None:
    """And they are one again once these are gone: the partition is of who is there."""
    grown = Grown()
    pair = (member("a", 0.0), member("b", 0.5))
    kind = strangers(COHORT, 0.25, radius=(0.55**2 - 0.25**2) ** 0.5, called="k")
    grown.commit(GalleryChange(inserted=(*pair, *CROWD)))
    assert ("a", "b") in grown.profiles
    grown.commit(GalleryChange(inserted=tuple(kind)))
    assert ("a", "b") not in grown.profiles
    grown.commit(GalleryChange(removed=frozenset(one.key for one in kind)))
    assert ("a", "b") in grown.profiles


def choir(place: float, called: str) -> tuple[GalleryPerson, ...]:
    """More than a list holds, on the far side of a from b, all seen together and with a."""
    keys = {f"{called}{i:02}" for i in range(20)}
    return tuple(GalleryPerson(key, called, at(-place), 0.0, frozenset(keys - {key}) | {"a"}) for key in sorted(keys))


def test_somebody_is_joined_whom_only_their_own_list_shows() -> None:
    """a has twenty nearer than b, who has nobody nearer than a. It joins b, parts from it and stays alone as these
    come nearer or b goes, although nothing changes around b, and b is in no list of a's."""
    grown = Grown(distance=0.3)
    grown.commit(GalleryChange(inserted=(member("a", 0.0), member("b", 0.375), *choir(0.33, "m"), *CROWD)))
    grown.check()
    assert ("a",) in grown.profiles
    grown.commit(GalleryChange(removed=grown.gallery.persons_of("m"), inserted=choir(0.36, "n")))
    assert "b" not in {key for _, key in grown.gallery.nearest.change().nearest("a")}
    assert ("a", "b") in grown.profiles
    grown.check()
    grown.commit(GalleryChange(removed=grown.gallery.persons_of("n"), inserted=choir(0.33, "m")))
    assert ("a",) in grown.profiles
    grown.check()
    grown.commit(GalleryChange(removed=grown.gallery.persons_of("m"), inserted=choir(0.36, "n")))
    assert ("a", "b") in grown.profiles
    made = grown.commit(GalleryChange(removed=frozenset({"b"})))
    assert made.videos == {grown.gallery.profile_of["a"]: 1}
    grown.check()


@pytest.mark.parametrize("seed", range(3))
def test_stages_change_in_portions(seed: int) -> None:
    """A gallery of one stage becomes one of two, with few moves in each commit, and the other way round."""
    members = people(seed, 200)
    grown = Grown(stages=1)
    grown.commit(GalleryChange(inserted=tuple(members)))
    grown.check()
    for stages in (2, 1):
        grown.gallery.set_distance(T, stages)
        commits = grown.commits
        assert grown.profiles != partition(members, T, None, stages), "else this shows nothing"
        whole = False
        while not whole:
            made = grown.gallery.propose(
                GalleryChange(), lambda key: f"{grown.commits}-{key}", 1000 + grown.commits, moves=4, everybody=True
            )
            assert len(made.moved) <= 4
            grown.gallery.apply(made)
            grown.commits += 1
            whole = made.clusters.whole
        assert grown.commits > commits + 1
        grown.check()


def test_past_a_bound_of_nothing_nobody_moves_and_who_was_seen_together_stays_apart() -> None:
    """A newcomer comes to the profile of the nearest, unless the second stage put somebody there whom it was seen
    with."""
    grown = Grown()
    grown.commit(GalleryChange(inserted=(member("a", 0.0), member("b", 0.5), *CROWD)))
    assert ("a", "b") in grown.profiles
    twin = GalleryPerson("c", "c", at(0.01), 0.0, frozenset({"b"}))
    grown.commit(GalleryChange(inserted=(twin, member("d", 0.02))), bound=0)
    assert {"c"} in map(set, grown.profiles)
    assert {"a", "b", "d"} in map(set, grown.profiles)
    made = grown.gallery.propose(GalleryChange(reconsider=frozenset({"c", "d"})), str, 9, everybody=True)
    grown.gallery.apply(made)
    grown.check()


def test_a_crowd_of_equals_is_measured_as_well() -> None:
    """More persons in one place than a list holds, all of whom were seen together: nobody is missed, nothing joins."""
    keys = [f"c{i:02}" for i in range(70)]
    crowd = [GalleryPerson(key, "v", at(0.0), 0.0, frozenset(keys) - {key}) for key in keys]
    near = NearestClusters().change(added=crowd)
    assert all(near.isolation(key) == 0.0 for key in keys)
    assert partition(crowd, T) == [(key,) for key in keys]


def test_past_the_largest_component_the_second_stage_joins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on time: what no faces make must not hold up anybody."""
    members = [member("a", 0.0), member("b", 0.5), *CROWD]
    assert ("a", "b") in partition(members, T)
    monkeypatch.setattr(second_stage, "LARGEST", 1)
    assert ("a", "b") not in partition(members, T)


def test_an_id_goes_with_the_larger_part() -> None:
    """The second stage merges and splits profiles as the first does: ids redirect."""
    grown = Grown()
    grown.commit(GalleryChange(inserted=(member("a", 0.0), *CROWD)))
    kind = strangers(COHORT, 0.25, radius=(0.55**2 - 0.25**2) ** 0.5, called="k")
    grown.commit(GalleryChange(inserted=(*kind, member("b", 0.5))))
    one, other = (grown.gallery.profile_of[key] for key in "ab")
    assert one != other
    grown.commit(GalleryChange(removed=frozenset(person.key for person in kind)))
    assert grown.gallery.redirect(other) == one
    assert isinstance(grown.gallery.profiles[other], Profile)
