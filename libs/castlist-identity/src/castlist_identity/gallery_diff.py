"""What a commit changes, worked out from who was with whom before and after."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from castlist_identity.domain import Links, Member
from castlist_identity.profile_ids import Profile, Standing, Succession, keep_ids, majority


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit asks of a gallery. All of it is about keys of persons.

    `removed` leave (superseded epochs, deleted videos), `inserted` come. `succession` says who of the inserted stands
    for whom of the removed. `named` gives persons that stay a name, or takes it away. `links` are all the decisions
    that hold from now on (None: as before). `reconsider` asks for persons' components to be clustered again.
    """

    removed: frozenset[str] = frozenset()
    inserted: tuple[Member, ...] = ()
    succession: Succession = field(default_factory=lambda: Succession({}, {}))
    named: Mapping[str, str | None] = field(default_factory=dict)
    links: Links | None = None
    reconsider: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Move:
    person: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Merge:
    """`retired` redirects to `into`, which holds its founder now."""

    retired: str
    into: str


@dataclass(frozen=True, slots=True)
class Split:
    """`created` are new profiles most of whose persons came from `profile`, which goes on."""

    profile: str
    created: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What to write, and what to say. Everything is sorted; what did not change is not mentioned.

    `created`: new profiles. `appeared`: (inserted person, profile). `moved`: persons that stay and change profile.
    `left`: (removed person, the profile it was in). `merged`, `split`: see there. `emptied`: profiles with nobody left.
    `profiles`: the persons of every profile whose set of persons changed; none for one that retired or is empty.
    `names`: the names of profiles that changed. `appearances`: the persons of every changed (profile, video); none
    where the profile is no longer in the video. `founders`: ids, retired ones too, with another founder than before.
    `unsettled`: persons whose component was too large to be clustered in this commit. `near`: who is within the
    distance of each inserted person, found on the way.
    """

    change: Change
    created: tuple[Profile, ...]
    appeared: tuple[tuple[str, str], ...]
    moved: tuple[Move, ...]
    left: tuple[tuple[str, str], ...]
    merged: tuple[Merge, ...]
    split: tuple[Split, ...]
    emptied: tuple[str, ...]
    profiles: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str | None]
    appearances: Mapping[tuple[str, str], tuple[str, ...]]
    founders: Mapping[str, str | None]
    unsettled: frozenset[str]
    near: Mapping[str, set[str]]


@dataclass(frozen=True, slots=True)
class Before:
    """What a gallery holds before the commit: each person's profile, each profile, its persons, who it founded."""

    profile_of: Mapping[str, str]
    profiles: Mapping[str, Profile]
    persons: Mapping[str, frozenset[str] | set[str]]
    founded: Mapping[str, frozenset[str] | set[str]]
    members: Mapping[str, Member]


def difference(
    before: Before,
    change: Change,
    after: Mapping[str, Member],
    clusters: Sequence[tuple[str, ...]],
    mint: Callable[[str], str],
    created: int,
    unsettled: frozenset[str] = frozenset(),
    near: Mapping[str, set[str]] | None = None,
) -> Difference:
    """Give each of the touched `clusters` its id, and compare.

    `after` are the members of the clusters as they will be. The clusters hold every person of every profile that one
    of them, or one of the removed, was in.
    """
    votes = {key: before.profile_of[key] for cluster in clusters for key in cluster if key in before.profile_of}
    votes |= {new: before.profile_of[old] for new, old in change.succession.votes.items() if old in before.profile_of}
    touched = sorted(set(votes.values()) | {before.profile_of[key] for key in change.removed})
    standings = {profile: _standing(profile, before, change) for profile in touched}
    ids = keep_ids(clusters, votes, standings, mint)
    now = {key: profile for profile, cluster in zip(ids, clusters, strict=True) for key in cluster}
    new_ids = {profile: min(cluster) for profile, cluster in zip(ids, clusters, strict=True) if profile not in touched}
    persons = dict(zip(ids, clusters, strict=True))
    founders = _founders(before, change, persons)
    retired = [profile for profile in touched if profile not in persons]
    into = {profile: _holder(profile, before, change, founders, now) for profile in retired}
    parts: dict[str, list[str]] = defaultdict(list)
    for profile in sorted(new_ids):
        source = majority(persons[profile], votes)
        if source is not None and source in persons:
            parts[source].append(profile)
    old_names = {profile: _name(before.members[key] for key in before.persons[profile]) for profile in touched}
    names = {profile: _name(after[key] for key in cluster) for profile, cluster in persons.items()}
    changed = {profile: tuple(sorted(cluster)) for profile, cluster in persons.items()} | dict.fromkeys(retired, ())
    return Difference(
        change=change,
        created=tuple(Profile(profile, key, created) for profile, key in sorted(new_ids.items())),
        appeared=tuple((member.key, now[member.key]) for member in sorted(change.inserted, key=lambda m: m.key)),
        moved=tuple(
            Move(key, before.profile_of[key], now[key])
            for key in sorted(now)
            if key in before.profile_of and before.profile_of[key] != now[key]
        ),
        left=tuple((key, before.profile_of[key]) for key in sorted(change.removed)),
        merged=tuple(Merge(profile, target) for profile, target in sorted(into.items()) if target is not None),
        split=tuple(Split(profile, tuple(made)) for profile, made in sorted(parts.items())),
        emptied=tuple(profile for profile, target in sorted(into.items()) if target is None),
        profiles={id: keys for id, keys in sorted(changed.items()) if set(keys) != set(before.persons.get(id, ()))},
        names={id: name for id, name in sorted(names.items()) if name != old_names.get(id)},
        appearances=_appearances(before, after, touched, persons),
        founders=founders,
        unsettled=unsettled,
        near=near or {},
    )


def _standing(profile: str, before: Before, change: Change) -> Standing:
    persons = before.persons[profile]
    founder = before.profiles[profile].founder
    return Standing(
        named=_name(before.members[key] for key in persons) is not None,
        size=len(persons),
        created=before.profiles[profile].created,
        founder=None if founder is None else change.succession.heirs.get(founder, founder),
    )


def _name(members: Iterable[Member]) -> str | None:
    """The name its persons carry. There may be several only where somebody put two names together by hand."""
    names = Counter(member.name for member in members if member.name is not None)
    return min(names, key=lambda name: (-names[name], name), default=None)


def _holder(
    profile: str, before: Before, change: Change, founders: Mapping[str, str | None], now: Mapping[str, str]
) -> str | None:
    """The profile that a retired one leads to: where its founder is after the commit."""
    founder = founders.get(profile, before.profiles[profile].founder)
    if founder is None or founder in change.removed:
        return None
    return now.get(founder) or before.profile_of.get(founder)


def _founders(before: Before, change: Change, persons: Mapping[str, Sequence[str]]) -> dict[str, str | None]:
    """Another founder for each id, in use or retired, whose founder leaves: its heir, else somebody it was with."""

    def survivors(profile: str) -> list[str]:
        heirs = (change.succession.heirs.get(key, key) for key in before.persons.get(profile, ()))
        return sorted(key for key in heirs if key not in change.removed)

    founders: dict[str, str | None] = {}
    for gone in sorted(change.removed):
        holder = before.profile_of[gone]
        for profile in sorted(before.founded.get(gone, ())):
            near = persons.get(profile) or survivors(profile) or persons.get(holder) or survivors(holder)
            founders[profile] = change.succession.heirs.get(gone) or min(near, default=None)
    return founders


def _appearances(
    before: Before, after: Mapping[str, Member], touched: Sequence[str], persons: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], tuple[str, ...]]:
    old: dict[tuple[str, str], set[str]] = defaultdict(set)
    new: dict[tuple[str, str], set[str]] = defaultdict(set)
    for profile in touched:
        for key in before.persons[profile]:
            old[profile, before.members[key].video].add(key)
    for profile, keys in persons.items():
        for key in keys:
            new[profile, after[key].video].add(key)
    pairs = sorted(old.keys() | new.keys())
    return {pair: tuple(sorted(new.get(pair, ()))) for pair in pairs if old.get(pair) != new.get(pair)}
