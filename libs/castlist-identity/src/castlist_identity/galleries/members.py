"""The persons of a gallery, as rows; each is put together when it is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from castlist_identity.clustering.means import Rows
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.person_table import PersonTable


class MemberTable(PersonTable):
    """The first round, which everybody is in: whatever is known of a person."""

    def __init__(self) -> None:
        super().__init__()
        self._videos: list[str] = []
        self._apart: dict[str, frozenset[str]] = {}
        self._names: dict[str, str] = {}
        self._faceless: set[str] = set()

    @property
    def with_face(self) -> int:
        """How many have one."""
        return len(self) - len(self._faceless)

    def add(self, members: Sequence[GalleryPerson]) -> Rows:
        """See `PersonRows`."""
        rows = super().add(members)
        self._videos += [""] * (len(self.keys) - len(self._videos))
        for row, member in zip(rows.tolist(), members, strict=True):
            self._videos[row] = member.video
            if member.apart:
                self._apart[member.key] = member.apart
            if member.faceless:
                self._faceless.add(member.key)
            self.call(member.key, member.name)
        return rows

    def remove(self, keys: Iterable[str]) -> None:
        """See `PersonRows`."""
        gone = list(keys)
        for key in gone:
            self._videos[self.row(key)] = ""
            self._apart.pop(key, None)
            self._names.pop(key, None)
            self._faceless.discard(key)
        super().remove(gone)

    def call(self, key: str, name: str | None) -> None:
        """Give somebody a name, or take it away."""
        if name is None:
            self._names.pop(key, None)
        else:
            self._names[key] = name

    def video(self, key: str) -> str:
        return self._videos[self.row(key)]

    def name(self, key: str) -> str | None:
        return self._names.get(key)

    def apart(self, key: str) -> frozenset[str]:
        return self._apart.get(key, frozenset())

    def told_apart(self) -> Iterator[tuple[str, str]]:
        """Each who is known to be somebody else than another, with that one, who need not be here."""
        return ((key, other) for key, others in self._apart.items() for other in others)

    def is_faceless(self, key: str) -> bool:
        return key in self._faceless

    def member(self, key: str) -> GalleryPerson:
        """Raises KeyError for an unknown key."""
        row = self.row(key)
        return GalleryPerson(
            key,
            self._videos[row],
            self.means[np.array([row])][0],
            float(self.variances[row]),
            self.apart(key),
            self.name(key),
            key in self._faceless,
        )


class Members(Mapping[str, GalleryPerson]):
    """A table's persons by key. Each answer is another object; of very many ask for the `video`, `name` or `apart`."""

    def __init__(self, table: MemberTable) -> None:
        self._table = table
        self.video, self.name, self.apart = table.video, table.name, table.apart
        self.told_apart = table.told_apart

    def __getitem__(self, key: str) -> GalleryPerson:
        return self._table.member(key)

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)
