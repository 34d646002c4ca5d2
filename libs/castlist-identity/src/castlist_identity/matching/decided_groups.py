"""Who is one by decision: groups of items whom no distance joins, and nothing but another decision parts."""

from collections.abc import Iterable, Mapping


def must_groups(
    count: int, must_link: Iterable[tuple[int, int]], cannot_link: Iterable[tuple[int, int]]
) -> list[tuple[int, ...]]:
    """The groups of two and more that `must` makes of items 0…count-1.

    The pairs are taken in order, and one that would bring together what `cannot` names is left out.
    """
    group = {i: {i} for i in range(count)}
    kept_apart: dict[int, set[int]] = {i: set() for i in range(count)}
    for one, other in cannot_link:
        kept_apart[one].add(other)
        kept_apart[other].add(one)
    for one, other in sorted(must_link):
        if group[one] is not group[other] and not any(kept_apart[i] & group[other] for i in group[one]):
            group[one] |= group[other]
            for i in group[other]:
                group[i] = group[one]
    groups = {tuple(sorted(members)) for members in group.values() if len(members) > 1}
    return sorted(groups)


def positions(others: Mapping[str, frozenset[str]], position: dict[str, int]) -> list[tuple[int, int]]:
    """The pairs of keys that `others` names, as far as both have a position: sorted pairs, sorted."""
    pairs = ((position[a], position[b]) for a in position if a in others for b in others[a] if b in position and a != b)
    return sorted({(min(pair), max(pair)) for pair in pairs})
