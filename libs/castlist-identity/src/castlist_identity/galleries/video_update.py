"""From finished, redone and deleted videos to the change they ask of a gallery."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from castlist.contract.ids import is_by_hand
from castlist_identity.decisions.decision import Decision
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.domain import GalleryPerson, SightedAt
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.profile_ids import Lineage, lineage


@dataclass(frozen=True, slots=True)
class VideoUpdate:
    """One video's people as of now: none where it is `deleted`. Whom a person put there by hand stays until then.

    `absent` are persons of earlier runs whom decisions name and who are in no profile. `places` are those of the
    persons that come and, where the video is done again, of the persons that were there: they say who became whom.
    """

    video: str
    members: tuple[GalleryPerson, ...] = ()
    absent: frozenset[str] = frozenset()
    places: Mapping[str, Sequence[SightedAt]] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class UpdateChange:
    """What videos ask of a gallery. `decisions` are all that hold then, `rekeyed` those that are about others now;
    `unmatched` those of the persons that come who are in no profile. `replaced` are absent persons for whom somebody
    has come."""

    change: GalleryChange
    decisions: DecisionSet
    rekeyed: tuple[Decision, ...] = ()
    unmatched: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()


def change_for_updates(gallery: Gallery, decisions: DecisionSet, arrivals: Iterable[VideoUpdate]) -> UpdateChange:
    """One change for a batch of videos, each at most once; all they had before are superseded.

    A person that replaces another inherits its profile's vote, its name and the decisions people took about it. Where
    nobody replaces it, these wait until a later run finds it again.
    """
    removed: set[str] = set()
    coming: dict[str, GalleryPerson] = {}
    predecessor_of: dict[str, str] = {}
    successor_of: dict[str, str] = {}
    absent: set[str] = set()
    for arrival in arrivals:
        old = superseded(gallery, arrival.video, arrival.deleted)
        new = {member.key: member for member in arrival.members}
        found = lineage(
            {key: arrival.places.get(key, ()) for key in (*old, *arrival.absent)},
            {key: arrival.places.get(key, ()) for key in new},
        )
        removed |= old
        absent |= arrival.absent
        predecessor_of |= found.predecessor_of
        successor_of |= found.successor_of
        coming |= new
    standing = standing_for(predecessor_of, successor_of)
    rekeyed = tuple(one.rekeyed(standing) for one in decisions.of(standing))
    unmatched = coming.keys() & {key for one in rekeyed if one.active for key in one.unmatched}
    matched = coming.keys() - unmatched

    def present(key: str) -> bool:
        return key in matched or (key in gallery.members and key not in removed)

    after = decisions.replaced(rekeyed, removed | matched, present)
    named = {key: after.name_of(key) if key in after else coming[key].name for key in matched}
    inserted = [replace(coming[key], name=named[key]) for key in sorted(matched)]
    return UpdateChange(
        GalleryChange(
            removed=frozenset(removed),
            inserted=tuple(inserted),
            lineage=Lineage(predecessor_of, successor_of),
            links=None if after.constraints == gallery.links else after.constraints,
        ),
        after,
        rekeyed,
        frozenset(unmatched),
        frozenset(absent & standing.keys()),
    )


def superseded(gallery: Gallery, video: str, deleted: bool) -> frozenset[str]:
    """Who of a video goes with what comes of it: whom a person put there by hand, only with the video."""
    return frozenset(key for key in gallery.persons_of(video) if deleted or not is_by_hand(key))


def standing_for(predecessor_of: Mapping[str, str], successor_of: Mapping[str, str]) -> dict[str, set[str]]:
    """Who stands for each person of a video that was done again: all whose predecessor it is, and its successor."""
    found: dict[str, set[str]] = {}
    for new, old in (*predecessor_of.items(), *((new, old) for old, new in successor_of.items())):
        found.setdefault(old, set()).add(new)
    return found
