"""The clusters of a gallery by their first keys, nearly all of which hold one person."""

from collections.abc import Iterator, Mapping

Cluster = tuple[str, ...]


class ClusterMap(Mapping[str, Cluster]):
    """`of[key]` is the first key of the cluster that somebody is in."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self._larger: dict[str, Cluster] = {}
        self._count = 0

    def __getitem__(self, first: str) -> Cluster:
        if (found := self._larger.get(first)) is not None:
            return found
        if self.of.get(first) == first:
            return (first,)
        raise KeyError(first)

    def __iter__(self) -> Iterator[str]:
        return (key for key, first in self.of.items() if key == first)

    def __len__(self) -> int:
        return self._count

    def put(self, cluster: Cluster) -> None:
        """Its persons must be in none that is here."""
        first = cluster[0]
        self._count += 1
        self.of |= dict.fromkeys(cluster, first)
        if len(cluster) > 1:
            self._larger[first] = cluster

    def remove(self, first: str) -> None:
        """Raises KeyError for an unknown cluster."""
        for key in self[first]:
            del self.of[key]
        self._larger.pop(first, None)
        self._count -= 1
