"""Decisions as they are stored."""

from castlist.store.records.change_history import DecisionRecord, Origin
from castlist_identity.decisions.decision import Decision


def decision_of(stored: DecisionRecord) -> Decision:
    """What a stored decision says."""
    return Decision(
        id=stored.id,
        version=stored.version,
        subjects=stored.subjects,
        groups=tuple(map(frozenset, stored.groups)),
        leaving=frozenset(stored.leaving),
        rest=frozenset(stored.rest),
        unmatched=frozenset(stored.unmatched),
        manual=frozenset(stored.manual),
        about=frozenset(stored.about),
        card=stored.card,
        origins={origin.profile: frozenset(origin.persons) for origin in stored.origins},
        into=stored.into,
        created=stored.created,
        undone=stored.undone,
        erased=stored.erased,
    )


def decision_record(decision: Decision, gallery: str) -> DecisionRecord:
    """The decision as it is stored."""
    return DecisionRecord(
        id=decision.id,
        gallery=gallery,
        version=decision.version,
        subjects=decision.subjects,
        groups=tuple(tuple(sorted(group)) for group in decision.groups),
        leaving=tuple(sorted(decision.leaving)),
        rest=tuple(sorted(decision.rest)),
        unmatched=tuple(sorted(decision.unmatched)),
        manual=tuple(sorted(decision.manual)),
        about=tuple(sorted(decision.about)),
        card=dict(decision.card),
        origins=tuple(Origin(profile, tuple(sorted(keys))) for profile, keys in sorted(decision.origins.items())),
        into=decision.into,
        created=decision.created,
        undone=decision.undone,
        erased=decision.erased,
    )
