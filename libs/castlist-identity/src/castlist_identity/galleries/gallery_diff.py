"""What a commit changes, worked out from who was with whom before and after."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.profile_ids import Lineage, Profile, ProfileRank, keep_ids, majority
from castlist_identity.matching.sampled_round import SampleChange
from castlist_identity.nearest.nearest_change import NearestChange


@dataclass(frozen=True, slots=True)
class GalleryChange:
    """What a commit asks of a gallery. All of it is about keys of persons.

    `removed` leave (superseded epochs, deleted videos), `inserted` come. `lineage` says who of the inserted came for
    whom of the removed. `named` gives persons that stay a name, or takes it away. `links` are all the decisions
    that hold from now on (None: as before). `reconsider` asks for persons' components to be clustered again. `claims`
    says which id persons stand for who are to change their profile, in use or retired; None: for none.
    """

    removed: frozenset[str] = frozenset()
    inserted: tuple[GalleryPerson, ...] = ()
    lineage: Lineage = field(default_factory=lambda: Lineage({}, {}))
    named: Mapping[str, str | None] = field(default_factory=dict)
    links: PairConstraints | None = None
    reconsider: frozenset[str] = frozenset()
    claims: Mapping[str, str | None] = field(default_factory=dict)


class SampleRole(NamedTuple):
    """A person's place in the sample: the round in which it is clustered or, where it `follows`, has its cluster."""

    round: int
    follows: bool


FIRST = SampleRole(0, False)
"""Of nearly everybody."""


@dataclass(frozen=True, slots=True)
class PersonMove:
    person: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ProfileMerge:
    """`retired` redirects to `into`, which holds its founder now."""

    retired: str
    into: str


@dataclass(frozen=True, slots=True)
class ProfileSplit:
    """`created` are new profiles most of whose persons came from `profile`, which goes on."""

    profile: str
    created: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """What becomes of the clusters of the first stage: `gone` are no more, `come` are new, under their keys.

    `unsettled`: persons whose component was too large to be clustered in this commit. `near`: who is within the
    distance of each person that comes to a sample, found on the way. `whole`: whether all profiles are as the clusters
    ask for. `out` leave a sample, `into` come to one; `homes` are followers with the cluster they follow from now on;
    `rounds` is what becomes of each round's persons.
    """

    gone: frozenset[str]
    come: Mapping[str, tuple[str, ...]]
    nearest: NearestChange
    near: Mapping[str, set[str]]
    unsettled: frozenset[str]
    whole: bool
    out: frozenset[str]
    into: frozenset[str]
    homes: Mapping[str, str | None]
    rounds: Sequence[SampleChange]


@dataclass(frozen=True, slots=True)
class GalleryDiff:
    """What to write, and what to say. Everything is sorted; what did not change is not mentioned.

    `created`: new profiles. `revived`: ids that were retired and are in use again. `appeared`: (inserted person,
    profile). `moved`: persons that stay and change profile. `left`: (removed person, the profile it was in).
    `merged`, `split`: see there. `emptied`: profiles left empty. `videos`: in how many videos each profile is whose
    persons changed; none for one that retired or is empty. `roles`: in which round each person is whose place in the
    sample changed, and whether it follows there. `names`: the names of profiles that changed. `appearances`: the
    persons of every changed (profile, video); none where the profile is no longer in the video. `founders`: ids,
    retired ones too, with another founder than before. `clusters`: what they rest on.
    """

    change: GalleryChange
    created: tuple[Profile, ...]
    revived: tuple[str, ...]
    appeared: tuple[tuple[str, str], ...]
    moved: tuple[PersonMove, ...]
    left: tuple[tuple[str, str], ...]
    merged: tuple[ProfileMerge, ...]
    split: tuple[ProfileSplit, ...]
    emptied: tuple[str, ...]
    videos: Mapping[str, int]
    roles: Mapping[str, SampleRole]
    names: Mapping[str, str | None]
    appearances: Mapping[tuple[str, str], tuple[str, ...]]
    founders: Mapping[str, str | None]
    clusters: ClusterChange


@dataclass(frozen=True, slots=True)
class GallerySnapshot:
    """What a gallery holds before the commit: each person's profile, each profile, its persons, in how many videos it
    is, who it founded; each person's video and name, each video's persons, and who of a profile is in a sample."""

    profile_of: Mapping[str, str]
    profiles: Mapping[str, Profile]
    persons: Mapping[str, frozenset[str] | set[str]]
    videos_of: Callable[[str], int]
    founded: Mapping[str, frozenset[str] | set[str]]
    video: Callable[[str], str]
    name: Callable[[str], str | None]
    persons_of: Callable[[str], Collection[str]]
    sampled_of: Callable[[str], Collection[str]]


def diff_gallery(
    before: GallerySnapshot,
    change: GalleryChange,
    name: Callable[[str], str | None],
    profiles: Sequence[tuple[str, ...]],
    placed: Mapping[str, str],
    new_id: Callable[[str], str],
    created: int,
    clusters: ClusterChange,
    roles: Mapping[str, SampleRole],
) -> GalleryDiff:
    """Give each of the touched `profiles` its id, and compare.

    `name` says what somebody will be called. `placed` are more persons, each with another whose profile they come to.
    Whoever is in neither, and does not leave, stays where they are.
    """
    profile_of = before.profile_of
    came_from = {key: profile_of[key] for profile in profiles for key in profile if key in profile_of}
    came_from |= {new: profile_of[old] for new, old in change.lineage.predecessor_of.items() if old in profile_of}
    inside = {key for profile in profiles for key in profile}
    going = {*inside, *(clusters.out - clusters.into)}
    # A profile whose sample stays where it is belongs to that, whoever else comes from it.
    wanted = {profile for key, profile in (*came_from.items(), *change.claims.items()) if key in inside} - {None}
    claimed = sorted(
        profile for profile in wanted if profile is not None and all(key in going for key in before.sampled_of(profile))
    )
    ranks = {profile: _rank(profile, before, change) for profile in claimed}
    origins = {key: profile for key, profile in came_from.items() if key in inside and profile in ranks}
    for key, claim in change.claims.items():
        if claim is None:
            origins.pop(key, None)
        elif key in inside and claim in ranks:
            origins[key] = claim
    ids = keep_ids(profiles, origins, ranks, new_id)
    persons: dict[str, list[str]] = {id: list(keys) for id, keys in zip(ids, profiles, strict=True)}
    now = {key: profile for profile, keys in persons.items() for key in keys}
    for key, beside in sorted(placed.items()):
        now[key] = now.get(beside) or profile_of[beside]
        if now[key] in persons:
            persons[now[key]].append(key)
    moved = {key: profile for key, profile in now.items() if profile_of.get(key) != profile}
    leaving = Counter(profile_of[key] for key in (*change.removed, *moved) if key in profile_of)
    coming = Counter(moved.values())
    touched = sorted({*(profile for profile in claimed if profile in before.persons), *leaving})
    new_ids = {profile: min(keys) for profile, keys in persons.items() if profile not in before.persons}
    revived = {profile for profile in new_ids if profile in before.profiles}
    retired = [one for one in touched if len(before.persons[one]) - leaving[one] + coming[one] == 0]
    founders = _founders(before, change, persons)
    into = {profile: _holder(profile, before, change, founders, now) for profile in retired}
    parts: dict[str, list[str]] = defaultdict(list)
    for profile in sorted(new_ids):
        source = majority(persons[profile], came_from)
        if source is not None and source not in retired:
            parts[source].append(profile)
    founders |= {id: new_ids[id] for id in sorted(revived) if founders.get(id, before.profiles[id].founder) is None}
    old_names = {profile: _most(map(before.name, before.persons.get(profile, ()))) for profile in claimed}
    names = {profile: _most(map(name, keys)) for profile, keys in persons.items()}
    appearances, shown = _appearances(before, change, moved)
    videos = {profile: before.videos_of(profile) + shown.get(profile, 0) for profile in sorted({*leaving, *coming})}
    return GalleryDiff(
        change=change,
        created=tuple(Profile(id, key, created) for id, key in sorted(new_ids.items()) if id not in revived),
        revived=tuple(sorted(revived)),
        appeared=tuple((member.key, now[member.key]) for member in sorted(change.inserted, key=lambda m: m.key)),
        moved=tuple(
            PersonMove(key, profile_of[key], profile) for key, profile in sorted(moved.items()) if key in profile_of
        ),
        left=tuple((key, profile_of[key]) for key in sorted(change.removed)),
        merged=tuple(ProfileMerge(profile, target) for profile, target in sorted(into.items()) if target is not None),
        split=tuple(ProfileSplit(profile, tuple(made)) for profile, made in sorted(parts.items())),
        emptied=tuple(profile for profile, target in sorted(into.items()) if target is None),
        videos=videos,
        roles=roles,
        names={id: name for id, name in sorted(names.items()) if name != old_names.get(id)},
        appearances=appearances,
        founders=founders,
        clusters=clusters,
    )


def _rank(profile: str, before: GallerySnapshot, change: GalleryChange) -> ProfileRank:
    persons = before.persons.get(profile, frozenset())
    founder = before.profiles[profile].founder
    return ProfileRank(
        named=_most(map(before.name, persons)) is not None,
        size=len(persons),
        created=before.profiles[profile].created,
        founder=None if founder is None else change.lineage.successor_of.get(founder, founder),
    )


def _most(called: Iterable[str | None]) -> str | None:
    """The name its persons carry. There may be several only where two names were put together by hand."""
    names = Counter(name for name in called if name is not None)
    return min(names, key=lambda name: (-names[name], name), default=None)


def _holder(
    profile: str,
    before: GallerySnapshot,
    change: GalleryChange,
    founders: Mapping[str, str | None],
    now: Mapping[str, str],
) -> str | None:
    """The profile that a retired one leads to: where its founder is after the commit."""
    founder = founders.get(profile, before.profiles[profile].founder)
    if founder is None or founder in change.removed:
        return None
    return now.get(founder) or before.profile_of.get(founder)


def _founders(
    before: GallerySnapshot, change: GalleryChange, persons: Mapping[str, Sequence[str]]
) -> dict[str, str | None]:
    """Another founder for each id, in use or retired, whose founder leaves: its successor, or another person."""

    def survivors(profile: str) -> list[str]:
        successor_of = (change.lineage.successor_of.get(key, key) for key in before.persons.get(profile, ()))
        return sorted(key for key in successor_of if key not in change.removed)

    founders: dict[str, str | None] = {}
    for gone in sorted(change.removed):
        holder = before.profile_of[gone]
        for profile in sorted(before.founded.get(gone, ())):
            near = persons.get(profile) or survivors(profile) or persons.get(holder) or survivors(holder)
            founders[profile] = change.lineage.successor_of.get(gone) or min(near, default=None)
    return founders


def _appearances(
    before: GallerySnapshot,
    change: GalleryChange,
    moved: Mapping[str, str],
) -> tuple[dict[tuple[str, str], tuple[str, ...]], Counter[str]]:
    """The persons of each changed (profile, video), and in how many more videos a profile is."""
    here: dict[str, list[str]] = defaultdict(list)
    new = {one.key: one.video for one in change.inserted}
    for key, video in new.items():
        here[video].append(key)
    pairs = {(before.profile_of[key], before.video(key)) for key in change.removed}
    for key, profile in moved.items():
        video = new.get(key) or before.video(key)
        pairs.add((profile, video))
        if key in before.profile_of:
            pairs.add((before.profile_of[key], video))
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    more: Counter[str] = Counter()
    for profile, video in sorted(pairs):
        were = [key for key in before.persons_of(video) if before.profile_of[key] == profile]
        there = [key for key in before.persons_of(video) if key not in change.removed] + here[video]
        keys = sorted(key for key in there if (moved.get(key) or before.profile_of[key]) == profile)
        found[profile, video] = tuple(keys)
        more[profile] += bool(keys) - bool(were)
    return found, more
