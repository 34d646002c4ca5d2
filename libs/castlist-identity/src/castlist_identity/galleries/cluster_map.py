"""The clusters of a gallery by their keys (cluster_key.py), nearly all of which hold one person."""

from collections.abc import Iterator, Mapping

from castlist_identity.matching.cluster_key import cluster_key

Cluster = tuple[str, ...]


class ClusterMap(Mapping[str, Cluster]):
    """`of[person]` is the key of the cluster that somebody is in."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self._larger: dict[str, Cluster] = {}
        self._count = 0

    def __getitem__(self, key: str) -> Cluster:
        if (found := self._larger.get(key)) is not None:
            return found
        if self.of.get(key) == key:
            return (key,)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return (one for one, key in self.of.items() if one == key)

    def __len__(self) -> int:
        return self._count

    @property
    def larger(self) -> int:
        """How many hold more than one person."""
        return len(self._larger)

    def put(self, cluster: Cluster) -> None:
        """Its persons must be in none that is here."""
        key = cluster_key(cluster)
        self._count += 1
        self.of |= dict.fromkeys(cluster, key)
        if len(cluster) > 1:
            self._larger[key] = cluster

    def remove(self, key: str) -> None:
        """Raises KeyError for an unknown cluster."""
        for one in self[key]:
            del self.of[one]
        self._larger.pop(key, None)
        self._count -= 1
