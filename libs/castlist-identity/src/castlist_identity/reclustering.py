"""What is still to be clustered again in a gallery, and in which batches. Pure.

A new distance concerns all persons, and a component past the bound waits until there is time for it. Both are worked
off between the commits of videos; what is left is stored with the gallery, so that a crash loses nothing of it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.gallery import Gallery
from castlist_identity.partition import partition

BOUND = 1_000
"""Persons of one component that a commit clusters on the spot; docs/adr/0005 says what that costs."""
BATCH = 250
"""Persons reconsidered in one commit, unless one component holds more."""
MOVES = 1_500
"""Persons of one large component that one commit moves: it must end well within MongoDB's transaction lifetime."""


@dataclass(frozen=True, slots=True)
class ReclusterBacklog:
    """The persons whose key is greater than `after` (None: none), and the components of those in `keys`."""

    after: str | None
    keys: frozenset[str] = frozenset()

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.after is None and not self.keys


ALL_PERSONS = ReclusterBacklog("")


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredComponent:
    """How a large component is to be clustered: worked out while others committed."""

    members: frozenset[GalleryPerson]
    clusters: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ReclusterBatch:
    """What one commit reconsiders, and what is left once it has. `large` where it is one component past the bound.

    `seen` need not be looked at again at this distance: reconsidered now, or put off.
    """

    keys: frozenset[str]
    left: ReclusterBacklog
    large: bool = False
    seen: frozenset[str] = frozenset()


def next_batch(gallery: Gallery, backlog: ReclusterBacklog, seen: Collection[str], divisor: int = 1) -> ReclusterBatch:
    """The next persons to reconsider; not those `seen`. Components past the bound go to the end.

    `divisor`: by how much smaller a commit is to be than usual.
    """
    bound, size = max(1, BOUND // divisor), max(1, BATCH // divisor)
    if backlog.after is None:
        return _one_by_one(gallery, backlog.keys, bound)
    waiting = sorted(key for key in gallery.members if key > backlog.after and key not in seen)
    # Whom the components will come to: many at once are found faster.
    reached = {key for near in gallery.near(waiting[:size]).values() for key in near}
    if len(reached) <= 4 * size:
        gallery.near(reached)
    chosen: set[str] = set()
    late: set[str] = set()
    passed = set(backlog.keys)
    after: str | None = backlog.after
    for key in waiting:
        if key not in chosen and key not in late:
            component = gallery.component(key)
            if len(component) > bound:
                late |= component
                passed.add(key)
            elif chosen and len(chosen) + len(component) > size:
                break
            else:
                chosen |= component
        after = key
    else:
        after = None
    return ReclusterBatch(frozenset(chosen), ReclusterBacklog(after, frozenset(passed)), seen=frozenset(chosen | late))


def _one_by_one(gallery: Gallery, keys: frozenset[str], bound: int) -> ReclusterBatch:
    left = {key for key in keys if key in gallery.members}
    if not left:
        return ReclusterBatch(frozenset(), ReclusterBacklog(None))
    component = gallery.component(min(left))
    return ReclusterBatch(
        frozenset(component), ReclusterBacklog(None, frozenset(left - component)), len(component) > bound
    )


def cluster_component(members: frozenset[GalleryPerson], distance: float, links: PairConstraints) -> ClusteredComponent:
    """Cluster a large component: may take minutes, touches nothing."""
    return ClusteredComponent(members, tuple(partition(members, distance, links)))


def next_clusters(
    gallery: Gallery, clustered: ClusteredComponent, divisor: int = 1
) -> tuple[list[tuple[str, ...]], bool]:
    """Those of the clusters that one commit takes over, and whether they are the last that differ from the profiles.

    Small ones first: so the largest part of a profile keeps its id. Of one that moves more persons than a commit may, a
    portion: it is taken over in several versions. `divisor` as of `next_batch`.
    """
    moves = max(1, MOVES // divisor)
    differing = [c for c in clustered.clusters if gallery.persons[gallery.profile_of[c[0]]] != set(c)]
    differing.sort(key=lambda cluster: (len(cluster), cluster))
    taken: list[tuple[str, ...]] = []
    for cluster in differing:
        if taken and sum(map(len, taken)) + len(cluster) > moves:
            return taken, False
        portion = _portion(gallery, cluster, moves)
        taken.append(portion)
        if len(portion) < len(cluster):
            return taken, False
    return taken, True


def _portion(gallery: Gallery, cluster: tuple[str, ...], moves: int) -> tuple[str, ...]:
    """So much of a cluster that at most so many persons move: the largest profile that goes into it whole, and more."""
    members = set(cluster)
    whole = [id for id in {gallery.profile_of[key] for key in cluster} if gallery.persons[id] <= members]
    core = gallery.persons[max(whole, key=lambda id: (len(gallery.persons[id]), id))] if whole else set()
    return tuple(sorted(core | set(sorted(members - core)[:moves])))
