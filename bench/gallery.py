"""A gallery that grows: how well people are told apart, what a commit costs, how much memory the index takes.

    python bench/gallery.py [--sizes 100,1000,10000,100000] [--people strangers] [--seed 1] [--alike 0.85]

Sizes count video persons. The people are synthetic, their encodings spread as measured on real ones
(encodings_of_people.py); half of them are in one video, a quarter in two, and so on, and half of the video persons were
seen together with another. `--people` says of which collection: `colleagues`, or `strangers` of footage and photographs
years apart. With `--alike` they are only so far apart, as a part of what they are there. For `auto`, for the step it
would take if nobody were seen together, for that without the second stage (`one stage`), and for fixed distances, which
have no second stage: B-cubed precision, recall and F
against the truth, as means over several galleries where they are small, and the largest component. A distance at which
persons have more than `--neighbours` others within it on average is left out at that size; `best` then takes its recall
to be 1 and its precision to be what it was at the size before, which is more than it can have. Times are milliseconds
of this process's CPU. The last line is one JSON object.

    python bench/gallery.py --presenter 20000 [--people strangers]

What a commit costs where one person is in so many videos, among 10,000 others, on real servers (presenter.py).
"""

import argparse
import gc
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import presenter
import psutil
from b_cubed import Clusters, b_cubed
from encodings_of_people import COLLECTIONS, Collection, Population, appearances

from castlist_identity.clustering.person_rows import PersonRows
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.galleries.reclustering import BOUND
from castlist_identity.galleries.settings_trial import SettingsTrial
from castlist_identity.matching.auto_distance import auto_distance
from castlist_identity.matching.co_occurrence import CoOccurrence
from castlist_identity.matching.partition import first_stage
from castlist_identity.matching.second_stage import join_clusters

FIXED = (0.30, 0.32, 0.34, 0.36, 0.37, 0.38, 0.39, 0.40, 0.42, 0.44, 0.46, 0.48)
MOST_GALLERIES, PERSONS_SCORED = 20, 10_000
"""How many galleries of one size are scored, and how many persons in all of them."""


@dataclass(frozen=True)
class Scores:
    """Of one distance at one size; `f` of each gallery, not of their mean precision and recall."""

    precision: float
    recall: float
    f: float
    largest: int

    @classmethod
    def mean(cls, scores: Sequence["Scores"]) -> "Scores":
        """Over galleries; of their largest components the largest."""
        precision, recall, f = (float(np.mean([getattr(s, n) for s in scores])) for n in ("precision", "recall", "f"))
        return cls(precision, recall, f, max(score.largest for score in scores))


@dataclass(frozen=True)
class Drawn:
    """A gallery of so many persons, drawn by chance, and what `auto` takes for it: `step` if nobody is alike."""

    members: list[GalleryPerson]
    truth: dict[str, int]
    population: Population
    people: int
    spread: float
    spread_ms: float

    @classmethod
    def of(cls, size: int, seed: int, alike: float, collection: Collection) -> "Drawn":
        who = appearances(size, seed)
        people = max(who) + 1
        population = Population(people + 1000, seed, alike, collection)
        members = population.members(who)
        truth = {member.key: person for member, person in zip(members, who, strict=True)}
        return cls(members, truth, population, people, *spread_among(members))

    @property
    def auto(self) -> float:
        return auto_distance(len(self.members), self.spread)

    @property
    def step(self) -> float:
        return auto_distance(len(self.members))


class Graph:
    """Who is within the widest distance of whom, looked for once."""

    def __init__(self, members: Sequence[GalleryPerson], widest: float) -> None:
        self._members = members
        position = {member.key: i for i, member in enumerate(members)}
        ones: list[int] = []
        others: list[int] = []
        index = PersonRows()  # of those so far: each pair is found once
        for start in range(0, len(members), 1000):
            part = members[start : start + 1000]
            index.add(part)
            for i, near in enumerate(index.within(part, widest**2), start):
                found = [j for key in near if (j := position[key]) < i]
                others += found
                ones += [i] * len(found)
        self._ones, self._others = np.array(ones, dtype=np.int64), np.array(others, dtype=np.int64)
        means = np.array([member.mean for member in members])
        variances = np.array([member.variance for member in members])
        self._squared: npt.NDArray[np.float64] = np.concatenate(
            [
                ((means[a].astype(np.float64) - means[b]) ** 2).sum(axis=1) + variances[a] + variances[b]
                for a, b in zip(*(np.array_split(ends, 1 + len(ones) // 50_000) for ends in self._ends()), strict=True)
            ]
        )

    def _ends(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return self._ones, self._others

    def clusters(self, distance: float) -> tuple[Clusters, int]:
        """Those of the first stage, and the size of the largest component."""
        parent = list(range(len(self._members)))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        near = self._squared <= distance**2
        for i, j in zip(self._ones[near].tolist(), self._others[near].tolist(), strict=True):
            parent[root(i)] = root(j)
        components: dict[int, list[GalleryPerson]] = {}
        for i, member in enumerate(self._members):
            components.setdefault(root(i), []).append(member)
        found: Clusters = []
        for component in components.values():
            found += first_stage(component, distance) if len(component) > 1 else [(component[0].key,)]
        return found, max(map(len, components.values()))


def resident() -> float:
    """MB of this process."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def build(members: Sequence[GalleryPerson]) -> tuple[PersonRows, dict[str, float]]:
    """The index, and what it costs."""
    before, start, cpu = resident(), time.perf_counter(), time.process_time()
    index = PersonRows()
    index.add(members)
    facts = {"build_s": time.perf_counter() - start, "build_cpu_s": time.process_time() - cpu}
    return index, {**facts, "index_mb": resident() - before}


def spread_among(members: Sequence[GalleryPerson]) -> tuple[float, float]:
    """How alike they are, as a gallery sees it, and the ms it takes after loading."""
    videos: dict[str, list[GalleryPerson]] = {}
    for member in members:
        videos.setdefault(member.video, []).append(member)
    together = CoOccurrence(videos.__getitem__)
    together.replace(videos)
    start = time.process_time()
    return together.spread({}), 1000 * (time.process_time() - start)


def queries(index: PersonRows, population: Population, people: int, distance: float) -> tuple[float, float]:
    """Median ms of looking for one person's neighbours: alone, and as one of a batch of 50."""
    asked = [GalleryPerson(f"q{i}", "q", *population.video_person(i % people)) for i in range(150)]

    def median(batch: int) -> float:
        spent = []
        for start in range(0, len(asked), batch):
            began = time.process_time()
            index.within(asked[start : start + batch], distance**2)
            spent.append(1000 * (time.process_time() - began) / batch)
        return float(np.median(spent))

    return median(1), median(50)


def commits(
    gallery: Gallery, population: Population, people: int, videos: int, times: int, name: str
) -> tuple[float, float]:
    """Median and highest ms of commits of `videos` videos with two persons each, seen together, one of them known."""
    spent = []
    for i in range(times):
        new = [
            GalleryPerson(
                f"{name}{i}-{v}:1:{n}",
                f"{name}{i}-{v}",
                *population.video_person(who),
                frozenset({f"{name}{i}-{v}:1:{1 - n}"}),
            )
            for v in range(videos)
            for n, who in enumerate(((7919 * (i * videos + v) + len(name)) % people, people + (i * videos + v) % 1000))
        ]
        start = time.process_time()
        change = GalleryChange(inserted=tuple(new))
        made = gallery.propose(change, f"{name}{i} {{}}".format, i + 2, BOUND)
        gallery.spread(change)
        gallery.apply(made)
        spent.append(1000 * (time.process_time() - start))
    return float(np.median(spent)), max(spent)


def tried(gallery: Gallery, distance: float) -> float:
    """Seconds of CPU that it takes to say what another distance would make of it, on a copy (a dry run of settings)."""
    start = time.process_time()
    trial = SettingsTrial(gallery)
    trial.begin(distance, 1)
    while trial.step():
        pass
    assert trial.found.profiles[0] == len(gallery.persons)
    return time.process_time() - start


def widest_of(index: PersonRows, members: Sequence[GalleryPerson], limit: float) -> float:
    """The largest of the fixed distances with no more than `limit` neighbours on average."""
    sample = members[:: max(1, len(members) // 300)]
    fits = [d for d in FIXED if sum(map(len, index.within(sample, d**2))) / len(sample) <= limit]
    return max(fits)


def scored(drawn: Drawn, index: PersonRows, limit: float) -> tuple[dict[str, Scores], Clusters]:
    """Of `auto`, of its `step` and of fixed distances that have few enough neighbours; and the clusters of `auto`."""
    widest = widest_of(index, drawn.members, limit)
    graph = Graph(drawn.members, max(widest, drawn.auto))
    distances = {
        "auto": (drawn.auto, 2),
        "step": (drawn.step, 2),
        "one stage": (drawn.step, 1),
        **{str(d): (d, 1) for d in FIXED},
    }
    members = {member.key: member for member in drawn.members}
    scores: dict[str, Scores] = {}
    found: dict[tuple[float, int], tuple[Clusters, int]] = {}
    for label, (distance, stages) in distances.items():
        if distance > max(widest, drawn.auto):
            continue
        if (distance, 1) not in found:
            found[distance, 1] = graph.clusters(distance)
        if (distance, stages) not in found:
            clusters, largest = found[distance, 1]
            found[distance, stages] = join_clusters(members, clusters, PairConstraints()), largest
        clusters, largest = found[distance, stages]
        precision, recall = b_cubed(clusters, drawn.truth)
        scores[label] = Scores(precision, recall, 2 * precision * recall / (precision + recall), largest)
    return scores, found[drawn.auto, 2][0]


def accuracy(
    size: int, galleries: int, seed: int, limit: float, alike: float, collection: Collection, first: dict[str, Scores]
) -> dict[str, Scores]:
    """The mean over so many galleries: where they are small one wrong join is a percent. `first` is of one of them."""
    several = [first]
    for other in range(1, galleries):
        drawn = Drawn.of(size, seed + 1000 * other, alike, collection)
        index = PersonRows()
        index.add(drawn.members)
        several.append(scored(drawn, index, limit)[0])
    return {
        label: Scores.mean([one[label] for one in several]) for label in first if all(label in one for one in several)
    }


def measure(size: int, seed: int, limit: float, alike: float, collection: Collection) -> dict[str, Any]:
    """Everything about one size, printed as it comes."""
    before = resident()
    drawn = Drawn.of(size, seed, alike, collection)
    persons_mb = resident() - before
    members, population, people, auto = drawn.members, drawn.population, drawn.people, drawn.auto
    galleries = max(1, min(MOST_GALLERIES, PERSONS_SCORED // size))
    print(
        f"\n{size} video persons, {galleries} galleries; of the first: {people} people, spread {drawn.spread:.2f}, "
        f"auto {auto}, its step {drawn.step}",
        flush=True,
    )
    index, facts = build(members)
    alone, batched = queries(index, population, people, auto)
    first, chosen = scored(drawn, index, limit)
    scores = accuracy(size, galleries, seed, limit, alike, collection, first)
    print(f"  {'distance':>10}{'precision':>11}{'recall':>9}{'F':>9}{'largest component':>20}")
    for label, one in scores.items():
        print(f"  {label:>10}{one.precision:11.4f}{one.recall:9.4f}{one.f:9.4f}{one.largest:20}", flush=True)
    gallery = Gallery(auto)
    profile_of = {key: cluster[0] for cluster in chosen for key in cluster}
    profiles = [Profile(id, id, 1) for id in sorted(set(profile_of.values()))]
    start = time.process_time()
    gallery.load([(member, profile_of[member.key]) for member in members], profiles)
    load_s = time.process_time() - start
    gallery.spread(GalleryChange())
    single, highest = commits(gallery, population, people, 1, 30, "a")
    fifty, _ = commits(gallery, population, people, 50, 6, "b")
    trial_s = tried(gallery, auto - 0.02)
    built = f"{facts['index_mb']:.0f} MB (the persons themselves {persons_mb:.0f}), built in {facts['build_s']:.1f} s"
    print(
        f"  a commit of 1 video: {single:.1f} ms (at most {highest:.1f}), of 50: {fifty:.1f} ms; "
        f"a search {alone:.2f} ms, in a batch {batched:.2f} ms; index {built}; "
        f"loaded in {load_s:.1f} s, how alike they are in {drawn.spread_ms:.1f} ms, "
        f"another distance tried in {trial_s:.1f} s"
    )
    costs = {
        "commit_ms": single,
        "commit_max_ms": highest,
        "commit_50_ms": fifty,
        "search_ms": alone,
        "spread_ms": drawn.spread_ms,
        "load_s": load_s,
        "trial_s": trial_s,
        "persons_mb": persons_mb,
    }
    return {
        "auto": auto,
        "step": drawn.step,
        "spread": round(drawn.spread, 3),
        "scores": {d: [round(s.precision, 4), round(s.recall, 4), round(s.f, 4), s.largest] for d, s in scores.items()},
        **{name: round(value, 2) for name, value in {**costs, "search_batch_ms": batched, **facts}.items()},
    }


def best_single(sizes: dict[int, dict[str, Any]]) -> tuple[float, float]:
    """The fixed distance with the highest mean F over all sizes, and that mean."""

    def mean(distance: float) -> float:
        fs, precision = [], 1.0
        for one in sizes.values():
            if (score := one["scores"].get(str(distance))) is not None:
                precision = score[0]
                fs.append(score[2])
            else:
                fs.append(2 * precision / (precision + 1))
        return float(np.mean(fs))

    return max((mean(distance), distance) for distance in FIXED)[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000,100000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--neighbours", type=float, default=25)
    parser.add_argument("--alike", type=float, default=1.0)
    parser.add_argument("--people", choices=sorted(COLLECTIONS), default="colleagues")
    parser.add_argument("--presenter", type=int, metavar="K")
    args = parser.parse_args()
    if args.presenter is not None:
        presenter.measure(args.presenter, args.people, args.seed)
        return
    collection = COLLECTIONS[args.people]
    sizes = {int(s): measure(int(s), args.seed, args.neighbours, args.alike, collection) for s in args.sizes.split(",")}
    autos, steps = ({size: one["scores"].get(kind) for size, one in sizes.items()} for kind in ("auto", "step"))
    distance, best = best_single(sizes)
    mean = float(np.mean([score[2] for score in autos.values()]))
    print(f"\nauto: mean F {mean:.4f}, lowest precision {min(score[0] for score in autos.values()):.4f}")
    for size, score in steps.items():
        if score != autos[size]:
            alone = "too many neighbours to be scored" if score is None else f"precision {score[0]}, F {score[2]}"
            print(f"  at {size}: precision {autos[size][0]}, F {autos[size][2]}; its step alone: {alone}")
    print(f"best single distance over these sizes: {distance}, mean F {best:.4f}")
    print(json.dumps({"sizes": sizes, "auto_f": round(mean, 4), "best": [distance, round(best, 4)]}))


if __name__ == "__main__":
    main()
