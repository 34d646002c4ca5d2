"""Which profile id each cluster keeps, and who replaces whom when a video is done again.

The partition knows no history; ids do. A cluster keeps the id that most of its persons had, so that what a person
linked to, named or bookmarked survives every re-clustering.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from castlist_identity.domain import Box, Place

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
class Standing:
    """What decides between profiles that want one cluster, or clusters that want one profile."""

    named: bool
    size: int
    created: int
    founder: str | None


@dataclass(frozen=True, slots=True)
class Succession:
    """`votes`: whom each new person stands for (several may stand for one). `heirs`: who each old person became."""

    votes: Mapping[str, str]
    heirs: Mapping[str, str]


def succession(old: Mapping[str, Sequence[Place]], new: Mapping[str, Sequence[Place]]) -> Succession:
    """Match the persons of two epochs of one video by overlap in time and place: most common moments win."""
    shared: Counter[tuple[str, str]] = Counter()
    by_time: dict[int, list[tuple[str, Place]]] = defaultdict(list)
    for key in sorted(old):
        for place in old[key]:
            by_time[int(place.time / MOMENT)].append((key, place))
    for key in sorted(new):
        for place in new[key]:
            moment = int(place.time / MOMENT)
            near = (entry for m in (moment - 1, moment, moment + 1) for entry in by_time.get(m, ()))
            shared.update({(key, other) for other, there in near if _same_place(place, there)})
    votes: dict[str, str] = {}
    heirs: dict[str, str] = {}
    for (key, other), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        votes.setdefault(key, other)
        heirs.setdefault(other, key)
    return Succession(votes, heirs)


def keep_ids(
    clusters: Sequence[tuple[str, ...]],
    votes: Mapping[str, str],
    profiles: Mapping[str, Standing],
    mint: Callable[[str], str],
) -> list[str]:
    """A profile id for each cluster, in their order; no two the same.

    `votes` says which profile a person comes from. The pair of cluster and profile with the most votes is settled
    first; of equal ones the named, larger, older profile, then the cluster that holds its founder, then the larger
    cluster. A cluster that gets none has a new one from `mint`, called with its smallest key.
    """
    claims: list[tuple[tuple[object, ...], int, str]] = []
    for c, cluster in enumerate(clusters):
        for profile, count in Counter(votes[key] for key in cluster if key in votes).items():
            standing = profiles[profile]
            rank = (
                -count,
                not standing.named,
                -standing.size,
                standing.created,
                profile,
                standing.founder not in cluster,
                -len(cluster),
                cluster[0],
            )
            claims.append((rank, c, profile))
    kept: dict[int, str] = {}
    taken: set[str] = set()
    for _, c, profile in sorted(claims, key=lambda claim: claim[0]):
        if c not in kept and profile not in taken:
            kept[c] = profile
            taken.add(profile)
    return [kept[c] if c in kept else mint(min(cluster)) for c, cluster in enumerate(clusters)]


def majority(keys: Iterable[str], votes: Mapping[str, str]) -> str | None:
    """The profile most of these persons come from; of equals the smallest id."""
    counts = Counter(votes[key] for key in keys if key in votes)
    return min(counts, key=lambda profile: (-counts[profile], profile), default=None)


def _same_place(one: Place, other: Place) -> bool:
    return abs(one.time - other.time) <= MOMENT and _iou(one.box, other.box) >= OVERLAP


def _iou(one: Box, other: Box) -> float:
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)
