"""From finished, redone and deleted videos to the change they ask of a gallery."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from castlist_identity.domain import GalleryPerson, PairConstraints, SightedAt
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.profile_ids import Lineage, lineage


@dataclass(frozen=True, slots=True)
class VideoUpdate:
    """One video's people as of now: none where it is deleted.

    `places` are those of the persons that come and, where the video is done again, of the persons that go: they say
    who became whom.
    """

    video: str
    members: tuple[GalleryPerson, ...] = ()
    places: Mapping[str, Sequence[SightedAt]] = field(default_factory=dict)


def change_for_updates(gallery: Gallery, arrivals: Iterable[VideoUpdate]) -> GalleryChange:
    """One change for a batch of videos, each at most once; all they had before are superseded.

    A person that replaces another inherits its profile's vote, its name and the decisions people took about it.
    """
    removed: set[str] = set()
    inserted: list[GalleryPerson] = []
    predecessor_of: dict[str, str] = {}
    successor_of: dict[str, str] = {}
    for arrival in arrivals:
        old = gallery.persons_of(arrival.video)
        new = {member.key: member for member in arrival.members}
        found = lineage(
            {key: arrival.places.get(key, ()) for key in old}, {key: arrival.places.get(key, ()) for key in new}
        )
        removed |= old
        predecessor_of |= found.predecessor_of
        successor_of |= found.successor_of
        for key, member in new.items():
            name = gallery.members[found.predecessor_of[key]].name if key in found.predecessor_of else None
            inserted.append(replace(member, name=member.name or name))
    links = inherited_constraints(gallery.links, removed, successor_of)
    return GalleryChange(
        removed=frozenset(removed),
        inserted=tuple(sorted(inserted, key=lambda member: member.key)),
        lineage=Lineage(predecessor_of, successor_of),
        links=None if links == gallery.links else links,
    )


def inherited_constraints(
    links: PairConstraints, removed: Iterable[str], successor_of: Mapping[str, str]
) -> PairConstraints:
    """The decisions about persons that stay, and about the heirs of those that go; the others lapse."""
    gone = set(removed)

    def passed(pairs: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        both = ((successor_of.get(a, a), successor_of.get(b, b)) for a, b in pairs)
        return frozenset((min(pair), max(pair)) for pair in both if not gone & set(pair) and pair[0] != pair[1])

    if not any(key in gone for pair in links.must_link | links.cannot_link for key in pair):
        return links
    return PairConstraints(passed(links.must_link), passed(links.cannot_link))
