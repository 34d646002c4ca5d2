"""Who objects is found by one encoding, as far as two persons would be one."""

import numpy as np

from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.objections import objecting


def at(value: float) -> np.ndarray:
    mean = np.zeros(128, np.float32)
    mean[0] = value
    return mean


def test_who_is_within_the_distance_is_found_with_the_nearest_objection() -> None:
    """Both variances count as between persons; of two that are as near the smaller id."""
    people = [GalleryPerson("near", "v", at(0.3), 0.0), GalleryPerson("wide", "v", at(0.3), 0.2),
              GalleryPerson("between", "v", at(1.0), 0.0), GalleryPerson("far", "v", at(3.0), 0.0)]  # fmt: skip
    found = objecting(people, {"b": at(1.4), "a": at(0.6), "c": at(0.0)}, 0.4)
    assert found == {"near": "a", "between": "a"}
    assert objecting(people, {}, 0.4) == {}
