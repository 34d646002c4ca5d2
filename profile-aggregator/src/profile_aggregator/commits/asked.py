"""What a batch asks of a gallery: videos' people, or a command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from castlist.store.records.change_history import ObjectionRecord
from castlist.store.records.persons import PersonRecord, PlacesRecord
from castlist_identity.decisions.decision import Decision, Keys
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.galleries.gallery_diff import GalleryChange


@dataclass(frozen=True)
class Asked:
    """What is to become of a gallery's persons, and of the decisions about them.

    `decisions` are all that hold then, `changed` those that are new or others than before, `subjects` the profiles that
    somebody decided about. `inserted` are the records of the persons that come; of these `new_persons` are not stored
    yet, with `new_places`. `unmatched` persons leave all profiles and stay known; in the place of `replaced` ones, who
    were unmatched, somebody has come. Of `erased` ones nothing stays known, and what the changes `silenced` say of them
    is to go. `remembered`: whether it is kept where people were seen whom decisions name. `objection` is to be
    kept. `detail` and `undoes` are for the record.
    """

    change: GalleryChange
    decisions: DecisionSet
    changed: Sequence[Decision] = ()
    subjects: tuple[str, ...] = ()
    inserted: Mapping[str, PersonRecord] = field(default_factory=dict)
    new_persons: Sequence[PersonRecord] = ()
    new_places: Sequence[PlacesRecord] = ()
    unmatched: Keys = frozenset()
    replaced: Keys = frozenset()
    erased: Keys = frozenset()
    silenced: Sequence[str] = ()
    remembered: bool = True
    objection: ObjectionRecord | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    undoes: str | None = None

    @property
    def returning(self) -> Keys:
        """Who comes because somebody decided so: they may have been unmatched."""
        return frozenset(self.inserted) if self.subjects or self.undoes else frozenset()

    def remembers(self, key: str) -> bool:
        """Whether it is kept where this person was seen, though it goes."""
        return self.remembered and key in self.decisions
