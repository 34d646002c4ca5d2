"""Of whom nothing is to stay known: who is erased, and who objects. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from castlist.contract.commands import RaiseObjection
from castlist.contract.vectors import VectorFace
from castlist.store.records.change_history import ObjectionRecord
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.decisions.decision import Decision, Keys
from castlist_identity.decisions.decision_set import NAME
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.matching.objections import objecting
from profile_aggregator.commits.asked import Asked
from profile_aggregator.corrections.corrected_gallery import CorrectedGallery
from profile_aggregator.corrections.refusal import CommandRefusedError


def erase(corrected: CorrectedGallery, id: str, profiles: Sequence[str]) -> Asked:
    """Nothing is kept of these but where they were."""
    origins = {profile: corrected.persons(profile) for profile in profiles}
    persons = frozenset().union(*origins.values())
    decision = Decision(id, corrected.version, tuple(profiles), unmatched=persons, origins=origins, erased=True)
    made = corrected.taken(decision, {})
    spoke = corrected.decisions.of(persons)
    silent = [_silent(corrected, one, persons) for one in spoke]
    known = made.decisions.replaced(silent, (), lambda key: key in corrected.gallery.members and key not in persons)
    return replace(
        made,
        change=replace(made.change, links=known.constraints),
        decisions=known,
        changed=(*made.changed, *silent),
        unmatched=frozenset(),
        erased=persons,
        silenced=tuple(one.id for one in spoke),
    )


def _silent(corrected: CorrectedGallery, one: Decision, persons: Keys) -> Decision:
    """The decision with nothing known of these; and of nobody, where nobody else goes by what it says."""
    left, members = one.without(persons), corrected.gallery.members
    known_by_it = any(members[key].name == left.card.get(NAME) for key in left.about if key in members)
    return left if known_by_it else left.without(left.about)


def raise_objection(corrected: CorrectedGallery, command: RaiseObjection) -> Asked:
    """Whom a profile holds is known by the mean of those who have a face; whom a picture shows is in the profiles
    that would take it for one of theirs."""
    gallery, id = corrected.gallery, command.event_id
    if (command.profile_id is None) == (command.picture is None):
        raise CommandRefusedError("invalid", "Either a profile or a picture says who objects.")
    if command.profile_id is not None:
        profiles = [corrected.profile(command.profile_id)]
        persons = (gallery.members[key] for key in sorted(corrected.persons(profiles[0])))
        known = [one.mean for one in persons if not one.faceless]
        if not known:
            raise CommandRefusedError("invalid", "No face of this profile is known: nothing could find the person.")
        mean = np.mean(known, axis=0, dtype=np.float64).astype(np.float32)
    elif command.picture is not None:
        mean = VectorFace.decoded(command.picture.face).encoding
        clusters = (summary(key, [gallery.members[one] for one in keys]) for key, keys in gallery.clusters.items())
        here = objecting(clusters, {id: mean}, gallery.distance)
        profiles = sorted({gallery.profile_of[key] for key in here})
    made = erase(corrected, id, profiles) if profiles else Asked(GalleryChange(), corrected.decisions)
    stored = np.asarray(mean, "<f4").tobytes()
    objection = ObjectionRecord(id=id, gallery=command.gallery, mean=stored, at=command.occurred_at, by=command.by)
    return replace(made, objection=objection)
