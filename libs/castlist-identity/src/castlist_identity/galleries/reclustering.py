"""What is still to be clustered again in a gallery, and in which batches. Pure.

A new distance concerns all persons, and a component past the bound waits until there is time for it. Both are worked
off between the commits of videos; what is left is stored with the gallery, so that a crash loses nothing of it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.matching.partition import first_stage

BOUND = 1_000
"""Persons of one component that a commit clusters on the spot; docs/adr/0005 says what that costs."""
LARGEST = 5_000
"""Persons of one component up to which it is clustered again. Of a crowd a sample is clustered, so more are connected
only at a distance at which strangers chain: who is new has joined the nearest cluster, and stays there."""
BATCH = 250
"""Persons reconsidered in one commit, unless one component holds more."""
MOVES = 1_500
"""Persons that one such commit moves: it must end well within MongoDB's transaction lifetime."""


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
    """How a large component is to be clustered: worked out while others committed. `members` are keys and names."""

    members: frozenset[tuple[str, str | None]]
    clusters: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ReclusterBatch:
    """What one commit reconsiders, and what is left once it has. `large` where it is one component past the bound.

    `seen` need not be looked at again at this distance: reconsidered now, or put off. `moves`: how many persons may
    come to another profile at once.
    """

    keys: frozenset[str]
    left: ReclusterBacklog
    moves: int
    large: bool = False
    seen: frozenset[str] = frozenset()


def next_batch(gallery: Gallery, backlog: ReclusterBacklog, seen: Collection[str], divisor: int = 1) -> ReclusterBatch:
    """The next persons to reconsider; not those `seen`. Components past the bound go to the end.

    `divisor`: by how much smaller a commit is to be than usual.
    """
    bound, size, moves = (max(1, most // divisor) for most in (BOUND, BATCH, MOVES))
    if backlog.after is None:
        return _one_by_one(gallery, backlog.keys, bound, moves)
    waiting = sorted(key for key in gallery.members if key > backlog.after and key not in seen)
    # Whom the components will come to: many at once are found faster.
    sampled = [key for key in waiting[:size] if gallery.is_sampled(key)]
    reached = {key for near in gallery.near(sampled).values() for key in near}
    if len(reached) <= 4 * size:
        gallery.near(reached)
    chosen: set[str] = set()
    late: set[str] = set()
    counted: set[str] = set()
    passed = set(backlog.keys)
    after: str | None = backlog.after
    for key in waiting:
        if key not in chosen and key not in late:
            component = gallery.component(key, LARGEST) if gallery.is_sampled(key) else frozenset({key})
            if component is None:
                late.update(gallery.clusters[gallery.cluster_of[key]])
            elif len(component) > bound:
                late |= component
                passed.add(key)
            elif chosen and len(chosen) + len(component) > size:
                break
            else:
                chosen |= component
        if key in late:  # not clustered now, but whether it is in the sample is looked at
            if len(chosen) + len(counted) >= size:
                break
            counted.add(key)
        after = key
    else:
        after = None
    left = ReclusterBacklog(after, frozenset(passed))
    return ReclusterBatch(frozenset(chosen | counted), left, moves, seen=frozenset(chosen | counted))


def _one_by_one(gallery: Gallery, keys: frozenset[str], bound: int, moves: int) -> ReclusterBatch:
    waiting = {key for key in keys if key in gallery.members}
    if others := {key for key in waiting if not gallery.is_sampled(key)}:
        return ReclusterBatch(frozenset(others), ReclusterBacklog(None, frozenset(waiting - others)), moves)
    component = gallery.component(min(waiting), LARGEST) if waiting else frozenset[str]()
    if component is None:
        given_up = gallery.clusters[gallery.cluster_of[min(waiting)]]
        return ReclusterBatch(frozenset(), ReclusterBacklog(None, frozenset(waiting.difference(given_up))), moves)
    left = ReclusterBacklog(None, frozenset(waiting - component))
    return ReclusterBatch(component, left, moves, len(component) > bound)


def keys_and_names(members: Iterable[GalleryPerson]) -> frozenset[tuple[str, str | None]]:
    """All of persons that may be another the next time."""
    return frozenset((member.key, member.name) for member in members)


def cluster_component(members: Sequence[GalleryPerson], distance: float, links: PairConstraints) -> ClusteredComponent:
    """Cluster a large component: may take minutes, touches nothing."""
    return ClusteredComponent(keys_and_names(members), tuple(first_stage(members, distance, links)))
