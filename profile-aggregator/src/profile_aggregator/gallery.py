"""One gallery in memory: its persons, its profiles, and what a commit would change.

`propose` computes and changes nothing, so it can run before the transaction and be thrown away when the transaction
loses; `apply` follows it once the transaction has won.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from profile_aggregator.difference import Before, Change, Difference, difference
from profile_aggregator.domain import Links, Member
from profile_aggregator.identities import Profile
from profile_aggregator.neighbours import NeighbourIndex, gap, gaps
from profile_aggregator.partition import partition

EDGE = 1e-9
"""Added to the squared distance that makes a component: a mean of distances may round below the smallest of them.
An edge too many costs time and changes nothing."""
REMEMBERED = 4_000_000
"""How many pairs of neighbours are kept. Past it they are forgotten and searched again as they are needed."""


class Gallery:
    """`distance` is the D up to which persons join.

    Holding to `apply(propose(change))`, the partition is at any time exactly that of `partition` over all persons,
    save for the components named in `unsettled`.
    """

    def __init__(self, distance: float, links: Links | None = None) -> None:
        self.distance = distance
        self.links = links or Links()
        self.members: dict[str, Member] = {}
        self.profile_of: dict[str, str] = {}
        self.profiles: dict[str, Profile] = {}
        self.persons: dict[str, set[str]] = defaultdict(set)
        self._founded: dict[str, set[str]] = defaultdict(set)
        self._videos: dict[str, set[str]] = defaultdict(set)
        self._index = NeighbourIndex()
        self._near: dict[str, set[str]] = {}
        self._pairs = 0

    def load(self, members: Iterable[tuple[Member, str]], profiles: Iterable[Profile]) -> None:
        """Take over what is stored: persons with their profiles, and all ids, retired ones too."""
        loaded = list(members)
        self._index.add(member for member, _ in loaded)
        for member, profile in loaded:
            self._put(member, profile)
        for known in profiles:
            self._know(known)

    def persons_of(self, video: str) -> frozenset[str]:
        return frozenset(self._videos.get(video, ()))

    def redirect(self, profile: str) -> str | None:
        """The profile that answers for this id now: itself while in use, None when all it held is gone."""
        if self.persons.get(profile):
            return profile
        founder = self.profiles[profile].founder if profile in self.profiles else None
        return None if founder is None else self.profile_of.get(founder)

    def retune(self, distance: float) -> frozenset[str]:
        """Join up to another distance from now on. Returns all persons: each must be reconsidered once, in portions
        of the caller's choice, until when those not yet reached stay as they are."""
        self.distance = distance
        self._forget()
        return frozenset(self.members)

    def propose(self, change: Change, mint: Callable[[str], str], version: int, bound: int | None = None) -> Difference:
        """What the change makes of the gallery.

        `mint` makes the id of a new profile from its smallest key, `version` is stamped on it. With a `bound`, a
        component of more persons is not clustered: who is new joins the nearest profile, and the difference says
        which persons to reconsider later without a bound. Raises KeyError where the change removes, names or
        reconsiders somebody unknown, ValueError where it inserts a key that stays.
        """
        after = _After(self, change)
        clusters, unsettled = after.clusters(bound)
        members = {key: after.member(key) for cluster in clusters for key in cluster}
        before = Before(self.profile_of, self.profiles, self.persons, self._founded, self.members)
        return difference(before, change, members, clusters, mint, version, unsettled)

    def apply(self, made: Difference) -> None:
        """Make it so. `made` must come from `propose` on this very state."""
        change = made.change
        for key in change.removed:
            self._drop(key)
        self._index.remove(change.removed)
        for key, name in change.named.items():
            self.members[key] = _named(self.members[key], name)
        for move in made.moved:
            self._assign(move.person, move.new)
        self._index.add(change.inserted)
        profile_of = dict(made.appeared)
        for member in change.inserted:
            self._put(member, profile_of[member.key])
        near = self._index.within(change.inserted, self.reach)
        for member, keys in zip(change.inserted, near, strict=True):
            for key in keys:
                if key in self._near:
                    self._near[key].add(member.key)
            self._remember(member.key, keys)
        for profile in made.created:
            self._know(profile)
        for profile_id, founder in made.founders.items():
            self._refound(profile_id, founder)
        self.links = self.links if change.links is None else change.links

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

    def search(self, members: Iterable[Member]) -> dict[str, set[str]]:
        """The same for persons that are not in the gallery."""
        asked = list(members)
        found = self._index.within(asked, self.reach)
        return {member.key: set(keys) for member, keys in zip(asked, found, strict=True)}

    def _remember(self, key: str, near: Iterable[str]) -> set[str]:
        known = set(near)
        self._pairs += len(known)
        if self._pairs > REMEMBERED:
            self._forget()
        self._near[key] = known
        return known

    def _forget(self) -> None:
        self._near, self._pairs = {}, 0

    def _put(self, member: Member, profile: str) -> None:
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


def _named(member: Member, name: str | None) -> Member:
    return Member(member.key, member.video, member.mean, member.variance, member.apart, name)


class _After:
    """The gallery as it will be, and the part of it that the change touches."""

    def __init__(self, gallery: Gallery, change: Change) -> None:
        unknown = (change.removed | change.named.keys() | change.reconsider) - gallery.members.keys()
        if unknown:
            raise KeyError(f"not in this gallery: {sorted(unknown)}")
        self._gallery, self._change = gallery, change
        self._links = gallery.links if change.links is None else change.links
        self._new = {member.key: member for member in change.inserted}
        if len(self._new) < len(change.inserted) or self._new.keys() & gallery.members.keys():
            raise ValueError("a person is inserted twice")
        self._named = {key: _named(gallery.members[key], name) for key, name in change.named.items()}
        self._edges = self._edges_of_new()
        for one, other in self._links.must:
            if self._present(one) and self._present(other):
                self._edges[one].add(other)
                self._edges[other].add(one)

    def member(self, key: str) -> Member:
        return self._new.get(key) or self._named.get(key) or self._gallery.members[key]

    def clusters(self, bound: int | None) -> tuple[list[tuple[str, ...]], frozenset[str]]:
        """Every touched cluster as it will be, sorted, and a person of each component that was too large."""
        clusters: list[tuple[str, ...]] = []
        unsettled: list[str] = []
        seen: set[str] = set()
        for seed in sorted(self._seeds()):
            if seed in seen:
                continue
            component = self._component(seed, bound)
            if component is None:
                unsettled.append(seed)
                continue
            seen |= component
            clusters += partition((self.member(key) for key in component), self._gallery.distance, self._links)
        if unsettled:
            clusters += self._hasty(unsettled, seen)
        return sorted(clusters), frozenset(unsettled)

    def _hasty(self, seeds: list[str], clustered: set[str]) -> list[tuple[str, ...]]:
        """Profiles as they are, with those of the seeds that are new added one by one to the nearest that takes them.

        What this does depends on the order of arrival, which is why it lasts only until the seeds are reconsidered.
        """
        gallery, limit = self._gallery, self._gallery.distance**2
        ids = {gallery.profile_of[key] for key in (*self._change.removed, *seeds) if key not in self._new}
        ids |= {gallery.profile_of[near] for key in seeds if key in self._new for near in self._old_edges(key)}
        groups = [{key for key in gallery.persons[id] if self._present(key)} - clustered for id in sorted(ids)]
        groups = [group for group in groups if group]
        for key in seeds:
            if key in self._new:
                member, fits = self.member(key), []
                for i, group in enumerate(groups):
                    others = [self.member(other) for other in sorted(group)]
                    distance = float(gap(member, others).mean())
                    if distance <= limit and not any(self._parted(member, other) for other in others):
                        fits.append((distance, i))
                if fits:
                    groups[min(fits)[1]].add(key)
                else:
                    groups.append({key})
        return [tuple(sorted(group)) for group in groups]

    def _old_edges(self, key: str) -> list[str]:
        return [other for other in self._edges.get(key, ()) if other not in self._new and self._present(other)]

    def _parted(self, one: Member, other: Member) -> bool:
        pair = {(one.key, other.key), (other.key, one.key)}
        names = {one.name, other.name} - {None}
        return other.key in one.apart or one.key in other.apart or len(names) > 1 or bool(pair & self._links.cannot)

    def _seeds(self) -> set[str]:
        change, gallery = self._change, self._gallery
        seeds = set(self._new) | set(change.named) | set(change.reconsider)
        # Every part that a component falls into holds a neighbour of who left it. Its profile may reach further than
        # the component while the gallery is being retuned.
        for keys in gallery.near(change.removed).values():
            seeds |= keys
        for key in change.removed:
            seeds |= gallery.persons[gallery.profile_of[key]]
        if change.links is not None:
            decided = (change.links.must ^ gallery.links.must) | (change.links.cannot ^ gallery.links.cannot)
            seeds |= {key for pair in decided for key in pair}
        return {key for key in seeds if self._present(key)}

    def _component(self, seed: str, bound: int | None) -> set[str] | None:
        """Everybody connected with the seed: by distance, by decision, or by a profile they share up to now.

        None where that is more persons than the bound allows.
        """
        gallery = self._gallery
        component, frontier = {seed}, {seed}
        while frontier:
            if bound is not None and len(component) > bound:
                return None
            reached: set[str] = set()
            old = [key for key in frontier if key not in self._new]
            for keys in gallery.near(old).values():
                reached |= keys
            for key in frontier:
                reached |= self._edges.get(key, set())
            for profile in {gallery.profile_of[key] for key in old}:
                reached |= gallery.persons[profile]
            frontier = {key for key in reached - component if self._present(key)}
            component |= frontier
        return component

    def _present(self, key: str) -> bool:
        return key in self._new or (key in self._gallery.members and key not in self._change.removed)

    def _edges_of_new(self) -> dict[str, set[str]]:
        """Edges with at least one new end, from both ends."""
        edges: dict[str, set[str]] = defaultdict(set)
        new = self._change.inserted
        for key, near in self._gallery.search(new).items():
            for other in near:
                edges[key].add(other)
                edges[other].add(key)
        for one, other in zip(*(gaps(new) <= self._gallery.reach).nonzero(), strict=True):
            edges[new[one].key].add(new[other].key)
        return edges
