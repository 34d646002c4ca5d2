"""The profiles that a change touches: the clusters of both stages as they will be, as far as anything differs."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from castlist_identity.affected_clusters import with_rest
from castlist_identity.cluster_summary import summary
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.gallery_diff import GalleryChange
from castlist_identity.nearest_clusters import NearestClusters
from castlist_identity.second_stage import Cluster, components, joined_of


class ClusteredGallery(Protocol):
    """What is asked of a gallery here; `castlist_identity.gallery.Gallery` answers it."""

    stages: int
    profile_of: dict[str, str]
    persons: dict[str, set[str]]
    cluster_of: dict[str, str]
    clusters: dict[str, Cluster]
    nearest: NearestClusters


class MembersAfter(Protocol):
    """Persons and decisions as they will be; `AffectedClusters` answers it."""

    @property
    def links(self) -> PairConstraints: ...

    def member(self, key: str) -> GalleryPerson: ...

    def parted(self, one: GalleryPerson, other: GalleryPerson) -> bool: ...


class AffectedProfiles:
    """Works out the second stage of what `clusters`, the touched ones of the first, bring about.

    `gone` and `come` are what does not stay of those, `nearest` what that makes of everybody's nearest others.
    """

    def __init__(
        self,
        gallery: ClusteredGallery,
        change: GalleryChange,
        after: MembersAfter,
        clusters: Sequence[Cluster],
    ) -> None:
        self._gallery, self._change, self._after = gallery, change, after
        self._touched = {cluster[0]: cluster for cluster in clusters}
        persons = {key for cluster in clusters for key in cluster} | change.removed
        old = {gallery.cluster_of[key] for key in persons if key in gallery.cluster_of}
        self.gone = frozenset(key for key in old if self._touched.get(key) != gallery.clusters[key])
        self.come = {key: cluster for key, cluster in self._touched.items() if gallery.clusters.get(key) != cluster}
        self._cluster_of = {key: cluster[0] for cluster in clusters for key in cluster}
        points = [summary(key, [after.member(one) for one in cluster]) for key, cluster in self.come.items()]
        self.nearest = gallery.nearest.change(self.gone, points)

    def profiles(self, everybody: bool = False) -> list[Cluster]:
        """All profiles whose persons or names will not be what they were, as sorted tuples of their persons, sorted.

        `everybody`: whether all of the gallery is looked through, and not only what the change can have touched.
        """
        nearest = self.nearest
        if everybody:
            seeds = nearest.keys()
        else:
            left = {key for gone in self._change.removed for key in self._sharing(self._gallery.profile_of[gone])}
            shifted = nearest.shifted() if self._gallery.stages > 1 else set()
            seeds = sorted(self._touched.keys() | shifted | left)
        found: list[Cluster] = []
        for group in self._groups(seeds):
            profile = tuple(sorted(person for key in group for person in self._persons(key)))
            if self._differs(profile):
                found.append(profile)
        return sorted(found)

    def _groups(self, seeds: Collection[str]) -> Iterator[list[str]]:
        """The clusters of each profile that holds one of these, or one that may come to it or leave it."""
        if self._gallery.stages == 1:
            yield from ([key] for key in sorted({other for seed in seeds for other in (seed, *self._beside(seed))}))
            return
        for component in components(self.nearest, seeds, self._beside) if seeds else ():
            yield from joined_of(self.nearest, component, self._members, self._after.links.cannot_link)

    def unjoined(self) -> list[Cluster]:
        """The touched profiles where nobody who is there moves; who is new comes to that of their cluster, or alone.

        This is no second stage, and lasts until everybody is looked through.
        """
        gallery, gone = self._gallery, self._change.removed
        found = {profile: set[str]() for profile in {gallery.profile_of[key] for key in gone}}
        for _, cluster in sorted(self._touched.items()):
            profiles = sorted({gallery.profile_of[key] for key in cluster if key in gallery.profile_of})
            found |= {profile: set() for profile in profiles if profile not in found}
            for key in (key for key in cluster if key not in gallery.profile_of):
                home = next((id for id in profiles if not self._parted(key, found[id] | gallery.persons[id])), None)
                if home is None:
                    profiles.append(home := key)
                    found[key] = set()
                found[home].add(key)
        groups = [keys | (gallery.persons.get(profile, set()) - gone) for profile, keys in found.items()]
        return sorted(tuple(sorted(group)) for group in groups if group)

    def _parted(self, key: str, others: Iterable[str]) -> bool:
        member, present = self._after.member(key), (one for one in others if one not in self._change.removed)
        return any(self._after.parted(member, self._after.member(other)) for other in present)

    def portion(self, profiles: Sequence[Cluster], moves: int) -> tuple[list[Cluster], bool]:
        """So many of the profiles as at most so many persons move into, and whether these are all of them.

        Small ones first: so the largest part of a profile keeps its id. One that moves more persons than that is taken
        over in several portions. With what is left of the profiles that their persons were in.
        """
        if sum(map(len, profiles)) <= moves:
            return list(profiles), True
        taken: list[Cluster] = []
        whole = True
        for profile in sorted(profiles, key=lambda one: (len(one), one)):
            if taken and sum(map(len, taken)) + len(profile) > moves:
                whole = False
                break
            taken.append(self._part(profile, moves))
            if len(taken[-1]) < len(profile):
                whole = False
                break
        return with_rest(taken, self._gallery.profile_of, self._gallery.persons), whole

    def _part(self, profile: Cluster, moves: int) -> Cluster:
        """At most so many of its persons, and the largest profile that goes into it whole."""
        persons, members = self._gallery.persons, set(profile)
        inside = [id for id in {self._gallery.profile_of[key] for key in profile} if persons[id] <= members]
        core = persons[max(inside, key=lambda id: (len(persons[id]), id))] if inside else set()
        return tuple(sorted(core | set(sorted(members - core)[:moves])))

    def _differs(self, profile: Cluster) -> bool:
        before = self._gallery.persons.get(self._gallery.profile_of.get(profile[0], ""), ())
        return (
            len(before) != len(profile)
            or not all(key in before for key in profile)
            or any(key in self._change.named for key in profile)
        )

    def _beside(self, key: str) -> set[str]:
        """The clusters that share a profile with this one up to now."""
        profiles = {self._gallery.profile_of[one] for one in self._persons(key) if one in self._gallery.profile_of}
        return {other for profile in profiles for other in self._sharing(profile)}

    def _sharing(self, profile: str) -> set[str]:
        there = self._gallery.persons[profile] - self._change.removed
        return {self._cluster_of.get(key) or self._gallery.cluster_of[key] for key in there}

    def _persons(self, key: str) -> Cluster:
        return self._touched.get(key) or self._gallery.clusters[key]

    def _members(self, key: str) -> list[GalleryPerson]:
        return [self._after.member(one) for one in self._persons(key)]
