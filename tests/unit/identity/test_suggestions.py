"""What a person is asked about a gallery: who may be one, who may be two, and how likely it is."""

from collections.abc import Sequence

import numpy as np
import pytest

from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange, SampleRole
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.galleries.suggestions import LIKELY, UNSURE, ProfilesNow, suggestions
from castlist_identity.matching.same_person import likeness
from castlist_identity.nearest.lists import KEPT


def at(key: str, *coordinates: float, apart: tuple[str, ...] = (), name: str | None = None) -> GalleryPerson:
    mean = np.zeros(128, dtype=np.float32)
    mean[: len(coordinates)] = coordinates
    return GalleryPerson(key, f"video of {key}", mean, 0.0, frozenset(apart), name)


def among(
    *alone: GalleryPerson,
    together: Sequence[GalleryPerson] = (),
    following: Sequence[GalleryPerson] = (),
    distance: float = 0.15,
    links: PairConstraints | None = None,
) -> ProfilesNow:
    """Each in a profile of their own, whose id is theirs in capitals, but for those of P who are `together`, and those
    who follow the first person of all."""
    everybody = [(one, one.key.upper()) for one in alone] + [(one, "P") for one in together]
    followers = [(one, alone[0].key.upper()) for one in following]
    gallery = Gallery(distance, links)
    founders = {profile: one.key for one, profile in reversed(everybody)}
    gallery.load(
        [*everybody, *followers],
        [Profile(profile, founder, 1) for profile, founder in founders.items()],
        {one.key: SampleRole(0, True) for one in following},
    )
    return ProfilesNow.of(gallery)


def strangers(count: int, seed: int = 1) -> list[GalleryPerson]:
    """As far from each other as people are, 0.8, and from everybody at the origin."""
    random = np.random.default_rng(seed)
    return [at(f"s{i:03}", *random.normal(0, 0.8 / 16, 128)) for i in range(count)]


def test_two_who_are_nearer_than_strangers_come_are_suggested() -> None:
    """0.55 apart, and nobody else near; further away it is less likely, and where a third is as near it is a guess."""
    (found,), _ = suggestions(among(at("a", 0.0), at("b", 0.55)))
    assert (found.one, found.other) == ("A", "B")
    assert found.distance == pytest.approx(0.55)
    (further,), _ = suggestions(among(at("a", 0.0), at("b", 0.56)))
    assert LIKELY <= further.likeness < found.likeness < 1
    assert suggestions(among(at("a", 0.0), at("b", 0.55), at("c", 0.0, 0.57))) == ([], [])
    assert suggestions(among(at("a", 0.0), at("b", 0.7))) == ([], [])


def test_who_is_known_to_be_two_is_not_suggested() -> None:
    """Seen together, or taken apart by hand; different names may still be one person."""
    assert suggestions(among(at("a", 0.0, apart=("b",)), at("b", 0.5))) == ([], [])
    pair = at("a", 0.0, name="Ann"), at("b", 0.3, name="Anna")
    assert len(suggestions(among(*pair))[0]) == 1
    assert suggestions(among(*pair, links=PairConstraints(cannot_link=frozenset({("b", "a")})))) == ([], [])


def test_whom_a_follower_was_seen_with_is_somebody_else() -> None:
    """Of a crowd a sample is clustered; the others know who is who as well."""
    pair = at("a", 0.0), at("b", 0.55)
    assert suggestions(among(*pair, following=[at("f", 0.1)]))[0]
    assert suggestions(among(*pair, following=[at("f", 0.1, apart=("b",))])) == ([], [])


def test_in_a_large_gallery_it_is_the_nearest_of_both_that_say_how_near_that_is() -> None:
    """Two at 0.5 among strangers are likely one; those at 0.5 with eleven others at the same distance are not."""
    crowd = [at(f"c{i:02}", *(0.0,) * (20 + i), 0.36) for i in range(12)]  # 0.51 from each other
    lonely = at("x", 0.7), at("y", 0.7, 0.5)
    found, _ = suggestions(among(*strangers(80), *crowd, *lonely))
    assert [(pair.one, pair.other) for pair in found] == [("X", "Y")]


def test_who_was_seen_with_a_crowd_is_still_compared_with_everybody() -> None:
    """A soloist's nearest are the choir, who are all known to be others; the nearest of the rest is suggested."""
    choir = [at(f"c{i:02}", *(0.0,) * i, 0.5) for i in range(KEPT + 4)]  # 0.71 from each other
    soloist = at("s", apart=tuple(one.key for one in choir))
    found, _ = suggestions(among(*strangers(80), *choir, soloist, at("z", *(0.0,) * 40, 0.51)))
    assert ("S", "Z") in [(pair.one, pair.other) for pair in found]


def test_what_fits_a_profile_least_is_its_weak_link() -> None:
    """Of three clusters the one that is furthest from the two others; of one cluster there is none."""
    parts = [at("a", 0.0), at("b", 0.1), at("c", 0.0, 0.2), at("d", 0.5, 0.0)]  # a and b are one cluster
    _, (link,) = suggestions(among(at("x", 0.0, 0.0, 2.0), together=parts))
    assert (link.profile, link.videos) == ("P", ("video of d",))
    assert 0.5 < link.likeness <= UNSURE
    assert suggestions(among(together=[at("a", 0.0), at("b", 0.5)], distance=0.6)) == ([], [])
    assert suggestions(among(together=[at("a", 0.0), at("b", 0.3)])) == ([], [])


def test_what_is_looked_at_stays_as_it_was() -> None:
    """While the gallery goes on: it is looked at beside the commits."""
    gallery = Gallery(0.15)
    pair = at("a", 0.0), at("b", 0.55)
    gallery.load([(one, one.key.upper()) for one in pair], [Profile(one.key.upper(), one.key, 1) for one in pair])
    now = ProfilesNow.of(gallery)
    came = GalleryChange(removed=frozenset({"a"}), inserted=(at("c", 0.0, 0.5), at("d", 0.0, 0.0, 0.5)))
    gallery.apply(gallery.propose(came, lambda key: key.upper(), 2))
    assert [(pair.one, pair.other) for pair in suggestions(now)[0]] == [("A", "B")]


def test_a_profile_of_several_clusters_is_one_point() -> None:
    """Whoever is near to the middle of them is suggested once, and not by each cluster."""
    found, _ = suggestions(among(at("x", 0.0, 0.5), together=[at("a", -0.2), at("b", 0.2)]))
    assert [(pair.one, pair.other) for pair in found] == [("P", "X")]


def test_likeness_falls_with_the_distance() -> None:
    """And is a share."""
    values = [likeness(distance) for distance in np.arange(0, 1.2, 0.01)]
    assert values == sorted(values, reverse=True)
    assert 0 < min(values) < 0.05
    assert 0.99 < max(values) < 1
