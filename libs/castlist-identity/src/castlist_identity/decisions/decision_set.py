"""All decisions about a gallery's persons, and what they come to together: a function of the set, never of the order.

Decisions are about profiles, and said of persons. So one narrows another where both can be meant: that two profiles are
one says nothing of a stranger who had got into one of them, and leaves with another decision; and of two strangers who
left a profile one after the other nothing is said about whether they are one.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from castlist_identity.decisions.decision import Decision, Keys
from castlist_identity.domain import PairConstraints

NAME = "name"
"""The field of a card that keeps apart whom it names differently."""
NOBODY: Keys = frozenset()
Pairs = frozenset[tuple[str, str]]
Present = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Meant:
    """What is left of a decision beside the others: pairs of persons that are there, and whom its card is about."""

    must_link: Pairs
    cannot_link: Pairs
    about: Keys


class DecisionSet:
    """Immutable. `present` says which persons the gallery holds; of the others nothing is asked."""

    def __init__(self, decisions: Iterable[Decision] = (), present: Present = lambda _: True) -> None:
        self._decisions: dict[str, Decision] = {}
        self._of: dict[str, frozenset[str]] = {}
        self._meant: dict[str, _Meant] = {}
        self.constraints = PairConstraints()
        self._put(decisions, present)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decisions.values())

    def __len__(self) -> int:
        return len(self._decisions)

    def __contains__(self, key: str) -> bool:
        """Whether any decision names this person."""
        return key in self._of

    @property
    def persons(self) -> Collection[str]:
        """All whom a decision names."""
        return self._of.keys()

    def get(self, id: str) -> Decision | None:
        return self._decisions.get(id)

    def of(self, keys: Iterable[str]) -> list[Decision]:
        """The decisions that name one of these, undone ones too, in the order in which they were taken."""
        ids = {id for key in keys for id in self._of.get(key, ())}
        return sorted((self._decisions[id] for id in ids), key=_order)

    def replaced(self, decisions: Iterable[Decision], changed: Iterable[str], present: Present) -> "DecisionSet":
        """The set with these decisions, which are new or come instead of those of the same ids.

        `changed` are persons that come to the gallery or leave it; `present` says who will be in it.
        """
        put = {one.id: one for one in decisions}
        again = [one for one in self.of(changed) if one.id not in put]
        if not put and not again:
            return self
        made = DecisionSet()
        made._decisions, made._of, made._meant = dict(self._decisions), dict(self._of), dict(self._meant)
        made.constraints = self.constraints
        made._put([*put.values(), *again], present)
        return made

    def noted(self, decisions: Iterable[Decision]) -> "DecisionSet":
        """The set with these decisions instead of those of the same ids, which mean the same."""
        made = DecisionSet()
        made._decisions = self._decisions | {one.id: one for one in decisions}
        made._of, made._meant, made.constraints = self._of, self._meant, self.constraints
        return made

    def _put(self, decisions: Iterable[Decision], present: Present) -> None:
        touched = set[str]()
        for one in decisions:
            before = self._decisions.get(one.id)
            old = NOBODY if before is None else before.keys
            for key in old - one.keys:
                touched |= self._of[key]
                self._of[key] -= {one.id}
                if not self._of[key]:
                    del self._of[key]
            for key in one.keys - old:
                self._of[key] = self._of.get(key, frozenset()) | {one.id}
            self._decisions[one.id] = one
            touched.update([one.id], *(self._of[key] for key in one.keys))
        if not touched:
            return
        for id in touched:
            self._meant[id] = self._meant_by(self._decisions[id], present)
        self.constraints = PairConstraints(
            frozenset().union(*(meant.must_link for meant in self._meant.values())),
            frozenset().union(*(meant.cannot_link for meant in self._meant.values())),
        )

    def _meant_by(self, one: Decision, present: Present) -> _Meant:
        if not one.active:
            return _Meant(frozenset(), frozenset(), NOBODY)
        joined = one.together - self._left(one, one.together)
        together = sorted(key for key in joined if present(key))
        leaving = [key for key in one.leaving if present(key)]
        # Of those who leave as one it is enough to say it once.
        as_one = sorted(key for key in leaving if key in joined)[:1]
        leaving = as_one + [key for key in leaving if key not in joined]
        rest = [key for key in one.rest - self._left(one, one.rest) if present(key)]
        return _Meant(
            must_link=frozenset(pairwise(together)),
            cannot_link=frozenset((min(a, b), max(a, b)) for a in leaving for b in rest),
            about=self._about(one),
        )

    def _left(self, one: Decision, people: Keys) -> Keys:
        """Who of the people that the decision speaks of has left the others of them by another one."""
        found = set[str]()
        for other in self.of(people):
            if other.active and other.id != one.id and other.rest & (people - other.leaving):
                found |= other.leaving & people
        return frozenset(found)

    def _about(self, one: Decision) -> Keys:
        """Whom a card is about: without those who were among them only by a decision that was taken back since."""
        about = one.about
        if not one.card:
            return NOBODY
        for other in self.of(one.about):
            held = other.undone is not None and other.version < one.version < other.undone
            if held and other.into is not None and about & other.origins.get(other.into, NOBODY):
                about -= other.brought
        return about

    # --- what follows -------------------------------------------------------------------------------------------------

    def about(self, id: str) -> Keys:
        """Whom the card of a decision is about; nobody where it was taken back."""
        return self._meant[id].about

    def name_of(self, key: str) -> str | None:
        """What this person is called, by the latest decision that says so."""
        name = None
        for one in self.of([key]):
            if NAME in one.card and key in self.about(one.id):
                name = one.card[NAME]
        return name

    def is_matched(self, key: str) -> bool:
        """Whether nothing keeps this person out of all profiles."""
        return not any(key in (one.unmatched if one.active else one.manual) for one in self.of([key]))

    def is_erased(self, key: str) -> bool:
        """Whether nothing of this person is to be kept but where it was."""
        return any(one.erased and key in one.unmatched for one in self.of([key]))

    def contradicted(self, new: Decision) -> list[Decision]:
        """The decisions that hold and say the opposite of a new one, in the order in which they were taken."""
        together = new.together.union(*new.origins.values()) if new.groups else NOBODY
        found = []
        for one in self.of(together | new.leaving | new.rest):
            if not one.active or one.id == new.id:
                continue
            parted = one.leaving & together and (one.rest - self._left(one, one.rest)) & together
            joined = one.together - self._left(one, one.together)
            groups = [group & joined for group in one.groups]
            torn = any(group and group <= new.leaving for group in groups) and any(group & new.rest for group in groups)
            if parted or torn:
                found.append(one)
        return found

    def resting_on(self, one: Decision) -> list[Decision]:
        """The later decisions that hold and are about a profile that came to be by this one."""
        made = set(one.created)
        later = (other for other in self if other.active and other.version > one.version)
        return sorted((other for other in later if made & set(other.subjects)), key=_order)


def _order(one: Decision) -> tuple[int, str]:
    return one.version, one.id
