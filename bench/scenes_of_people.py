"""Synthetic videos with everything in them that the rules of identity are about, and who is who in them.

People spread as measured on real ones (encodings_of_people.py), some of them loose; a person may be away for a while
and come back (a new track, another pose). Those of one video are in one picture, or one after the other. Twins are each
other's nearest and in one picture. Junk is what a detector takes for faces: small, weak or seen once, with encodings of
nobody, or blurred ones of somebody.
"""

from collections import Counter

import numpy as np
from encodings_of_people import BETWEEN_FACES, BETWEEN_PEOPLE, SIZE, Population, Vector

from castlist.contract.box import Box
from castlist.contract.values import Crop, FrameSize, Sighting
from castlist.contract.vectors import VectorFace
from castlist_identity.domain import Track, VideoPerson

VIDEOS, PEOPLE, TWINS = 24, 10, 2
JUNK = -1


class Scenes:
    """One set of videos; the same for the same seed. `tracks` by video."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._population = Population(PEOPLE, seed)
        self._noise = BETWEEN_FACES.axes(self._chance)
        for twin in range(0, 2 * TWINS, 2):
            apart = self._chance.normal(size=SIZE)
            self._population.centres[twin + 1] = self._population.centres[twin] + 0.3 * apart / np.linalg.norm(apart)
        self.truth: dict[tuple[str, int], int] = {}
        self.tracks = {f"v{i:02}": self._video(f"v{i:02}") for i in range(VIDEOS)}

    def score(self, found: list[tuple[str, VideoPerson, tuple[str, ...]]]) -> tuple[float, float]:
        """B-cubed precision and recall over tracks that show somebody. Junk that founded a person, and people that
        were not found, are counted as wrong."""
        items: list[tuple[tuple[str, ...], int]] = []
        missing = Counter({(video, who): 1 for (video, _), who in self.truth.items() if who != JUNK})
        for video, person, profile in found:
            who = self._who(video, person)
            items.append((profile, who if who != JUNK else -2 - len(items)))
            missing.pop((video, who), None)
        people = Counter(who for _, who in items) + Counter(who for _, who in missing)
        precision = recall = 0.0
        together = Counter(items)
        profiles = Counter(profile for profile, _ in items)
        for profile, who in items:
            if who > JUNK:
                precision += together[profile, who] / profiles[profile]
                recall += together[profile, who] / people[who]
        return precision / max(1, len(items)), recall / sum(count for who, count in people.items() if who > JUNK)

    def _who(self, video: str, person: VideoPerson) -> int:
        """Whoever most of the person's crop track shows: crops are keyed by track."""
        assert person.crop is not None
        return self.truth[video, int(person.crop.key)]

    def _video(self, video: str) -> list[Track]:
        present = [int(who) for who in self._chance.choice(PEOPLE, size=self._chance.integers(1, 4), replace=False)]
        if 0 in present or 2 in present:
            first = 0 if 0 in present else 2
            present = [first, first + 1, *(who for who in present if who > 2 * TWINS)]
        one_by_one = present[0] >= 2 * TWINS and self._chance.random() < 0.5
        tracks: list[Track] = []
        for place, who in enumerate(present):
            session = self._population.shift(who)
            for scene in range(int(self._chance.integers(1, 4))):
                pose = 0.5 * self._population.shift(who)
                turn = scene + 3 * place if one_by_one else scene
                tracks.append(self._track(video, len(tracks), who, place, turn, session + pose))
        for _ in range(int(self._chance.integers(0, 4))):
            tracks.append(self._junk(video, len(tracks), present))
        return tracks

    def _track(self, video: str, index: int, who: int, place: int, scene: int, shift: Vector) -> Track:
        loud = BETWEEN_FACES.factor(self._chance, 1)[0]
        width = int(self._chance.choice([51, 62, 75, 90, 140]))
        encodings = self._population.centres[who] + shift + loud * self._chance.normal(size=(5, SIZE)) @ self._noise
        self.truth[video, index] = who
        return self._made(index, encodings, 5.0 * scene, place, width, float(self._chance.uniform(0.5, 2.0)), 10)

    def _junk(self, video: str, index: int, present: list[int]) -> Track:
        """Nobody, or a blurred glimpse of somebody who is there."""
        kind = self._chance.integers(4)
        width, score, sightings = 90, 1.0, 10
        if kind == 0:
            width = 36
        elif kind == 1:
            score = 0.1
        else:
            sightings = 1
        middle = self._population.middle
        nobody = middle + self._chance.normal(size=SIZE) @ BETWEEN_PEOPLE.axes(self._chance)
        blurred = self._population.centres[present[0]] + 2.0 * self._chance.normal(size=SIZE) @ self._noise
        encoding = blurred if kind == 3 else nobody
        self.truth[video, index] = JUNK
        return self._made(index, encoding[np.newaxis], 80.0 + 5 * index, 9, width, score, sightings)

    def _made(
        self, index: int, encodings: Vector, start: float, place: int, width: int, score: float, sightings: int
    ) -> Track:
        box = Box(200 * place, 100, width, width)
        times = [start + 0.2 * i for i in range(sightings)]
        faces = tuple(
            VectorFace(time, box, score, score, encoding.astype(np.float32))
            for time, encoding in zip(times, encodings, strict=False)
        )
        crop = Crop(str(index), times[0], box, FrameSize(2000, 1000), score)
        return Track(0, index, tuple(Sighting(time, box, score) for time in times), faces, crop)
