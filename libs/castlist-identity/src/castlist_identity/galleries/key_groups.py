"""Groups of keys of which nearly all hold one: a set of each would take more than what it holds."""

from collections.abc import Iterator, Mapping

Keys = frozenset[str] | set[str]


class KeyGroups(Mapping[str, Keys]):
    """The keys of each group that has any. What a group is answered with must not be changed."""

    def __init__(self) -> None:
        self._groups: dict[str, str | set[str]] = {}

    def __getitem__(self, group: str) -> Keys:
        found = self._groups[group]
        return frozenset((found,)) if isinstance(found, str) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, group: object) -> bool:
        return group in self._groups

    def add(self, group: str, key: str) -> None:
        found = self._groups.setdefault(group, key)
        if isinstance(found, set):
            found.add(key)
        elif found != key:
            self._groups[group] = {found, key}

    def discard(self, group: str, key: str) -> None:
        """Take it out, where it is in there."""
        found = self._groups.get(group)
        if isinstance(found, set):
            found.discard(key)
            if len(found) == 1:
                (self._groups[group],) = found
        elif found == key:
            del self._groups[group]
