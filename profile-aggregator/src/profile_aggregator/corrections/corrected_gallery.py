"""A gallery that is being corrected: whom a correction can be about, and the change that follows from it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from castlist.contract.vectors import Vector
from castlist_identity.decisions.decision import Decision, Keys
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.matching.crowd_sample import rank
from profile_aggregator.commits.asked import Asked
from profile_aggregator.corrections.refusal import CommandRefusedError

WHOLE_GROUP = 500
"""Persons of a profile up to which a decision about it names each; of more it names as many, of each cluster one at
least. Whom a decision names is in the sample, so this is what a commit may have to cluster."""
CORE = 64
"""Persons that stand for a profile where others are not to come to it."""


@dataclass(frozen=True)
class CorrectedGallery:
    """A gallery, what is decided about it, the version that the commit makes, and who objects to being known in it."""

    gallery: Gallery
    decisions: DecisionSet
    version: int
    objections: Mapping[str, Vector]

    # --- whom it can be about -----------------------------------------------------------------------------------------

    def profile(self, id: str) -> str:
        """The profile that answers for this id now."""
        gallery = self.gallery
        profile = gallery.redirect(id) if id in gallery.profiles else None
        if profile is None or not gallery.persons.get(profile):
            raise CommandRefusedError("not_found", f"There is no profile {id}.")
        return profile

    def target(self, id: str) -> str:
        """The profile that an id leads to now, or the id itself."""
        return self.gallery.redirect(id) or id

    def persons(self, profile: str) -> Keys:
        """All whom a profile has."""
        return frozenset(self.gallery.persons[profile])

    def name(self, profile: str) -> str | None:
        """What a profile is called."""
        names = (self.gallery.members[key].name for key in sorted(self.gallery.persons[profile]))
        return next((name for name in names if name is not None), None)

    def in_videos(self, profile: str, videos: Collection[str]) -> Keys:
        """The profile's persons in these videos; refused where it is not in one of them."""
        found: set[str] = set()
        for video in videos:
            here = self.gallery.persons_of(video) & self.gallery.persons[profile]
            if not here:
                raise CommandRefusedError("not_found", f"The profile does not appear in video {video}.")
            found |= here
        return frozenset(found)

    def made_of(self, profile: str, asked: Keys, tracks: Mapping[str, Keys]) -> Keys:
        """The profile's persons that these tracks are; `tracks` says which each of them is made of."""
        own = self.persons(profile)
        found = frozenset(key for key, there in tracks.items() if key in own and there & asked)
        named = frozenset[str]().union(*(tracks[key] for key in found))
        if unknown := sorted(asked - named):
            raise CommandRefusedError("not_found", f"The profile has no track {unknown[0]}.")
        if rest := sorted(named - asked):
            raise CommandRefusedError(
                "invalid", f"One person was found in {len(named)} tracks together; {rest[0]} is one of them."
            )
        return found

    def some(self, profile: str, most: int, without: Keys = frozenset()) -> Keys:
        """So many of a profile's persons, by their ranks, and one of each of its clusters at least."""
        persons = self.persons(profile) - without
        if len(persons) <= most:
            return persons
        clusters: dict[str, str] = {}
        ranked = sorted(persons, key=lambda key: (rank(key), key))
        for key in ranked:
            if (cluster := self.gallery.cluster_of.get(key)) is not None:
                clusters.setdefault(cluster, key)
        return frozenset([*clusters.values(), *ranked[:most]])

    # --- what follows -------------------------------------------------------------------------------------------------

    def taken(
        self, decision: Decision, detail: Mapping[str, Any], claims: Mapping[str, str | None] | None = None
    ) -> Asked:
        """What follows from a decision that contradicts none of before; refused where it does."""
        if against := self.decisions.contradicted(decision):
            named = ", ".join(one.id for one in against)
            raise CommandRefusedError(
                "conflict",
                f"It contradicts what was decided before: take back {named}.",
                [one.id for one in against],
            )
        return self.change(decision, detail=detail, claims=claims or {})

    def change(
        self,
        decision: Decision,
        *,
        claims: Mapping[str, str | None],
        detail: Mapping[str, Any] | None = None,
        returning: Mapping[str, GalleryPerson] | None = None,
        undoes: str | None = None,
    ) -> Asked:
        """What follows from a decision that is made or taken back. `claims`: which ids its persons stand for,
        `returning`: who comes and is in no profile yet."""
        gallery, before = self.gallery, self.decisions
        keys = decision.keys
        out = decision.unmatched if decision.active else decision.manual
        leaving = frozenset(key for key in out if key in gallery.members)
        coming = returning or {}

        def present(key: str) -> bool:
            return key in coming or (key in gallery.members and key not in leaving)

        after = before.replaced([decision], (*leaving, *coming), present)
        coming = {key: one for key, one in coming.items() if after.is_matched(key)}
        here = [key for key in keys if key in gallery.members and key not in leaving]
        names = {key: after.name_of(key) for key in here}
        return Asked(
            GalleryChange(
                removed=leaving,
                inserted=tuple(replace(coming[key], name=after.name_of(key)) for key in sorted(coming)),
                named={key: name for key, name in names.items() if name != gallery.members[key].name},
                links=None if after.constraints == gallery.links else after.constraints,
                claims={key: claim for key, claim in claims.items() if present(key)},
            ),
            after,
            (decision,),
            decision.subjects,
            unmatched=leaving,
            detail=detail or {},
            undoes=undoes,
        )
