"""What is known of profiles besides their names: which decisions' cards are about which.

A card is about the profile that holds most of those whom it was said of: so it stays with the person, whatever comes to
the profile or leaves it. Of two cards that say different things of one profile the later one holds.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from castlist_identity.decisions.decision import Decision
from castlist_identity.decisions.decision_set import NAME, DecisionSet

Card = dict[str, Any]
ProfileOf = Callable[[str], str | None]


class Cards:
    """Immutable. `holders`: the profile of each decision that has a card, where there is one."""

    def __init__(self, decisions: DecisionSet | None = None, profile_of: ProfileOf = lambda _: None) -> None:
        self._decisions = decisions or DecisionSet()
        self.holders = _holders(self._decisions, self._decisions, profile_of)

    def after(self, decisions: DecisionSet, changed: Iterable[str], profile_of: ProfileOf) -> "Cards":
        """As they are once the decisions are these, and these persons are in the profiles that `profile_of` says.

        `changed` are also the persons of decisions that are new or others than before.
        """
        if not (touched := {one.id for one in (*self._decisions.of(changed), *decisions.of(changed)) if one.card}):
            return self
        made = Cards()
        made._decisions = decisions
        kept = {id: profile for id, profile in self.holders.items() if id not in touched}
        made.holders = kept | _holders(decisions, (one for one in decisions if one.id in touched), profile_of)
        return made

    def card(self, profile: str) -> Card:
        """What is known of a profile."""
        said = [self._decisions.get(id) for id, holder in self.holders.items() if holder == profile]
        card: Card = {}
        for one in sorted((one for one in said if one is not None), key=lambda one: (one.version, one.id)):
            card |= {name: value for name, value in one.card.items() if name != NAME}
        return card

    def changed(self, after: "Cards") -> dict[str, Card]:
        """The cards that are others afterwards, by profile."""
        if after is self:
            return {}
        pairs = self.holders.items() ^ after.holders.items()
        profiles = {profile for _, profile in pairs}
        for id in self.holders.keys() & after.holders.keys():
            if self._decisions.get(id) is not after._decisions.get(id):
                profiles.add(after.holders[id])
        cards = {profile: after.card(profile) for profile in sorted(profiles)}
        return {profile: card for profile, card in cards.items() if card != self.card(profile)}


def _holders(decisions: DecisionSet, asked: Iterable[Decision], profile_of: ProfileOf) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in asked:
        counts = Counter[str]()
        first: dict[str, str] = {}
        for key in decisions.about(one.id):
            if (profile := profile_of(key)) is not None:
                counts[profile] += 1
                first[profile] = min(first.get(profile, key), key)
        if counts:
            found[one.id] = min(counts, key=lambda profile: (-counts[profile], first[profile]))
    return found
