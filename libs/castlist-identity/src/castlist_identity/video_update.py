"""From finished, redone and deleted videos to the change they ask of a gallery."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from castlist_identity.domain import Links, Member, Place
from castlist_identity.gallery import Gallery
from castlist_identity.gallery_diff import Change
from castlist_identity.profile_ids import Succession, succession


@dataclass(frozen=True, slots=True)
class Arrival:
    """One video's people as of now: nobody where it is deleted.

    `places` are those of the persons that come and, where the video is done again, of the persons that go: they say
    who became whom.
    """

    video: str
    members: tuple[Member, ...] = ()
    places: Mapping[str, Sequence[Place]] = field(default_factory=dict)


def change_of(gallery: Gallery, arrivals: Iterable[Arrival]) -> Change:
    """One change for a batch of videos, each at most once; everybody they had before is superseded.

    A person that replaces another inherits its profile's vote, its name and the decisions people took about it.
    """
    removed: set[str] = set()
    inserted: list[Member] = []
    votes: dict[str, str] = {}
    heirs: dict[str, str] = {}
    for arrival in arrivals:
        old = gallery.persons_of(arrival.video)
        new = {member.key: member for member in arrival.members}
        found = succession(
            {key: arrival.places.get(key, ()) for key in old}, {key: arrival.places.get(key, ()) for key in new}
        )
        removed |= old
        votes |= found.votes
        heirs |= found.heirs
        for key, member in new.items():
            name = gallery.members[found.votes[key]].name if key in found.votes else None
            inserted.append(replace(member, name=member.name or name))
    links = inherited(gallery.links, removed, heirs)
    return Change(
        removed=frozenset(removed),
        inserted=tuple(sorted(inserted, key=lambda member: member.key)),
        succession=Succession(votes, heirs),
        links=None if links == gallery.links else links,
    )


def inherited(links: Links, removed: Iterable[str], heirs: Mapping[str, str]) -> Links:
    """The decisions about persons that stay, and about the heirs of those that go; the others lapse."""
    gone = set(removed)

    def passed(pairs: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        both = ((heirs.get(a, a), heirs.get(b, b)) for a, b in pairs)
        return frozenset((min(pair), max(pair)) for pair in both if not gone & set(pair) and pair[0] != pair[1])

    if not any(key in gone for pair in links.must | links.cannot for key in pair):
        return links
    return Links(passed(links.must), passed(links.cannot))
