"""One decision of a person about video persons. It outlives every clustering, and can be taken back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Keys = frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a change says of video persons, by their keys; each part may be empty.

    `groups`: they are all one person; what was one before the decision is a group. `leaving` are not who `rest` is,
    and come from where that is. `unmatched` are in no profile: no face, or deleted. `manual` are there by it alone.
    `card` is known of the person whom `about` are. `origins`: the profiles in which they were. `into`: the one of
    these that the others came to. `subjects`: the profiles it is about; `created`: those that came to be by it.
    `version` is that of the gallery from which on it holds, `undone` that from which on it does not. `erased`: of
    `unmatched` nothing is kept but where they were.
    """

    id: str
    version: int
    subjects: tuple[str, ...]
    groups: tuple[Keys, ...] = ()
    leaving: Keys = frozenset()
    rest: Keys = frozenset()
    unmatched: Keys = frozenset()
    manual: Keys = frozenset()
    about: Keys = frozenset()
    card: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Keys] = field(default_factory=dict)
    into: str | None = None
    created: tuple[str, ...] = ()
    undone: int | None = None
    erased: bool = False

    @property
    def active(self) -> bool:
        return self.undone is None

    @property
    def together(self) -> Keys:
        """All who are one by it."""
        return frozenset().union(*self.groups)

    @property
    def brought(self) -> Keys:
        """Who came to `into` by it."""
        if self.into is None:
            return frozenset()
        return frozenset().union(*(keys for profile, keys in self.origins.items() if profile != self.into))

    @property
    def keys(self) -> Keys:
        """Everybody it names."""
        return frozenset().union(
            *self.groups, self.leaving, self.rest, self.unmatched, self.manual, self.about, *self.origins.values()
        )

    def without(self, persons: Keys) -> "Decision":
        """The same with nothing known of these: the card goes with the last whom it is about."""
        about = self.about - persons
        return replace(self, about=about, card=self.card if about else {})

    def rekeyed(self, standing_for: Mapping[str, Iterable[str]]) -> "Decision":
        """The same of those who stand for its persons now; whom nobody stands for stays, in case that somebody will."""

        def passed(keys: Keys) -> Keys:
            return frozenset(now for key in keys for now in standing_for.get(key) or (key,))

        return replace(
            self,
            groups=tuple(passed(group) for group in self.groups),
            leaving=passed(self.leaving),
            rest=passed(self.rest),
            unmatched=passed(self.unmatched),
            manual=passed(self.manual),
            about=passed(self.about),
            origins={profile: passed(keys) for profile, keys in self.origins.items()},
        )
