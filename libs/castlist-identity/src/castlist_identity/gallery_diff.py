"""What a commit changes, worked out from who was with whom before and after."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.nearest_clusters import NearestChange
from castlist_identity.profile_ids import Lineage, Profile, ProfileRank, keep_ids, majority


@dataclass(frozen=True, slots=True)
class GalleryChange:
    """What a commit asks of a gallery. All of it is about keys of persons.

    `removed` leave (superseded epochs, deleted videos), `inserted` come. `succession` says who of the inserted stands
    for whom of the removed. `named` gives persons that stay a name, or takes it away. `links` are all the decisions
    that hold from now on (None: as before). `reconsider` asks for persons' components to be clustered again.
    """

    removed: frozenset[str] = frozenset()
    inserted: tuple[GalleryPerson, ...] = ()
    lineage: Lineage = field(default_factory=lambda: Lineage({}, {}))
    named: Mapping[str, str | None] = field(default_factory=dict)
    links: PairConstraints | None = None
    reconsider: frozenset[str] = frozenset()


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
    """What becomes of the clusters of the first stage: `gone` are no more, `come` are new, under their smallest keys.

    `unsettled`: persons whose component was too large to be clustered in this commit. `near`: who is within the
    distance of each inserted person, found on the way. `whole`: whether all profiles are as the clusters ask for.
    """

    gone: frozenset[str]
    come: Mapping[str, tuple[str, ...]]
    nearest: NearestChange
    near: Mapping[str, set[str]]
    unsettled: frozenset[str]
    whole: bool


@dataclass(frozen=True, slots=True)
class GalleryDiff:
    """What to write, and what to say. Everything is sorted; what did not change is not mentioned.

    `created`: new profiles. `appeared`: (inserted person, profile). `moved`: persons that stay and change profile.
    `left`: (removed person, the profile it was in). `merged`, `split`: see there. `emptied`: profiles left empty.
    `profiles`: the persons of every profile whose set of persons changed; none for one that retired or is empty.
    `names`: the names of profiles that changed. `appearances`: the persons of every changed (profile, video); none
    where the profile is no longer in the video. `founders`: ids, retired ones too, with another founder than before.
    `clusters`: what they rest on.
    """

    change: GalleryChange
    created: tuple[Profile, ...]
    appeared: tuple[tuple[str, str], ...]
    moved: tuple[PersonMove, ...]
    left: tuple[tuple[str, str], ...]
    merged: tuple[ProfileMerge, ...]
    split: tuple[ProfileSplit, ...]
    emptied: tuple[str, ...]
    profiles: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str | None]
    appearances: Mapping[tuple[str, str], tuple[str, ...]]
    founders: Mapping[str, str | None]
    clusters: ClusterChange


@dataclass(frozen=True, slots=True)
class GallerySnapshot:
    """What a gallery holds before the commit: each person's profile, each profile, its persons, who it founded."""

    profile_of: Mapping[str, str]
    profiles: Mapping[str, Profile]
    persons: Mapping[str, frozenset[str] | set[str]]
    founded: Mapping[str, frozenset[str] | set[str]]
    members: Mapping[str, GalleryPerson]


def diff_gallery(
    before: GallerySnapshot,
    change: GalleryChange,
    after: Mapping[str, GalleryPerson],
    profiles: Sequence[tuple[str, ...]],
    new_id: Callable[[str], str],
    created: int,
    clusters: ClusterChange,
) -> GalleryDiff:
    """Give each of the touched `profiles` its id, and compare.

    `after` are their members as they will be. The profiles hold every person of every profile that one of them, or one
    of the removed, was in.
    """
    profile_of = before.profile_of
    came_from = {key: profile_of[key] for profile in profiles for key in profile if key in profile_of}
    came_from |= {new: profile_of[old] for new, old in change.lineage.predecessor_of.items() if old in profile_of}
    touched = sorted(set(came_from.values()) | {before.profile_of[key] for key in change.removed})
    ranks = {profile: _rank(profile, before, change) for profile in touched}
    ids = keep_ids(profiles, came_from, ranks, new_id)
    persons = dict(zip(ids, profiles, strict=True))
    now = {key: profile for profile, keys in persons.items() for key in keys}
    new_ids = {profile: min(keys) for profile, keys in persons.items() if profile not in touched}
    founders = _founders(before, change, persons)
    retired = [profile for profile in touched if profile not in persons]
    into = {profile: _holder(profile, before, change, founders, now) for profile in retired}
    parts: dict[str, list[str]] = defaultdict(list)
    for profile in sorted(new_ids):
        source = majority(persons[profile], came_from)
        if source is not None and source in persons:
            parts[source].append(profile)
    old_names = {profile: _name(before.members[key] for key in before.persons[profile]) for profile in touched}
    names = {profile: _name(after[key] for key in cluster) for profile, cluster in persons.items()}
    changed = {profile: tuple(sorted(cluster)) for profile, cluster in persons.items()} | dict.fromkeys(retired, ())
    return GalleryDiff(
        change=change,
        created=tuple(Profile(profile, key, created) for profile, key in sorted(new_ids.items())),
        appeared=tuple((member.key, now[member.key]) for member in sorted(change.inserted, key=lambda m: m.key)),
        moved=tuple(
            PersonMove(key, before.profile_of[key], now[key])
            for key in sorted(now)
            if key in before.profile_of and before.profile_of[key] != now[key]
        ),
        left=tuple((key, before.profile_of[key]) for key in sorted(change.removed)),
        merged=tuple(ProfileMerge(profile, target) for profile, target in sorted(into.items()) if target is not None),
        split=tuple(ProfileSplit(profile, tuple(made)) for profile, made in sorted(parts.items())),
        emptied=tuple(profile for profile, target in sorted(into.items()) if target is None),
        profiles={id: keys for id, keys in sorted(changed.items()) if set(keys) != set(before.persons.get(id, ()))},
        names={id: name for id, name in sorted(names.items()) if name != old_names.get(id)},
        appearances=_appearances(before, after, touched, persons),
        founders=founders,
        clusters=clusters,
    )


def _rank(profile: str, before: GallerySnapshot, change: GalleryChange) -> ProfileRank:
    persons = before.persons[profile]
    founder = before.profiles[profile].founder
    return ProfileRank(
        named=_name(before.members[key] for key in persons) is not None,
        size=len(persons),
        created=before.profiles[profile].created,
        founder=None if founder is None else change.lineage.successor_of.get(founder, founder),
    )


def _name(members: Iterable[GalleryPerson]) -> str | None:
    """The name its persons carry. There may be several only where two names were put together by hand."""
    names = Counter(member.name for member in members if member.name is not None)
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
    after: Mapping[str, GalleryPerson],
    touched: Sequence[str],
    persons: Mapping[str, Sequence[str]],
) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for profile in {*touched, *persons}:
        was, now = before.persons.get(profile, set[str]()), set(persons.get(profile, ()))
        left, came = (before.members[key].video for key in was - now), (after[key].video for key in now - was)
        if not (shown := {video: list[str]() for video in (*left, *came)}):
            continue
        for key in now:
            if (keys := shown.get(after[key].video)) is not None:
                keys.append(key)
        found |= {(profile, video): tuple(sorted(keys)) for video, keys in shown.items()}
    return dict(sorted(found.items()))
