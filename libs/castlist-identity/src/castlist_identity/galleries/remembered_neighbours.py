"""Who of a sample is within reach of whom, as far as it was searched for and there is room to keep it."""

from collections.abc import Collection, Iterable

REMEMBERED = 400_000
"""How many pairs of neighbours are kept. Past it they are forgotten and searched again as they are needed."""
SET = 4
"""Pairs that take what the set of somebody's neighbours does, however few."""


class RememberedNeighbours:
    """Of each who is remembered all neighbours, kept up as others come and go."""

    def __init__(self) -> None:
        self._near: dict[str, set[str]] = {}
        self._pairs = 0

    def of(self, keys: Collection[str]) -> dict[str, set[str]]:
        """The neighbours of those of these who are remembered."""
        return {key: self._near[key] for key in keys if key in self._near}

    def remember(self, key: str, near: Iterable[str]) -> set[str]:
        """These are all there are; the set that is kept up from now on."""
        known = set(near)
        self._pairs += len(known) + SET
        if self._pairs > REMEMBERED:
            self.forget()
        self._near[key] = known
        return known

    def come(self, key: str, near: Iterable[str]) -> None:
        """Somebody has come to the sample, and has these neighbours."""
        for other in near:
            if other in self._near:
                self._near[other].add(key)
        self.remember(key, near)

    def leave(self, key: str) -> None:
        """Somebody has left it."""
        if key not in self._near:
            self.forget()  # who remembers it as a neighbour is not known
        for other in self._near.pop(key, ()):
            if other in self._near:
                self._near[other].discard(key)

    def forget(self) -> None:
        """All of it."""
        self._near, self._pairs = {}, 0
