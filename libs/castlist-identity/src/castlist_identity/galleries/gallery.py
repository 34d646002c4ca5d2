"""One gallery in memory: its persons, its profiles, and what a commit would change.

`propose` computes and changes nothing, so it can run before the transaction and be thrown away when the transaction
loses; `apply` follows it once the transaction has won.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from castlist_identity.clustering.average_link import EDGE
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.affected_clusters import AffectedClusters
from castlist_identity.galleries.affected_profiles import AffectedProfiles
from castlist_identity.galleries.affected_rounds import AffectedRounds
from castlist_identity.galleries.cluster_map import ClusterMap
from castlist_identity.galleries.gallery_diff import (
    FIRST,
    ClusterChange,
    GalleryChange,
    GalleryDiff,
    GallerySnapshot,
    SampleRole,
    diff_gallery,
)
from castlist_identity.galleries.key_groups import KeyGroups
from castlist_identity.galleries.members import Members, MemberTable
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.galleries.remembered_neighbours import RememberedNeighbours
from castlist_identity.matching.co_occurrence import CoOccurrence
from castlist_identity.matching.crowd_sample import SAMPLE
from castlist_identity.matching.partition import DENSE, first_stage
from castlist_identity.matching.person_table import UNKNOWN, PersonTable
from castlist_identity.matching.second_stage import STAGES
from castlist_identity.nearest.nearest_clusters import Each, NearestClusters

PERSON_BYTES, CLUSTER_BYTES, LARGER_BYTES = 1_250, 400, 1_000
"""What a person takes, a cluster of one, and a larger one more: an encoding is 512."""
AT_ONCE = 256
"""How many persons' neighbours are searched for at once."""


class Gallery:
    """`distance` is the D up to which persons join, `stages` whether anything is joined by more than that, `sample` how
    many of a crowd are clustered.

    Holding to `apply(propose(change))`, the partition is at any time exactly that of `partition` over all persons,
    save for the components named in `unsettled`. `clusters` are those of the first stage, of which profiles are made,
    by their keys; `followers` are who is in them without being in a sample, each with its `home`. `rounds` are the
    persons of each round.
    """

    def __init__(
        self, distance: float, links: PairConstraints | None = None, stages: int = STAGES, sample: int = SAMPLE
    ) -> None:
        self.distance, self.stages, self.sample = distance, stages, sample
        self.links = links or PairConstraints()
        self._table = MemberTable()
        self.members = Members(self._table)
        self.profile_of: dict[str, str] = {}
        self.profiles: dict[str, Profile] = {}
        self.persons = KeyGroups()
        self.clusters = ClusterMap()
        self.rounds: list[PersonTable] = [self._table]
        self.home: dict[str, str] = {}
        self.followers: dict[str, set[str]] = {}
        self._in_videos: dict[str, int] = {}
        self.nearest = NearestClusters(self._table)
        self._sampled: dict[str, set[str]] = {}
        self._founded = KeyGroups()
        self._videos = KeyGroups()
        self._together = CoOccurrence(self._persons_in)
        self._neighbours = RememberedNeighbours()

    def load(
        self,
        members: Iterable[tuple[GalleryPerson, str]],
        profiles: Iterable[Profile],
        roles: Mapping[str, SampleRole] | None = None,
    ) -> None:
        """Take over what is stored: persons with their profiles, all ids, retired ones too, and the roles of those
        who are not in the sample of the first round."""
        self.take_over(members, roles or {})
        self.complete(profiles)

    def take_over(self, members: Iterable[tuple[GalleryPerson, str]], roles: Mapping[str, SampleRole]) -> None:
        """Some of what is stored, as it is read; nothing may be asked of the gallery until it is `complete`."""
        taken = [(one, profile, roles.get(one.key, FIRST)) for one, profile in members]
        for number in range(1 + max((role.round for _, _, role in taken), default=0)):
            if number == len(self.rounds):
                self.rounds.append(PersonTable())
            here = [(one, role) for one, _, role in taken if role.round >= number]
            chosen = [role == SampleRole(number, False) for _, role in here]
            self.rounds[number].enter([one for one, _ in here], chosen, [UNKNOWN] * len(here))
        for member, profile, _ in taken:
            self._put(member, profile)

    def complete(self, profiles: Iterable[Profile], each: Each = map) -> None:
        """What follows from everybody being here, and from all ids, retired ones too. `each` as in `NearestClusters`.

        Of the first stage nothing else is stored: no cluster of it reaches beyond a profile, so a profile's persons
        alone give those that everybody would.
        """
        for known in profiles:
            self._know(known)
        self._together.load(video for video, keys in self._videos.items() if len(keys) > 1)
        following = {self._table.keys[row] for row in self._table.followers().tolist()}
        for table in self.rounds[1:]:
            following -= {key for key in table if table.is_sampled(key)}
        for profile, keys in self.persons.items():
            if (count := len({self._table.video(key) for key in keys})) > 1:
                self._in_videos[profile] = count
            if followers := keys & following:
                self._sampled[profile] = set(keys - followers)
            for table in self.rounds:
                for cluster in self._clusters_within([key for key in sorted(keys) if table.is_sampled(key)]):
                    self.clusters.put(cluster)
        clusters = ((key, self.clusters[key]) for key in sorted(self.clusters))
        points = (summary(key, [self.members[one] for one in cluster]) for key, cluster in clusters)
        self.nearest.load(points, {key for table in self.rounds[1:] for key in table if key in self.clusters}, each)
        for key, home in AffectedRounds(self, GalleryChange()).homes_of(following).items():
            self._follow(key, home)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        clusters = CLUSTER_BYTES * len(self.clusters) + LARGER_BYTES * self.clusters.larger
        return PERSON_BYTES * len(self.members) + clusters

    def people(self, change: GalleryChange) -> int:
        """How many persons with a face there are once this has changed: `auto` goes by them."""
        come = sum(not one.faceless for one in change.inserted)
        gone = sum(not self._table.is_faceless(key) for key in change.removed)
        return self._table.with_face + come - gone

    def videos_of(self, profile: str) -> int:
        """In how many videos it is; nearly all are in one."""
        return self._in_videos.get(profile, int(profile in self.persons))

    @property
    def cluster_of(self) -> Mapping[str, str]:
        """The cluster of each who is in a sample."""
        return self.clusters.of

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
        self._neighbours.forget()
        return frozenset(self.members)

    def spread(self, change: GalleryChange) -> float:
        """How alike the people are once this has changed, going by who was seen together: see `spread_of`."""
        return self._together.spread(self._videos_after(change))

    def component(self, key: str, bound: int | None = None) -> frozenset[str] | None:
        """All persons connected with this one, up to now: by distance, by decision or by a shared profile. None where
        that is more persons than the bound allows."""
        sampled = self.rounds[self.round_of(key)].is_sampled
        found = AffectedClusters(self, GalleryChange(), {}, sampled).component(key, bound)
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
        self._check(change)
        after = AffectedRounds(self, change)
        after.work(bound, clustered)
        joined, whole = AffectedProfiles(self, change, after), True
        settling = everybody or moves is not None
        profiles = joined.unjoined() if bound == 0 else joined.profiles(everybody, settling)
        if moves is not None:
            profiles, whole = joined.portion(profiles, moves)
        placed, unsettled = joined.placed(profiles, None if moves is None else moves - sum(map(len, profiles)), bound)
        found = ClusterChange(
            gone=frozenset(after.gone),
            come=after.come,
            nearest=joined.nearest,
            near=after.near,
            unsettled=frozenset(after.unsettled | unsettled),
            whole=whole and (moves is None or not unsettled),
            out=frozenset(after.out),
            into=frozenset(after.into),
            homes=after.homes,
            rounds=after.tables,
        )
        before = GallerySnapshot(
            self.profile_of,
            self.profiles,
            self.persons,
            self.videos_of,
            self._founded,
            self._table.video,
            self._table.name,
            self.persons_of,
            self.sampled_of,
        )
        return diff_gallery(before, change, after.name, profiles, placed, new_id, version, found, after.changed_roles())

    def _check(self, change: GalleryChange) -> None:
        asked = (*change.removed, *change.named, *change.reconsider)
        unknown = [key for key in asked if key not in self.members]
        if unknown:
            raise KeyError(f"not in this gallery: {sorted(unknown)}")
        keys = {member.key for member in change.inserted}
        if len(keys) < len(change.inserted) or any(key in self.members for key in keys):
            raise ValueError("a person is inserted twice")

    def apply(self, made: GalleryDiff) -> None:
        """Make it so. `made` must come from `propose` on this very state."""
        change, clusters = made.change, made.clusters
        self._together.replace(self._videos_after(change))
        for key in clusters.out:
            self._neighbours.leave(key)
        for key in change.removed:
            self._drop(key)
        for number, round in enumerate(clusters.rounds):
            if number == len(self.rounds):
                self.rounds.append(PersonTable())
            round.apply(self.rounds[number])
        while len(self.rounds) > 1 and not len(self.rounds[-1]):
            self.rounds.pop()
        for key, name in change.named.items():
            self._table.call(key, name)
        profile_of = dict(made.appeared)
        for member in change.inserted:
            self._put(member, profile_of[member.key])
        for move in made.moved:
            self._assign(move.person, move.new)
        for key in clusters.into:
            table = self.rounds[self.round_of(key)]
            self._neighbours.come(key, {other for other in clusters.near[key] if table.is_sampled(other)})
        for profile in made.created:
            self._know(profile)
        for profile_id, founder in made.founders.items():
            self._refound(profile_id, founder)
        self.links = self.links if change.links is None else change.links
        for gone in clusters.gone:
            self.clusters.remove(gone)
        for cluster in clusters.come.values():
            self.clusters.put(cluster)
        self.nearest.apply(clusters.nearest)
        for key, home in clusters.homes.items():
            self._follow(key, home)
        for id, count in made.videos.items():
            if count > 1:
                self._in_videos[id] = count
            else:
                self._in_videos.pop(id, None)
        changed: list[tuple[str, str | None]] = [(move.person, move.old) for move in made.moved]
        changed += [(key, self.profile_of.get(key)) for key in (*clusters.out, *clusters.into, *clusters.homes)]
        self._note_sampled([*changed, *made.left])

    @property
    def reach(self) -> float:
        """The D² that makes two persons part of one component."""
        return self.distance * self.distance + EDGE

    def near(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """For each of these, who are in a sample, all within the distance who are in the same."""
        asked = set(keys)
        answer = self._neighbours.of(asked)
        missing = sorted(asked - answer.keys())
        for number, table in enumerate(self.rounds):
            here = [key for key in missing if self.round_of(key) == number]
            for start in range(0, len(here), AT_ONCE):
                part = here[start : start + AT_ONCE]
                found = table.near([self.members[key] for key in part], self.reach)
                for key, others in zip(part, found, strict=True):
                    answer[key] = self._neighbours.remember(key, others)
        return answer

    def round_of(self, key: str) -> int:
        """The last round that somebody is in."""
        return next(number for number in reversed(range(len(self.rounds))) if key in self.rounds[number])

    def is_sampled(self, key: str) -> bool:
        """Whether somebody is clustered, and does not follow."""
        return any(table.is_sampled(key) for table in self.rounds)

    def sampled_of(self, profile: str) -> Collection[str]:
        """Who of a profile is in a sample."""
        found = self._sampled.get(profile)
        return self.persons.get(profile, frozenset()) if found is None else found

    def role_of(self, key: str) -> SampleRole:
        """Somebody's place in the sample."""
        return SampleRole(self.round_of(key), key in self.home)

    def _videos_after(self, change: GalleryChange) -> dict[str, list[GalleryPerson]]:
        """All persons of the videos that a person leaves or comes to."""
        videos = {self.members[key].video for key in change.removed} | {member.video for member in change.inserted}
        after = {video: [self.members[k] for k in self.persons_of(video) - change.removed] for video in videos}
        for member in change.inserted:
            after[member.video].append(member)
        return after

    def _clusters_within(self, sampled: Sequence[str]) -> list[tuple[str, ...]]:
        if len(sampled) > DENSE:  # it would take minutes, and such a component is reconsidered when it is touched
            return [tuple(sampled)]
        return first_stage([self.members[key] for key in sampled], self.distance, self.links) if sampled else []

    def _follow(self, key: str, home: str | None) -> None:
        if (before := self.home.pop(key, None)) is not None:
            self.followers[before].discard(key)
            if not self.followers[before]:
                del self.followers[before]
        if home is not None:
            self.home[key] = home
            self.followers.setdefault(home, set()).add(key)

    def _persons_in(self, video: str) -> list[GalleryPerson]:
        return [self.members[key] for key in self.persons_of(video)]

    def _put(self, member: GalleryPerson, profile: str) -> None:
        self._videos.add(member.video, member.key)
        self._assign(member.key, profile)

    def _assign(self, key: str, profile: str) -> None:
        if (old := self.profile_of.get(key)) is not None:
            self.persons.discard(old, key)
        if others := self.persons.get(profile):
            profile = self.profile_of[next(iter(others))]  # the same string for all, as there may be very many
        self.profile_of[key] = profile
        self.persons.add(profile, key)

    def _note_sampled(self, changed: Iterable[tuple[str, str | None]]) -> None:
        """Who is in a sample is known apart for those profiles alone that have others, too: `changed` are persons with
        the profiles they were in."""
        touched = set[str]()
        for key, old in changed:
            new = self.profile_of.get(key)
            for profile in {profile for profile in (old, new) if profile is not None}:
                touched.add(profile)
                known = self._sampled.get(profile)
                if known is None and profile == new and key in self.home:
                    self._sampled[profile] = {one for one in self.persons[profile] if one not in self.home}
                elif known is not None and profile == new and key not in self.home:
                    known.add(key)
                elif known is not None:
                    known.discard(key)
        for profile in touched & self._sampled.keys():
            if len(self._sampled[profile]) == len(self.persons.get(profile, ())):
                del self._sampled[profile]

    def _drop(self, key: str) -> None:
        self.persons.discard(self.profile_of.pop(key), key)
        self._videos.discard(self._table.video(key), key)

    def _know(self, profile: Profile) -> None:
        self.profiles[profile.id] = profile
        if profile.founder is not None:
            self._founded.add(profile.founder, profile.id)

    def _refound(self, profile: str, founder: str | None) -> None:
        known = self.profiles[profile]
        if known.founder is not None:
            self._founded.discard(known.founder, profile)
        self._know(Profile(profile, founder, known.created))
