"""Synthetic people whose encodings spread as those of real ones do.

Measured with `bench/identity.py --clips … --spread` on fifteen labelled clips (eight people, 24 video persons, all
encodings as the pipeline makes them), as a total variance and an effective number of dimensions (Σλ)²/Σλ²:

- between people: squared distances of their means have mean 0.426 and standard deviation 0.128, which is a Gaussian
  of variance 0.213 in 22 dimensions;
- between videos of one person, around its mean: variance 0.0132 in about 16 dimensions (7.9 in the sample, which has
  15 degrees of freedom); it differs from person to person;
- between faces of one track: variance 0.038 in 20 dimensions; it differs from video to video.

Half of the eight are colleagues in front of one camera: people are nearer to each other here than in collections of
strangers (published distances of strangers are about 1.25 times larger), and so the sizes at which look-alikes begin to
chain are on the pessimistic side. Videos of one person are nearer to each other, too, by the same factor.

A second population spreads as 109 people do in 198 pairs of footage and photographs, years apart some of them: squared
distances of means have mean 0.664 and standard deviation 0.152 between strangers, with a tail of the near that no
Gaussian has (D < 0.50 in 0.1 % of pairs, < 0.54 in 0.3 %); one person varies four times as much between videos. Some
people are of a kind there: nearer to each other than people are, and nearer to everybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from castlist.contract.vectors import Vector as Encoding
from castlist_identity.clustering.person_distances import person_distances
from castlist_identity.domain import GalleryPerson

Vector = npt.NDArray[np.float64]
SIZE = 128
NORM = 1.46
FACES = 5
VARIANCE_CAP = 0.04


@dataclass(frozen=True)
class Spread:
    """A Gaussian with this total variance in so many effective dimensions; `uneven` is the σ of its logarithm."""

    variance: float
    dimensions: float
    uneven: float = 0.0

    def axes(self, chance: np.random.Generator) -> Vector:
        """[d, 128], to be multiplied with standard normal numbers: eigenvalues fall geometrically, axes are random."""
        ratio = (self.dimensions - 1) / (self.dimensions + 1)
        values = ratio ** np.arange(SIZE)
        values *= self.variance / values.sum()
        rotation, _ = np.linalg.qr(chance.normal(size=(SIZE, SIZE)))
        axes: Vector = np.sqrt(values)[:, np.newaxis] * rotation.T
        return axes

    def factor(self, chance: np.random.Generator, count: int) -> Vector:
        """By how much each of `count` spreads more or less than the others, as standard deviations; mean square 1."""
        result: Vector = np.exp(chance.normal(-(self.uneven**2), self.uneven, count))
        return result


BETWEEN_PEOPLE = Spread(0.213, 22)
BETWEEN_VIDEOS = Spread(0.0132, 16, 0.3)
BETWEEN_FACES = Spread(0.038, 20, 0.25)


@dataclass(frozen=True)
class Kind:
    """People of a kind: this share of all, so much nearer to each other, around a centre so far from the middle."""

    share: float
    nearer: float
    off: float


@dataclass(frozen=True)
class Collection:
    """How the people of a population spread, and each from video to video."""

    people: Spread
    videos: Spread
    kind: Kind | None = None


COLLEAGUES = Collection(BETWEEN_PEOPLE, BETWEEN_VIDEOS)
STRANGERS = Collection(Spread(0.29, 28), Spread(0.05, 16, 0.4), Kind(0.15, 0.6, 0.35))
COLLECTIONS = {"colleagues": COLLEAGUES, "strangers": STRANGERS}


class Population:
    """So many people; the same for the same seed.

    `alike`: how far apart they are, as a part of what strangers are; everything else is as it is for those.
    """

    def __init__(self, people: int, seed: int = 1, alike: float = 1.0, of: Collection = COLLEAGUES) -> None:
        self._chance = np.random.default_rng(seed)
        middle = self._chance.normal(size=SIZE)
        self.middle: Vector = NORM * middle / np.linalg.norm(middle)
        centres = self._chance.normal(size=(people, SIZE)) @ of.people.axes(self._chance)
        if of.kind is not None:
            direction = self._chance.normal(size=SIZE)
            centre = of.kind.off * direction / np.linalg.norm(direction)
            are = self._chance.uniform(size=people) < of.kind.share
            centres[are] = of.kind.nearer * centres[are] + centre
        self.centres: Vector = alike * centres + self.middle
        self._videos = of.videos.axes(self._chance)
        self._loose = of.videos.factor(self._chance, people)
        self._faces = BETWEEN_FACES.axes(self._chance)

    def video_person(self, who: int) -> tuple[Encoding, float]:
        """(mean, variance) of this person in another video, as `people_of_video` would find it."""
        chance = self._chance
        shift = self.shift(who)
        noise = BETWEEN_FACES.factor(chance, 1)[0] * chance.normal(size=(FACES, SIZE)) @ self._faces
        faces = self.centres[who] + shift + noise
        mean = faces.mean(axis=0)
        variance = float(((faces - mean) ** 2).sum(axis=1).mean())
        return mean.astype(np.float32), min(variance, VARIANCE_CAP)

    def shift(self, who: int) -> Vector:
        """By how much this person is off their own mean in another video."""
        result: Vector = self._loose[who] * self._chance.normal(size=SIZE) @ self._videos
        return result

    def members(self, appearances: Sequence[int]) -> list[GalleryPerson]:
        """A video person of each of `appearances`.

        Of each four the first two are in one video, seen together, unless they are one; the others have a video each.
        """
        found: list[GalleryPerson] = []
        for i, who in enumerate(appearances):
            together = i % 4 == 1 and appearances[i - 1] != who
            video = f"v{i - together:07}"
            other = frozenset({f"{video}:1:0"} if together else ())
            found.append(GalleryPerson(f"{video}:1:{int(together)}", video, *self.video_person(who), other))
        return found


def reference(seeds: int = 60, people: int = 120) -> tuple[float, float]:
    """Median D² of two people, and of one person in two videos: STRANGERS and ONE_PERSON of calibration.py."""
    different, same = [], []
    for seed in range(seeds):
        population = Population(people, seed)
        once, again = ([GalleryPerson("", "", *population.video_person(i)) for i in range(people)] for _ in range(2))
        different += [float(person_distances(one, [other])[0]) for one, other in [*pairwise(once)][::2]]
        same += [float(person_distances(one, [other])[0]) for one, other in zip(once, again, strict=True)]
    return float(np.median(different)), float(np.median(same))


def appearances(size: int, seed: int = 2) -> list[int]:
    """Who is in each of `size` videos: half of the people once, a quarter twice, an eighth three times, and so on."""
    chance = np.random.default_rng(seed)
    found: list[int] = []
    for who in range(size):
        found += [who] * int(chance.geometric(0.5))
        if len(found) >= size:
            break
    chance.shuffle(found)
    return found[:size]
