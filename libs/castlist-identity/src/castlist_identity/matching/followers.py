"""Whom they join who are not in the sample: the nearest of its clusters that takes them.

In the order of their ranks: of two who were seen together, and have the same nearest, the one of lower rank has it.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush

from castlist_identity.matching.crowd_sample import rank

Options = Sequence[tuple[float, str]]
"""(D², cluster) of the clusters within the distance, the nearest first."""


def chosen(
    keys: Iterable[str],
    options: Callable[[str], Options],
    home_of: Callable[[str], str | None],
    taken: Callable[[str, str, Callable[[str], str | None]], bool],
    beside: Callable[[str], Iterable[str]],
) -> dict[str, str | None]:
    """Where each of these goes from now on, and others whom that concerns: a cluster, or None where nobody takes them.

    `home_of` says where followers are so far. `taken(key, cluster, home)` says whether a cluster has somebody whom
    this one may not be, going by the `home` of those of lower rank. `beside` are followers seen together with one.
    """
    homes: dict[str, str | None] = {}

    def home(key: str) -> str | None:
        return homes[key] if key in homes else home_of(key)

    waiting = [(rank(key), key) for key in set(keys)]
    heapify(waiting)
    known: dict[str, Options] = {}
    while waiting:
        place, key = heappop(waiting)
        if waiting and waiting[0] == (place, key):
            continue
        before = home(key)
        if key not in known:
            known[key] = options(key)
        homes[key] = next((cluster for _, cluster in known[key] if not taken(key, cluster, home)), None)
        if homes[key] != before:
            for other in beside(key):
                if (rank(other), other) > (place, key):
                    heappush(waiting, (rank(other), other))
    return homes


def is_taken(
    key: str,
    cluster: str,
    seen: Iterable[str],
    follows: Callable[[str], bool],
    home: Callable[[str], str | None],
    sampled_cluster: Callable[[str], str | None],
) -> bool:
    """Whether the cluster has somebody of those `seen` with this one; of who follows it, those of lower rank count."""
    return any(
        (rank(other), other) < (rank(key), key) and home(other) == cluster
        if follows(other)
        else sampled_cluster(other) == cluster
        for other in seen
    )


def options_of(
    name: str | None, near: Iterable[tuple[float, str]], names: Callable[[str], Collection[str | None]]
) -> Options:
    """Without the clusters that a name keeps somebody from: who is named joins those alone who are called the same."""
    return sorted((d, key) for d, key in near if name is None or name in names(key))
