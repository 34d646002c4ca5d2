"""One gallery in memory: its persons, its profiles, and what a commit would change.

`propose` computes and changes nothing, so it can run before the transaction and be thrown away when the transaction
loses; `apply` follows it once the transaction has won.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from castlist_identity.affected_clusters import AffectedClusters, renamed
from castlist_identity.affected_profiles import AffectedProfiles
from castlist_identity.average_link import EDGE
from castlist_identity.cluster_summary import summary
from castlist_identity.co_occurrence import CoOccurrence
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.gallery_diff import ClusterChange, GalleryChange, GalleryDiff, GallerySnapshot, diff_gallery
from castlist_identity.nearest_clusters import NearestClusters
from castlist_identity.neighbour_index import NeighbourIndex
from castlist_identity.partition import DENSE, first_stage
from castlist_identity.profile_ids import Profile
from castlist_identity.second_stage import STAGES

REMEMBERED = 4_000_000
"""How many pairs of neighbours are kept. Past it they are forgotten and searched again as they are needed."""


class Gallery:
    """`distance` is the D up to which persons join, `stages` whether anything is joined by more than that.

    Holding to `apply(propose(change))`, the partition is at any time exactly that of `partition` over all persons,
    save for the components named in `unsettled`. `clusters` are those of the first stage by their smallest keys, of
    which profiles are made.
    """

    def __init__(self, distance: float, links: PairConstraints | None = None, stages: int = STAGES) -> None:
        self.distance, self.stages = distance, stages
        self.links = links or PairConstraints()
        self.members: dict[str, GalleryPerson] = {}
        self.profile_of: dict[str, str] = {}
        self.profiles: dict[str, Profile] = {}
        self.persons: dict[str, set[str]] = defaultdict(set)
        self.clusters: dict[str, tuple[str, ...]] = {}
        self.cluster_of: dict[str, str] = {}
        self.nearest = NearestClusters()
        self._founded: dict[str, set[str]] = defaultdict(set)
        self._videos: dict[str, set[str]] = defaultdict(set)
        self._together = CoOccurrence()
        self._index = NeighbourIndex()
        self._near: dict[str, set[str]] = {}
        self._pairs = 0

    def load(self, members: Iterable[tuple[GalleryPerson, str]], profiles: Iterable[Profile]) -> None:
        """Take over what is stored: persons with their profiles, and all ids, retired ones too.

        Of the first stage nothing is stored: no cluster of it reaches beyond a profile, so a profile's persons alone
        give those that everybody would.
        """
        loaded = list(members)
        self._index.add(member for member, _ in loaded)
        for member, profile in loaded:
            self._put(member, profile)
        self._together.replace({video: [self.members[key] for key in keys] for video, keys in self._videos.items()})
        for known in profiles:
            self._know(known)
        for keys in self.persons.values():
            for cluster in self._clusters_within(keys):
                self._cluster(cluster)
        points = [summary(key, [self.members[one] for one in self.clusters[key]]) for key in sorted(self.clusters)]
        self.nearest.apply(self.nearest.change(added=points))

    def persons_of(self, video: str) -> frozenset[str]:
        return frozenset(self._videos.get(video, ()))

    def redirect(self, profile: str) -> str | None:
        """The profile that answers for this id now: itself while in use, None when all it held is gone."""
        if self.persons.get(profile):
            return profile
        founder = self.profiles[profile].founder if profile in self.profiles else None
        return None if founder is None else self.profile_of.get(founder)

    def set_distance(self, distance: float, stages: int = STAGES) -> frozenset[str]:
        """Join up to another distance from now on, or in another number of stages. Returns all persons: each must be
        reconsidered once, in portions of the caller's choice, until when those not yet reached stay as they are."""
        self.distance, self.stages = distance, stages
        self._forget()
        return frozenset(self.members)

    def spread(self, change: GalleryChange) -> float:
        """How alike the people are once this has changed, going by who was seen together: see `spread_of`."""
        return self._together.spread(self._videos_after(change))

    def component(self, key: str, bound: int | None = None) -> frozenset[str] | None:
        """All persons connected with this one, up to now: by distance, by decision or by a shared profile. None where
        that is more persons than the bound allows."""
        found = AffectedClusters(self, GalleryChange()).component(key, bound)
        return None if found is None else frozenset(found)

    def propose(
        self,
        change: GalleryChange,
        new_id: Callable[[str], str],
        version: int,
        bound: int | None = None,
        clustered: Collection[tuple[str, ...]] | None = None,
        moves: int | None = None,
        everybody: bool = False,
    ) -> GalleryDiff:
        """What the change makes of the gallery.

        `new_id` makes the id of a new profile from its smallest key, `version` is stamped on it. With a `bound`, a
        component of more persons is not clustered: who is new joins the nearest cluster, and the diff says
        which persons to reconsider later without a bound; with a bound of 0 nobody moves who is there already.
        `clustered` are clusters to take over as they are, of persons that stay; who shared a cluster with them and is
        in none of them goes on as before. No more than `moves` persons come to another profile; the diff says whether
        these are all that should. `everybody`: whether profiles are looked through that nothing has touched. Raises
        KeyError where the change removes, names or reconsiders an unknown person, ValueError where it inserts a key
        that stays.
        """
        after = AffectedClusters(self, change)
        clusters, unsettled = (
            after.clusters(bound) if clustered is None else (after.with_clusters(clustered), frozenset())
        )
        joined, whole = AffectedProfiles(self, change, after, clusters), True
        profiles = joined.unjoined() if bound == 0 else joined.profiles(everybody)
        if moves is not None:
            profiles, whole = joined.portion(profiles, moves)
        members = {key: after.member(key) for profile in profiles for key in profile}
        before = GallerySnapshot(self.profile_of, self.profiles, self.persons, self._founded, self.members)
        found = ClusterChange(joined.gone, joined.come, joined.nearest, after.near, unsettled, whole)
        return diff_gallery(before, change, members, profiles, new_id, version, found)

    def apply(self, made: GalleryDiff) -> None:
        """Make it so. `made` must come from `propose` on this very state."""
        change = made.change
        self._together.replace(self._videos_after(change))
        for key in change.removed:
            self._drop(key)
        self._index.remove(change.removed)
        for key, name in change.named.items():
            self.members[key] = renamed(self.members[key], name)
        for move in made.moved:
            self._assign(move.person, move.new)
        self._index.add(change.inserted)
        profile_of = dict(made.appeared)
        for member in change.inserted:
            self._put(member, profile_of[member.key])
        for member in change.inserted:
            for key in made.clusters.near[member.key]:
                if key in self._near:
                    self._near[key].add(member.key)
            self._remember(member.key, made.clusters.near[member.key])
        for profile in made.created:
            self._know(profile)
        for profile_id, founder in made.founders.items():
            self._refound(profile_id, founder)
        self.links = self.links if change.links is None else change.links
        for gone in made.clusters.gone:
            del self.clusters[gone]
        for cluster in made.clusters.come.values():
            self._cluster(cluster)
        self.nearest.apply(made.clusters.nearest)

    @property
    def reach(self) -> float:
        """The D² that makes two persons part of one component."""
        return self.distance * self.distance + EDGE

    def near(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """For each of these persons all persons within the distance."""
        asked = set(keys)
        missing = sorted(asked - self._near.keys())
        found = self._index.within([self.members[key] for key in missing], self.reach)
        answer = {key: self._near[key] for key in asked - set(missing)}
        for key, others in zip(missing, found, strict=True):
            answer[key] = self._remember(key, others)
        return answer

    def search(self, members: Iterable[GalleryPerson]) -> dict[str, set[str]]:
        """The same for persons that are not in the gallery."""
        asked = list(members)
        found = self._index.within(asked, self.reach)
        return {member.key: set(keys) for member, keys in zip(asked, found, strict=True)}

    def _videos_after(self, change: GalleryChange) -> dict[str, list[GalleryPerson]]:
        """All persons of the videos that a person leaves or comes to."""
        videos = {self.members[key].video for key in change.removed} | {member.video for member in change.inserted}
        after = {video: [self.members[k] for k in self.persons_of(video) - change.removed] for video in videos}
        for member in change.inserted:
            after[member.video].append(member)
        return after

    def _remember(self, key: str, near: Iterable[str]) -> set[str]:
        known = set(near)
        self._pairs += len(known)
        if self._pairs > REMEMBERED:
            self._forget()
        self._near[key] = known
        return known

    def _forget(self) -> None:
        self._near, self._pairs = {}, 0

    def _clusters_within(self, profile: Collection[str]) -> list[tuple[str, ...]]:
        if len(profile) > DENSE:  # it would take minutes, and such a component is reconsidered when it is touched
            return [tuple(sorted(profile))]
        return first_stage([self.members[key] for key in sorted(profile)], self.distance, self.links)

    def _cluster(self, cluster: tuple[str, ...]) -> None:
        self.clusters[cluster[0]] = cluster
        self.cluster_of |= dict.fromkeys(cluster, cluster[0])

    def _put(self, member: GalleryPerson, profile: str) -> None:
        self.members[member.key] = member
        self._videos[member.video].add(member.key)
        self._assign(member.key, profile)

    def _assign(self, key: str, profile: str) -> None:
        if (old := self.profile_of.get(key)) is not None:
            self._leave(key, old)
        self.profile_of[key] = profile
        self.persons[profile].add(key)

    def _leave(self, key: str, profile: str) -> None:
        self.persons[profile].discard(key)
        if not self.persons[profile]:
            del self.persons[profile]

    def _drop(self, key: str) -> None:
        self._leave(key, self.profile_of.pop(key))
        del self.cluster_of[key]
        video = self.members.pop(key).video
        self._videos[video].discard(key)
        if not self._videos[video]:
            del self._videos[video]
        if key not in self._near:
            self._forget()  # who remembers it as a neighbour is not known
        for other in self._near.pop(key, ()):
            if other in self._near:
                self._near[other].discard(key)

    def _know(self, profile: Profile) -> None:
        self.profiles[profile.id] = profile
        if profile.founder is not None:
            self._founded[profile.founder].add(profile.id)

    def _refound(self, profile: str, founder: str | None) -> None:
        known = self.profiles[profile]
        if known.founder is not None:
            self._founded[known.founder].discard(profile)
            if not self._founded[known.founder]:
                del self._founded[known.founder]
        self._know(Profile(profile, founder, known.created))
