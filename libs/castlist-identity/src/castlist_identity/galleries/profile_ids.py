"""Which profile id each cluster keeps, and who replaces whom when a video is done again.

The partition knows no history; ids do. A cluster keeps the id that most of its persons had, so that what a person
linked to, named or bookmarked survives every re-clustering.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from castlist_identity.domain import SightedAt

OVERLAP = 0.25
"""Intersection over union from which two boxes at one moment are one face."""
MOMENT = 0.2
"""Seconds two sightings may lie apart to be compared: epochs may sample at different rates."""


@dataclass(frozen=True, slots=True)
class Profile:
    """An id in a gallery. `founder` is the person it was made for, or who replaced it; None once that is gone without
    a successor in sight. `created` is the gallery's version that made it: smaller is older."""

    id: str
    founder: str | None
    created: int


@dataclass(frozen=True, slots=True)
class ProfileRank:
    """What decides between profiles that want one cluster, or clusters that want one profile."""

    named: bool
    size: int
    created: int
    founder: str | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """`votes`: whom each new person stands for (several may stand for one). `heirs`: who each old person became."""

    predecessor_of: Mapping[str, str]
    successor_of: Mapping[str, str]


def lineage(old: Mapping[str, Sequence[SightedAt]], new: Mapping[str, Sequence[SightedAt]]) -> Lineage:
    """Match the persons of two epochs of one video by overlap in time and place: most common moments win."""
    shared: Counter[tuple[str, str]] = Counter()
    by_time: dict[int, list[tuple[str, SightedAt]]] = defaultdict(list)
    for key in sorted(old):
        for place in old[key]:
            by_time[int(place.time / MOMENT)].append((key, place))
    for key in sorted(new):
        for place in new[key]:
            moment = int(place.time / MOMENT)
            near = (entry for m in (moment - 1, moment, moment + 1) for entry in by_time.get(m, ()))
            shared.update({(key, other) for other, there in near if _same_place(place, there)})
    predecessor_of: dict[str, str] = {}
    successor_of: dict[str, str] = {}
    for (key, other), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        predecessor_of.setdefault(key, other)
        successor_of.setdefault(other, key)
    return Lineage(predecessor_of, successor_of)


def keep_ids(
    clusters: Sequence[tuple[str, ...]],
    predecessor_of: Mapping[str, str],
    profiles: Mapping[str, ProfileRank],
    new_id: Callable[[str], str],
) -> list[str]:
    """A profile id for each cluster, in their order; no two the same.

    `votes` says which profile a person comes from. The pair of cluster and profile with the most votes is settled
    first; of equal ones the named, larger, older profile, then the cluster that holds its founder, then the larger
    cluster. A cluster that gets none has a new one from `new_id`, called with its smallest key.
    """
    claims: list[tuple[tuple[object, ...], int, str]] = []
    for c, cluster in enumerate(clusters):
        for profile, count in Counter(predecessor_of[key] for key in cluster if key in predecessor_of).items():
            held = profiles[profile]
            order = (
                -count,
                not held.named,
                -held.size,
                held.created,
                profile,
                held.founder not in cluster,
                -len(cluster),
                cluster[0],
            )
            claims.append((order, c, profile))
    kept: dict[int, str] = {}
    taken: set[str] = set()
    for _, c, profile in sorted(claims, key=lambda claim: claim[0]):
        if c not in kept and profile not in taken:
            kept[c] = profile
            taken.add(profile)
    return [kept[c] if c in kept else new_id(min(cluster)) for c, cluster in enumerate(clusters)]


def majority(keys: Iterable[str], predecessor_of: Mapping[str, str]) -> str | None:
    """The profile most of these persons come from; of equals the smallest id."""
    counts = Counter(predecessor_of[key] for key in keys if key in predecessor_of)
    return min(counts, key=lambda profile: (-counts[profile], profile), default=None)


def _same_place(one: SightedAt, other: SightedAt) -> bool:
    return abs(one.time - other.time) <= MOMENT and one.box.overlap(other.box) >= OVERLAP
