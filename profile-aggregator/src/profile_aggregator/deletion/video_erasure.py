"""What erasing a video takes besides deleting it: nothing is said any more of people who are nowhere else. Pure."""

from dataclasses import replace

from castlist.contract.ids import video_of_person
from castlist_identity.decisions.decision import Decision, Keys
from profile_aggregator.commits.asked import Asked


def erasing(asked: Asked, video: str, members: Keys) -> Asked:
    """What a deletion asks, and that decisions forget whom the video alone had: names, notes and tags go with the last
    whom they are about. `members` are the gallery's persons before it."""
    here = frozenset(key for key in asked.decisions.persons if video_of_person(key) == video)
    spoke = asked.decisions.of(here)
    left = [one.without(here) for one in spoke]
    staying = members - asked.change.removed
    known = asked.decisions.replaced(left, (), staying.__contains__)
    silenced = [one.id for one, after in zip(spoke, left, strict=True) if _is_silent(one, after, here)]
    return replace(asked, decisions=known, changed=(*asked.changed, *left), silenced=silenced)


def _is_silent(before: Decision, after: Decision, gone: Keys) -> bool:
    """Whether what its change has said is about somebody of whom nothing stays."""
    return before.card != after.card or any(keys <= gone for keys in before.origins.values())
