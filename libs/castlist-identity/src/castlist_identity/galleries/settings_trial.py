"""What another distance would make of a gallery, tried on a copy of it. Pure: the gallery itself is left alone."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import FIRST, GalleryChange, SampleRole
from castlist_identity.galleries.reclustering import (
    ALL_PERSONS,
    BOUND,
    ReclusterBacklog,
    cluster_component,
    next_batch,
)


@dataclass(frozen=True, slots=True)
class Regrouping:
    """What becomes of profiles: `merged` are those that would be one person, `split` says of each of the others into
    how many it would fall. Of several that merge and fall apart at once both is said. `profiles`: before and after.
    """

    profiles: tuple[int, int]
    merged: tuple[tuple[str, ...], ...]
    split: Mapping[str, int]


def regrouping(before: Mapping[str, str], after: Mapping[str, str]) -> Regrouping:
    """From the profile of each person before and after; how profiles are called afterwards does not matter."""
    comes_from: dict[str, set[str]] = defaultdict(set)
    goes_to: dict[str, set[str]] = defaultdict(set)
    for key, profile in before.items():
        comes_from[after[key]].add(profile)
        goes_to[profile].add(after[key])
    merged = sorted(tuple(sorted(profiles)) for profiles in comes_from.values() if len(profiles) > 1)
    split = {profile: len(parts) for profile, parts in sorted(goes_to.items()) if len(parts) > 1}
    return Regrouping((len(goes_to), len(comes_from)), tuple(merged), split)


class SettingsTrial:
    """A copy of a gallery that is matched again, in another number of stages or up to another distance.

    It goes the way of a gallery whose settings have changed, a batch a step, so that it comes to the same.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._before = dict(gallery.profile_of)
        self._members = [(gallery.members[key], profile) for key, profile in self._before.items()]
        places = ((key, gallery.role_of(key)) for key in self._before)
        self._roles: dict[str, SampleRole] = {key: place for key, place in places if place != FIRST}
        self._profiles = list(gallery.profiles.values())
        self._copy = Gallery(gallery.distance, gallery.links, gallery.stages, gallery.sample)
        self._after: Mapping[str, str] = self._before
        self._backlog = ALL_PERSONS
        self._seen: set[str] = set()
        self._version = 0

    def begin(self, distance: float, stages: int) -> None:
        """Load the copy, which may take seconds, and have it matched by these from now on."""
        self._copy.load(self._members, self._profiles, self._roles)
        self._copy.set_distance(distance, stages)
        self._after = self._copy.profile_of

    def step(self) -> bool:
        """Match some of its persons again; False once that was done with all."""
        if self._backlog.done or not self._copy.members:
            return False
        batch = next_batch(self._copy, self._backlog, self._seen)
        change, clusters = GalleryChange(reconsider=batch.keys), None
        if batch.large:
            members = [self._copy.members[key] for key in batch.keys]
            clusters = cluster_component(members, self._copy.distance, self._copy.links).clusters
            change = GalleryChange()
        self._version += 1
        diff = self._copy.propose(
            change, self._new_id, self._version, BOUND, clusters, batch.moves, everybody=batch.left.done
        )
        self._copy.apply(diff)
        if diff.clusters.whole:
            self._seen |= batch.seen
            unsettled = diff.clusters.unsettled - batch.keys
            self._backlog = ReclusterBacklog(batch.left.after, batch.left.keys | unsettled)
        return True

    def _new_id(self, smallest: str) -> str:
        return f"{self._version}:{smallest}"

    @property
    def found(self) -> Regrouping:
        """What it has come to; nothing has changed where it has not begun."""
        return regrouping(self._before, self._after)
