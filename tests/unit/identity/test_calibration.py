"""How alike a gallery's people are, learnt from who was seen together: only what is known for sure, only downwards."""

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# Behind everything else: bench/ingest.py is not the service.
sys.path.append(str(Path(__file__).resolve().parents[3] / "bench"))

from b_cubed import b_cubed
from encodings_of_people import Population, appearances, reference

from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.matching import co_occurrence
from castlist_identity.matching.auto_distance import auto_distance, distance_for
from castlist_identity.matching.calibration import (
    FLOOR,
    ONE_PERSON,
    STRANGERS,
    ImpostorPair,
    calibrated,
    impostor_pair,
    spread_of,
)
from castlist_identity.matching.co_occurrence import CoOccurrence
from castlist_identity.matching.partition import partition

pytestmark = pytest.mark.slow
Videos = dict[str, list[GalleryPerson]]


def filmed(population: Population, casts: Iterable[Sequence[int]], name: str = "v") -> Videos:
    """Videos of these casts, everybody of a video seen together."""
    made: Videos = {}
    for v, cast in enumerate(casts):
        video = f"{name}{v:04}"
        keys = [f"{video}:1:{n}" for n in range(len(cast))]
        made[video] = [
            GalleryPerson(key, video, *population.video_person(who), frozenset(keys) - {key})
            for key, who in zip(keys, cast, strict=True)
        ]
    return made


def company(people: int, videos: int, seed: int, largest: int = 3) -> list[list[int]]:
    """Who is in each video: two of so many people, up to `largest`."""
    chance = np.random.default_rng(seed)
    return [chance.choice(people, int(chance.integers(2, largest + 1)), replace=False).tolist() for _ in range(videos)]


def spread(*videos: Mapping[str, Sequence[GalleryPerson]]) -> float:
    there: dict[str, Sequence[GalleryPerson]] = {}
    gallery = CoOccurrence(there.__getitem__)
    for some in videos:
        there |= some
        gallery.replace(some)
    return gallery.spread({})


@cache
def alike(videos: int = 60, seed: int = 1, by: float = 0.7) -> Videos:
    return filmed(Population(60, seed, by), company(60, videos, seed))


@pytest.mark.parametrize("by", [0.85, 0.7, 0.6])
def test_people_who_are_alike_are_told_apart_as_strangers_are(by: float) -> None:
    """The step alone puts them together; the lower distance hardly does, and finds almost everybody again."""
    who = appearances(600, 3)
    members = Population(max(who) + 1, 3, by).members(who)
    truth = {member.key: person for member, person in zip(members, who, strict=True)}
    gallery = Gallery(0.48)
    gallery.load([(member, member.key) for member in members], [])
    step, lower = auto_distance(600), auto_distance(600, gallery.spread(GalleryChange()))
    before, (precision, recall) = (b_cubed(partition(members, d), truth) for d in (step, lower))
    assert step - 0.10 <= lower <= step - 0.04
    assert precision > before[0] + 0.03
    assert precision > (0.98 if by > 0.6 else 0.94)
    assert recall > (0.97 if by > 0.6 else 0.93)


@pytest.mark.parametrize(("people", "videos", "largest"), [(400, 200, 2), (60, 60, 6), (40, 30, 3), (20, 60, 3)])
def test_strangers_are_never_taken_for_alike(people: int, videos: int, largest: int) -> None:
    """Whoever they are, and however many of them were filmed."""
    for seed in range(10):
        population = Population(people, seed)
        for i in range(5):
            assert spread(filmed(population, company(people, videos, 5 * seed + i, largest))) == 1.0


def test_too_few_pairs_say_nothing() -> None:
    """Eight may be alike by chance, in many videos or in one."""
    population = Population(60, 1, 0.6)
    pairs = [[2 * i, 2 * i + 1] for i in range(30)]
    assert spread(filmed(population, pairs[:8])) == 1.0
    assert spread(filmed(population, [range(60)])) == 1.0
    assert spread(filmed(population, pairs)) < 0.6


@pytest.mark.parametrize(("squared", "expected"), [(0.30, 0.502), (0.43, 0.818), (0.47, 1.0), (0.60, 1.0), (0.05, 0.0)])
def test_what_is_less_than_a_step_is_left_alone(squared: float, expected: float) -> None:
    """Chance moves the distances of strangers by as much; and who is farther apart than strangers raises nothing."""
    someone = GalleryPerson("a", "v", np.zeros(128, dtype=np.float32), 0.0)
    pairs = [ImpostorPair(someone, someone, squared)] * 60
    assert spread_of(pairs, np.eye(120, dtype=np.bool_)) == pytest.approx(expected, abs=0.001)


def twins(seed: int) -> Population:
    """Persons 0 and 1 are."""
    population = Population(200, seed)
    apart = np.random.default_rng(seed).normal(size=128)
    population.centres[1] = population.centres[0] + 0.3 * apart / np.linalg.norm(apart)
    return population


def central(seed: int) -> Population:
    """To person 0 everybody is nearer than to others."""
    population = Population(200, seed)
    population.centres[0] = population.middle + 0.5 * (population.centres[0] - population.middle)
    return population


@pytest.mark.parametrize(
    ("population", "cast"),
    [
        (twins, lambda i: [0, 1]),
        (twins, lambda i: [0, 1, 2 + i]),
        (twins, lambda i: [0, 1] if i % 10 < 9 else [2 + i, 3 + i]),
        (twins, lambda i: [0, 1] if i % 10 < 6 else [2 + i, 3 + i]),
        (central, lambda i: [0, 2 + i]),
    ],
    ids=["alone", "with others", "in most videos", "in many", "a presenter and guests"],
)
def test_two_people_filmed_often_are_one_fact(
    population: Callable[[int], Population], cast: Callable[[int], list[int]]
) -> None:
    """Their being alike is no reason to tear others apart."""
    for seed in range(3):
        assert spread(filmed(population(seed), [cast(i) for i in range(100)])) == 1.0


def test_two_people_filmed_often_do_not_hide_the_others() -> None:
    """They weigh as much as any other two, so that the others are seen to be alike all the same."""
    casts = company(60, 50, 1, 2)
    population = Population(62, 1, 0.7)
    often = filmed(population, [[60, 61]] * 60, "often")
    assert spread(filmed(population, casts), often) == pytest.approx(spread(filmed(population, casts)), abs=0.1)


def test_a_large_gallery_is_judged_by_a_fair_sample() -> None:
    """Not by those of its videos whose names come first."""
    few = filmed(Population(60, 1, 0.7), company(60, 120, 1), "a")
    many = filmed(Population(200, 1), company(200, 360, 1), "b")
    assert spread(few) < 1.0
    assert spread(few, many) == 1.0


def test_a_few_faces_on_walls_and_in_mirrors_do_not_count() -> None:
    """One person at two places of a frame, in a tenth of the videos."""
    for seed in range(3):
        casts = [cast if i % 10 else [i, i] for i, cast in enumerate(company(200, 100, seed, 2))]
        assert spread(filmed(Population(200, seed), casts)) == 1.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 3), st.integers(1, 9), st.randoms(use_true_random=False))
def test_only_the_set_counts(seed: int, batch: int, chance: random.Random) -> None:
    """In any order, in any batches, asked in between, with videos that went and came again: bit for bit the same.

    A sample smaller than the gallery, at that."""
    videos = alike(40, seed)
    order = list(videos)
    chance.shuffle(order)
    passing = {f"other-{video}": persons for video, persons in alike(20, 8, 0.4).items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(co_occurrence, "SAMPLE", 30)
        there: dict[str, Sequence[GalleryPerson]] = dict(passing)
        grown = CoOccurrence(there.__getitem__)
        grown.replace(passing)
        for start in range(0, len(order), batch):
            some = {video: videos[video][:: chance.choice((1, -1))] for video in order[start : start + batch]}
            if chance.random() < 0.5:
                grown.spread(some)
            there |= some
            grown.replace(some)
            if chance.random() < 0.3:
                grown.replace({video: [] for video in some})
                grown.spread({})
                grown.replace(some)
        grown.replace({video: [] for video in passing})
        assert 0 < grown.spread({}) == spread(videos) < 1


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 5), st.integers(2, 3))
def test_copies_of_the_same_videos_add_nothing(seed: int, copies: int) -> None:
    """Neither to what is found, nor to how sure it is."""
    for some in (alike(40, seed), alike(12, seed), alike(20, seed, 0.85)):
        again = [
            {
                f"{video}-{copy}": [
                    replace(
                        one,
                        key=f"{one.key}-{copy}",
                        video=f"{video}-{copy}",
                        apart=frozenset(f"{key}-{copy}" for key in one.apart),
                    )
                    for one in persons
                ]
                for video, persons in some.items()
            }
            for copy in range(1, copies)
        ]
        assert spread(some, *again) == spread(some)


def test_a_gallery_sees_it_before_the_commit_and_forgets_it_after_the_deletion() -> None:
    """What will be is asked without a change; loaded again, it is the same."""
    videos = alike(40)
    everybody = tuple(member for persons in videos.values() for member in persons)
    arrival = GalleryChange(inserted=everybody)
    gallery = Gallery(0.48)
    expected = gallery.spread(arrival)
    assert expected == spread(videos) < 1
    assert gallery.spread(GalleryChange()) == 1.0
    gallery.apply(gallery.propose(arrival, lambda key: key, 1))
    again = Gallery(0.48)
    again.load([(member, "p") for member in reversed(everybody)], [])
    assert gallery.spread(GalleryChange()) == again.spread(GalleryChange()) == expected
    removal = GalleryChange(removed=frozenset(member.key for member in everybody if member.key.endswith(":0")))
    left = gallery.spread(removal)
    assert left != expected
    gallery.apply(gallery.propose(removal, lambda key: key, 2))
    assert gallery.spread(GalleryChange()) == left == spread({v: persons[1:] for v, persons in videos.items()})
    everything = GalleryChange(removed=frozenset(gallery.members))
    assert gallery.spread(everything) == 1.0
    gallery.apply(gallery.propose(everything, lambda key: key, 3))
    assert gallery.spread(GalleryChange()) == 1.0


def test_the_pair_of_a_video_is_the_middle_one_of_those_seen_together() -> None:
    """Whichever of the two knows of it; who is in no frame with anybody does not count."""

    def person(n: int, x: float, *apart: int) -> GalleryPerson:
        mean = np.full(128, 0, dtype=np.float32)
        mean[0] = x
        return GalleryPerson(f"v:1:{n}", "v", mean, 0.01, frozenset(f"v:1:{other}" for other in apart))

    crowd = [person(0, 0.0, 1), person(1, 0.25), person(2, 1.25, 1), person(3, 9.0, 7), person(4, 0.5, 0, 2)]
    pair = impostor_pair(crowd)
    assert pair is not None
    assert (pair.one.key, pair.other.key) == ("v:1:2", "v:1:4")
    assert pair.squared == pytest.approx(0.75**2 + 0.02)
    assert impostor_pair(crowd[:1] + crowd[3:4]) is None
    assert impostor_pair([]) is None


@given(st.integers(0, 300_000), st.floats(0, 1.5), st.floats(0, 1.5))
def test_it_only_ever_lowers_the_step(persons: int, one: float, other: float) -> None:
    """To whole fiftieths, the more alike the lower, and not below the floor; not where somebody chose a distance."""
    step, low, high = auto_distance(persons), *(auto_distance(persons, s) for s in sorted((one, other)))
    assert FLOOR <= low <= high <= step
    assert low == step or low * 50 == pytest.approx(round(low * 50))
    assert distance_for(0.55, persons, one) == 0.55
    assert distance_for("auto", persons, one) == auto_distance(persons, one)


def test_a_step_below_the_floor_stays() -> None:
    """The floor is where lowering ends, not a distance to rise to."""
    assert calibrated(0.3, 0.5) == 0.3
    assert calibrated(0.48, 0.1) == FLOOR


def test_strangers_are_those_the_steps_were_simulated_on() -> None:
    """The reference is what bench/encodings_of_people.py draws."""
    assert reference(10) == pytest.approx((STRANGERS, ONE_PERSON), abs=0.015)
