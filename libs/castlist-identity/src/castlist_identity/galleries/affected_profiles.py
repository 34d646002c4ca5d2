"""The profiles that a change touches: the clusters of both stages as they will be, as far as anything differs."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from castlist_identity.galleries.affected_clusters import with_rest
from castlist_identity.galleries.affected_rounds import AffectedRounds
from castlist_identity.galleries.cluster_map import ClusterMap
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.key_groups import KeyGroups
from castlist_identity.matching.cluster_key import cluster_key
from castlist_identity.matching.second_stage import (
    Cluster,
    components,
    decided_with,
    joined_of,
    parted_by_sight,
)
from castlist_identity.nearest.nearest_clusters import NearestClusters


class ClusteredGallery(Protocol):
    """What is asked of a gallery here; `castlist_identity.galleries.gallery.Gallery` answers it."""

    stages: int
    profile_of: dict[str, str]
    persons: KeyGroups
    clusters: ClusterMap
    nearest: NearestClusters

    def sampled_of(self, profile: str) -> Collection[str]: ...


class AffectedProfiles:
    """Works out the second stage of what becomes of the first, which brings it about.

    `nearest` is what that makes of everybody's nearest others. Groups are of the samples; `everybody` adds who follows.
    """

    def __init__(self, gallery: ClusteredGallery, change: GalleryChange, after: AffectedRounds) -> None:
        self._gallery, self._change, self._after = gallery, change, after
        self._touched = {cluster_key(cluster): cluster for cluster in after.touched}
        self.nearest = gallery.nearest.change(after.gone, list(after.points.values()), after.further)

    def profiles(self, everybody: bool = False, whole: bool = False) -> list[Cluster]:
        """All profiles whose sample or names will not be what they were, as sorted tuples of their persons, sorted.

        `everybody`: whether all of the gallery is looked through, and not only what the change can have touched.
        `whole`: whether those count, too, of whom others do not have the profile that they should.
        """
        nearest = self.nearest
        if everybody:
            seeds: Collection[str] = nearest.keys()
        else:
            left = {key for gone in self._after.out for key in self._sharing(self._gallery.profile_of[gone])}
            shifted = nearest.shifted() if self._gallery.stages > 1 else set()
            doubted = {key for key in self._after.doubted if self._stays(key)}
            seeds = sorted(self._touched.keys() | shifted | left | doubted)
        found: list[Cluster] = []
        for group in self._groups(seeds):
            sampled = [person for key in group for person in self._persons(key)]
            if self._differs(sampled) or (whole and self._others_differ(group)):
                found.append(tuple(sorted([*sampled, *(one for key in group for one in self._after.followers(key))])))
        return sorted(found)

    def _stays(self, key: str) -> bool:
        return key in self._after.come or (key in self._gallery.clusters and key not in self._after.gone)

    def _others_differ(self, group: Collection[str]) -> bool:
        """Whether who follows these is in another profile than they."""
        profile_of, persons = self._gallery.profile_of, [one for key in group for one in self._persons(key)]
        profiles = {profile_of.get(one) for one in persons}
        return any(profile_of.get(one) not in profiles for key in group for one in self._after.followers(key))

    def _groups(self, seeds: Collection[str]) -> Iterator[list[str]]:
        """The clusters of each profile that holds one of these, or one that may come to it or leave it."""
        after, stages = self._after, self._gallery.stages
        for component in components(self.nearest, seeds, self._beside, stages) if seeds else ():
            held = {key: [after.member(one) for one in self._persons(key)] for key in component}
            yield from joined_of(self.nearest, component, held, self._seen_together, after.links, stages)

    def _seen_together(self, component: Sequence[str]) -> list[tuple[int, int]]:
        after = self._after
        return parted_by_sight(component, self._persons, after.followers, after.size, after.seen_with, after.cluster_of)

    def unjoined(self) -> list[Cluster]:
        """The touched profiles where nobody who is there moves; who is new comes to that of their cluster, or alone.

        This is no second stage, and lasts until everybody is looked through.
        """
        gallery, gone = self._gallery, self._change.removed
        found = {profile: set[str]() for profile in {gallery.profile_of[key] for key in gone}}
        coming: dict[str, list[str]] = {key: [] for key in self._touched}
        for key, home in sorted(self._after.homes.items()):
            if home is not None and key not in gallery.profile_of:
                coming.setdefault(home, []).append(key)
        for cluster, others in sorted(coming.items()):
            persons = self._persons(cluster)
            profiles = sorted({gallery.profile_of[key] for key in persons if key in gallery.profile_of})
            found |= {profile: set() for profile in profiles if profile not in found}
            for key in (key for key in (*persons, *others) if key not in gallery.profile_of):
                home = next(
                    (id for id in profiles if not self._parted(key, found[id] | gallery.persons.get(id, set()))), None
                )
                if home is None:
                    profiles.append(home := key)
                    found[key] = set()
                found[home].add(key)
        groups = [keys | (gallery.persons.get(profile, set()) - gone) for profile, keys in found.items()]
        return sorted(tuple(sorted(group)) for group in groups if group)

    def _parted(self, key: str, others: Iterable[str]) -> bool:
        member, present = self._after.member(key), (one for one in others if one not in self._change.removed)
        return any(self._after.links.part(member, self._after.member(other)) for other in present)

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

    def placed(
        self, profiles: Sequence[Cluster], room: int | None, bound: int | None
    ) -> tuple[dict[str, str], frozenset[str]]:
        """Followers outside of these profiles, each with somebody whose profile it comes to; and the clusters of those
        who are to come to another later, as only so many may (None: any number) or, with a bound of 0, nobody."""
        after, profile_of = self._after, self._gallery.profile_of
        grouped = {key for profile in profiles for key in profile}
        placed, late = dict[str, str](), set[str]()
        for key, home in sorted(after.homes.items()):
            if home is None or key in grouped or not after.present(key):
                continue
            beside = after.persons(home)[0]
            if key not in profile_of:
                placed[key] = beside
            elif beside in grouped or profile_of[beside] != profile_of[key]:
                if bound == 0 or beside in grouped or (room is not None and len(placed) >= room):
                    late.add(home)
                else:
                    placed[key] = beside
        return placed, frozenset(late)

    def _part(self, profile: Cluster, moves: int) -> Cluster:
        """At most so many of its persons, and the largest profile that goes into it whole."""
        persons, members = self._gallery.persons, set(profile)
        inside = [id for id in {self._gallery.profile_of[key] for key in profile} if persons[id] <= members]
        core = persons[max(inside, key=lambda id: (len(persons[id]), id))] if inside else set()
        return tuple(sorted(core | set(sorted(members - core)[:moves])))

    def _differs(self, sampled: Sequence[str]) -> bool:
        before = self._gallery.sampled_of(self._gallery.profile_of.get(sampled[0], ""))
        return (
            len(before) != len(sampled)
            or not all(key in before for key in sampled)
            or any(key in self._change.named for key in sampled)
        )

    def _beside(self, key: str) -> set[str]:
        """The clusters that share a profile with this one up to now, or are one with it by decision."""
        after = self._after
        profiles = {self._gallery.profile_of[one] for one in self._persons(key) if one in self._gallery.profile_of}
        shared = {other for profile in profiles for other in self._sharing(profile)}
        return shared | decided_with(self._persons(key), after.links, after.sampled_cluster)

    def _sharing(self, profile: str) -> set[str]:
        after = self._after
        there = (after.sampled_cluster(key) for key in self._gallery.sampled_of(profile))
        return {key for key in there if key is not None}

    def _persons(self, key: str) -> Cluster:
        return self._after.persons(key)
