"""What is still to be clustered again in a gallery, and in which portions. Pure.

A new distance concerns everybody, and a component past the bound waits until somebody has time for it. Both are worked
off between the commits of videos; what is left is stored with the gallery, so that a crash loses nothing of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from castlist_identity.domain import Links, Member
from castlist_identity.gallery import Gallery
from castlist_identity.partition import partition

RECLUSTER = "recluster"
"""The `kind` of what is pending for a gallery until this is through."""
_PREFIX = f"{RECLUSTER}::"
ALL_KEYS = {"$gte": _PREFIX, "$lt": f"{RECLUSTER}:;"}
"""The `_id`s of all galleries' `Todo`s."""
BOUND = 1_000
"""Persons of one component that a commit clusters on the spot; docs/adr/0005 says what that costs."""
PORTION = 250
"""Persons reconsidered in one commit, unless one component holds more."""
MOVES = 1_500
"""Persons of one large component that one commit moves: it must end well within MongoDB's transaction lifetime."""


@dataclass(frozen=True, slots=True)
class Todo:
    """Everybody whose key is greater than `after` (None: nobody), and the components of the persons in `keys`."""

    after: str | None
    keys: frozenset[str] = frozenset()

    @property
    def done(self) -> bool:
        return self.after is None and not self.keys


EVERYBODY = Todo("")


@dataclass(frozen=True, slots=True, eq=False)
class Worked:
    """How a large component is to be clustered: worked out while others committed."""

    members: frozenset[Member]
    clusters: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Portion:
    """What one commit reconsiders, and what is left once it has. `large` where it is one component past the bound.

    `seen` need not be looked at again at this distance: reconsidered now, or put off.
    """

    keys: frozenset[str]
    left: Todo
    large: bool = False
    seen: frozenset[str] = frozenset()


def next_portion(gallery: Gallery, todo: Todo, seen: Collection[str]) -> Portion:
    """The next persons to reconsider; not those `seen`. Components past the bound go to the end."""
    if todo.after is None:
        return _one_by_one(gallery, todo.keys)
    waiting = sorted(key for key in gallery.members if key > todo.after and key not in seen)
    # Whom the components will come to: many at once are found faster.
    reached = {key for near in gallery.near(waiting[:PORTION]).values() for key in near}
    if len(reached) <= 4 * PORTION:
        gallery.near(reached)
    chosen: set[str] = set()
    late: set[str] = set()
    passed = set(todo.keys)
    after: str | None = todo.after
    for key in waiting:
        if key not in chosen and key not in late:
            component = gallery.component(key)
            if len(component) > BOUND:
                late |= component
                passed.add(key)
            elif chosen and len(chosen) + len(component) > PORTION:
                break
            else:
                chosen |= component
        after = key
    else:
        after = None
    return Portion(frozenset(chosen), Todo(after, frozenset(passed)), seen=frozenset(chosen | late))


def _one_by_one(gallery: Gallery, keys: frozenset[str]) -> Portion:
    left = {key for key in keys if key in gallery.members}
    if not left:
        return Portion(frozenset(), Todo(None))
    component = gallery.component(min(left))
    return Portion(frozenset(component), Todo(None, frozenset(left - component)), len(component) > BOUND)


def work_out(members: frozenset[Member], distance: float, links: Links) -> Worked:
    """Cluster a large component: may take minutes, touches nothing."""
    return Worked(members, tuple(partition(members, distance, links)))


def next_clusters(gallery: Gallery, worked: Worked) -> tuple[list[tuple[str, ...]], bool]:
    """Those of the clusters that one commit takes over, and whether they are the last that differ from the profiles.

    Small ones first: so the largest part of a profile keeps its id.
    """
    differing = [c for c in worked.clusters if gallery.persons[gallery.profile_of[c[0]]] != set(c)]
    differing.sort(key=lambda cluster: (len(cluster), cluster))
    taken: list[tuple[str, ...]] = []
    for cluster in differing:
        if taken and sum(map(len, taken)) + len(cluster) > MOVES:
            return taken, False
        taken.append(cluster)
    return taken, True


def recluster_key(gallery: str) -> str:
    """Where in `pending` it is stored; no video has such a key."""
    return f"{_PREFIX}{gallery}"


def todo_of(pending: Mapping[str, Any] | None) -> Todo:
    """As it was stored; nothing where there is none."""
    return Todo(None) if pending is None else Todo(pending["after"], frozenset(pending["keys"]))
