"""Another distance is tried on a copy: it comes to what the gallery would, and the gallery stays as it is."""

import random

import numpy as np
import pytest

from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.settings_trial import SettingsTrial, regrouping
from castlist_identity.matching.partition import partition


def world(seed: int, videos: int) -> list[GalleryPerson]:
    """People in videos, near enough to each other that the distance decides."""
    chance = random.Random(seed)
    people = [np.array([chance.uniform(0, 1.5) for _ in range(3)]) for _ in range(6)]
    found = []
    for video in range(videos):
        for n, face in enumerate(chance.sample(people, 2)):
            mean = np.zeros(128, dtype=np.float32)
            mean[:3] = face + [chance.gauss(0, 0.08) for _ in range(3)]
            found.append(GalleryPerson(f"v{video:02}:1:{n}", f"v{video:02}", mean, 0.0, frozenset(), None))
    return found


@pytest.mark.parametrize(("old", "new"), [(0.55, 0.25), (0.25, 0.5)])
@pytest.mark.parametrize("seed", range(3))
def test_a_trial_comes_to_what_the_gallery_would(seed: int, old: float, new: float) -> None:
    """The partition of the new distance, said as what merges and what falls apart; the gallery is left alone."""
    people = world(seed, 30)
    gallery = Gallery(old, stages=1)
    gallery.apply(gallery.propose(GalleryChange(inserted=tuple(people)), lambda key: f"p-{key}", 1))
    before, clusters = dict(gallery.profile_of), dict(gallery.clusters)
    trial = SettingsTrial(gallery)
    trial.begin(new, 1)
    while trial.step():
        pass
    wanted = {key: cluster[0] for cluster in partition(people, new, stages=1) for key in cluster}
    assert trial.found == regrouping(before, wanted)
    assert trial.found.merged or trial.found.split
    assert (gallery.profile_of, dict(gallery.clusters), gallery.distance) == (before, clusters, old)


def test_what_merges_and_what_falls_apart() -> None:
    """Both may be true of one profile; what only gets another name is neither."""
    before = {"a": "p", "b": "p", "c": "q", "d": "r"}
    found = regrouping(before, {"a": "x", "b": "y", "c": "y", "d": "z"})
    assert (found.profiles, found.merged, found.split) == ((3, 3), (("p", "q"),), {"p": 2})
