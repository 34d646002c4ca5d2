"""What taking a change back asks of a gallery, or taking back that. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from castlist.contract.commands import UndoChange
from castlist.store.records.change_history import ChangeRecord
from castlist_identity.decisions.decision import Decision
from castlist_identity.domain import GalleryPerson
from profile_aggregator.commits.asked import Asked
from profile_aggregator.corrections.corrected_gallery import CorrectedGallery
from profile_aggregator.corrections.refusal import CommandRefusedError


def undo(
    corrected: CorrectedGallery,
    command: UndoChange,
    undone: ChangeRecord | None,
    first: str,
    returning: Mapping[str, GalleryPerson],
) -> Asked:
    """Take a change back, or take back that it was taken back.

    `first` is the change that it all began with, `returning` are persons that are in no profile by it.
    CommandRefusedError where there is nothing to take back, or another decision is in the way.
    """
    if undone is None or undone.gallery != command.gallery:
        raise CommandRefusedError("not_found", "There is no such change.")
    if undone.undone_by is not None:
        raise CommandRefusedError("conflict", "It was taken back already.", [undone.undone_by])
    decision = corrected.decisions.get(first)
    if undone.status != "applied" or decision is None or decision.erased:
        raise CommandRefusedError(
            "conflict", f"A change of kind {undone.kind} that is {undone.status} cannot be taken back."
        )
    if decision.active:
        if later := corrected.decisions.resting_on(decision):
            raise CommandRefusedError(
                "conflict", f"Change {later[-1].id} rests on it: take that back first.", [one.id for one in later]
            )
        taken, claims = replace(decision, undone=corrected.version), _back(corrected, decision)
    else:
        taken, claims = replace(decision, undone=None), _again(corrected, decision)
        if against := corrected.decisions.contradicted(taken):
            raise CommandRefusedError(
                "conflict", f"Change {against[-1].id} stands in the way.", [one.id for one in against]
            )
    return corrected.change(taken, claims=claims, returning=returning, undoes=undone.id)


def _back(corrected: CorrectedGallery, decision: Decision) -> dict[str, str | None]:
    """Which ids its persons stand for again."""
    gallery, claims = corrected.gallery, dict[str, str | None]()
    there = None if decision.into is None else corrected.target(decision.into)
    for profile, keys in decision.origins.items():
        if profile == decision.into:
            continue
        target = corrected.target(profile)
        for key in keys:
            # Who has gone elsewhere since, by another decision, is no part of this one any more.
            if there is None or gallery.profile_of.get(key) == there:
                claims[key] = profile if target == there else target
    return claims


def _again(corrected: CorrectedGallery, decision: Decision) -> dict[str, str | None]:
    """Which ids its persons come to once more."""
    if decision.into is not None:
        return dict.fromkeys(decision.brought, corrected.target(decision.into))
    made = next(iter(decision.created), None)
    claims: dict[str, str | None] = dict.fromkeys(decision.leaving, made)
    if made is not None:
        claims |= dict.fromkeys(decision.manual, made)
    return claims
