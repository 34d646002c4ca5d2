"""What a change makes of a gallery's clusters, round by round: who is in the sample, its clusters, who follows which.

What fits nowhere in one round is what the next is about, so what changes in one is what the next has to look at.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import numpy as np

from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.affected_clusters import AffectedClusters, GalleryView, renamed
from castlist_identity.galleries.gallery_diff import FIRST, GalleryChange, SampleRole
from castlist_identity.matching.cluster_key import cluster_key
from castlist_identity.matching.followers import Options, chosen, is_taken, options_of
from castlist_identity.matching.person_table import UNKNOWN, PersonTable
from castlist_identity.matching.sampled_round import SampleChange, sample_change
from castlist_identity.matching.second_stage import Cluster
from castlist_identity.nearest.nearest_clusters import NearestClusters

FEW = 64
"""Followers up to whom each is asked for the clusters near it; of more those clusters are looked for that have any."""


class RoundsView(GalleryView, Protocol):
    """What is asked of a gallery here; `castlist_identity.galleries.gallery.Gallery` answers it."""

    sample: int
    profile_of: dict[str, str]
    rounds: list[PersonTable]
    home: dict[str, str]
    followers: dict[str, set[str]]
    nearest: NearestClusters

    def persons_of(self, video: str) -> frozenset[str]: ...

    def round_of(self, key: str) -> int: ...

    def sampled_of(self, profile: str) -> Collection[str]: ...

    def role_of(self, key: str) -> SampleRole: ...


class AffectedRounds:
    """The gallery's first stage as it will be, as far as the change touches it.

    `touched` are clusters of samples, `gone` and `come` what of those does not stay and is new, with `points`; those of
    further rounds are in `further`. `out` leave a sample, `into` come to one, `near` are those within reach of these.
    `homes` are followers that were looked at, and where they are from now on; `doubted` clusters whose followers were
    seen with others than before. `unsettled`: a person of each component that was too large. `tables[r]`: what becomes
    of round r.
    """

    def __init__(self, gallery: RoundsView, change: GalleryChange) -> None:
        self._gallery, self._change = gallery, change
        self.links = gallery.links if change.links is None else change.links
        self._new = {member.key: member for member in change.inserted}
        self._named = {key: renamed(gallery.members[key], name) for key, name in change.named.items()}
        self._here: dict[str, set[str]] = defaultdict(set)
        for member in change.inserted:
            self._here[member.video].add(member.key)
        self.touched: list[Cluster] = []
        self.gone: set[str] = set()
        self.come: dict[str, Cluster] = {}
        self.points: dict[str, GalleryPerson] = {}
        self.further: set[str] = set()
        self.out: set[str] = set()
        self.into: dict[str, GalleryPerson] = {}
        self.near: dict[str, set[str]] = {}
        self.homes: dict[str, str | None] = {}
        self.doubted: set[str] = set()
        self.unsettled: set[str] = set()
        self.tables: list[SampleChange] = []
        self._cluster_of: dict[str, str] = {}
        self._moved_to: dict[str, set[str]] = defaultdict(set)
        self._last: dict[str, int] = {}

    def work(self, bound: int | None, clustered: Collection[Cluster] | None = None) -> None:
        """Work it out, with no component clustered of more persons than the bound; `clustered` are clusters to take
        over as they are."""
        gallery, change = self._gallery, self._change
        before, pinned = gallery.links.keys, {key for key in self.links.keys if self.present(key)}
        review = {key for key in change.reconsider | change.named.keys() | (pinned ^ before) if key in gallery.members}
        removed: Collection[str] = change.removed
        added: Sequence[GalleryPerson] = [self.member(one.key) for one in change.inserted]
        taken = list(clustered or ())
        for key in change.removed & gallery.home.keys():
            self._move(key, gallery.home[key], None)
        links_changed = change.links is not None
        number = 0
        while True:
            known = number < len(gallery.rounds)
            table = gallery.rounds[number] if known else PersonTable()
            here = {key for key in review if key in table}
            ours = [cluster for cluster in taken if gallery.round_of(cluster[0]) == number]
            if not (removed or added or here or ours or (links_changed and number == 0)):
                break
            removed, added = self._round(
                number, table, removed, added, here, pinned if number == 0 else set(), bound, ours
            )
            number += 1

    def _round(
        self,
        number: int,
        table: PersonTable,
        removed: Collection[str],
        added: Sequence[GalleryPerson],
        review: set[str],
        pinned: set[str],
        bound: int | None,
        clustered: Collection[Cluster],
    ) -> tuple[set[str], list[GalleryPerson]]:
        """One round; who leaves the next, and who comes to it."""
        gallery, change = self._gallery, self._change
        made = sample_change(
            table, self.member, removed, added, review, pinned, gallery.reach, gallery.near, gallery.sample
        )
        self.tables.append(made)
        self.out |= made.out
        self.into |= {one.key: one for one in made.into}
        self._last |= {one.key: number for one in made.into}
        stay = {key for key in review if table.is_sampled(key) and key not in made.out}
        clusters = AffectedClusters(
            gallery,
            GalleryChange(
                removed=made.out,
                inserted=made.into,
                named={key: change.named[key] for key in stay & change.named.keys()},
                links=change.links,
                reconsider=frozenset(stay & change.reconsider),
            ),
            made.near,
            table.is_sampled,
        )
        self.near |= clusters.near
        if clustered:
            touched, unsettled = clusters.with_clusters(clustered), frozenset[str]()
        else:
            touched, unsettled = clusters.clusters(bound)
        self.touched += touched
        self.unsettled |= unsettled
        persons = {key for cluster in touched for key in cluster} | made.out
        old = {gallery.cluster_of[key] for key in persons if key in gallery.cluster_of and table.is_sampled(key)}
        now = {cluster_key(cluster): cluster for cluster in touched}
        gone = {key for key in old if now.get(key) != gallery.clusters[key]}
        come = {key: cluster for key, cluster in now.items() if gallery.clusters.get(key) != cluster or key not in old}
        self._cluster_of |= {one: key for key, cluster in now.items() for one in cluster}
        points = {key: summary(key, [self.member(one) for one in cluster]) for key, cluster in come.items()}
        self.gone |= gone
        self.come |= come
        self.points |= points
        if number:
            self.further |= points.keys()
        return self._follow(number, table, made, review, gone, come, points)

    def _follow(
        self,
        number: int,
        table: PersonTable,
        made: SampleChange,
        review: set[str],
        gone: set[str],
        come: dict[str, Cluster],
        points: dict[str, GalleryPerson],
    ) -> tuple[set[str], list[GalleryPerson]]:
        gallery = self._gallery
        rounds = gallery.rounds
        beyond = rounds[number + 1] if number + 1 < len(rounds) else PersonTable()
        fresh = {key for key, (_, chosen_one, _) in made.added.items() if not chosen_one}
        fresh |= {key for key in made.out if key not in made.removed}
        into = {one.key for one in made.into}

        def follows(key: str) -> bool:
            """In this round, from now on."""
            if key in fresh:
                return True
            return key in table and key not in made.removed and key not in into and not table.is_sampled(key)

        def home_of(key: str) -> str | None:
            return gallery.home.get(key) if key in table and key not in beyond and not table.is_sampled(key) else None

        def beside(key: str) -> list[str]:
            return [other for other in self.seen_with(key) if follows(other)]

        asked = {*fresh, *(key for key in review if follows(key))}
        for cluster in gone:
            asked.update(key for key in gallery.followers.get(cluster, ()) if follows(key))
        rows = table.followers()
        reach = gallery.distance * gallery.distance
        if len(rows):
            # Whom a cluster takes depends on what it is called, too.
            renamed_here = {self.sampled_cluster(key) for key in review & self._named.keys() if key not in made.removed}
            called = [gallery.nearest.point(key) for key in renamed_here - points.keys() if key is not None]
            for point in [*points.values(), *called]:
                within, _ = table.distances_to(point, rows, reach)
                asked.update(key for row in within.tolist() if follows(key := table.keys[row]))
        if len(rows) or fresh:
            for key in {one for cluster in come.values() for one in cluster} | made.out | made.removed:
                asked.update(beside(key))
        if not asked and not (made.removed or into):
            return set(), []
        options = self._options(number, table, asked, gone, points)
        asked -= {
            key
            for key, near in options.items()
            if near and key not in fresh and near[0][1] == home_of(key) and not self.seen_with(key)
        }

        def options_for(key: str) -> Options:
            return options[key] if key in options else self._options(number, table, {key}, gone, points)[key]

        def taken(key: str, cluster: str, home: Callable[[str], str | None]) -> bool:
            return self._taken(key, cluster, home, follows)

        homes = chosen(asked, options_for, home_of, taken, beside)
        # Whom nobody took before, either, the next round knows.
        homes = {key: home for key, home in homes.items() if home is not None or key not in beyond}
        passed = {key for key, home in homes.items() if home is None}
        for key, home in homes.items():
            before = gallery.home.get(key)
            self._move(key, before, home)
            self._last[key] = number
        leave = {key for key in (*made.removed, *into) if key in beyond}
        leave |= {key for key, home in homes.items() if home is not None and key in beyond}
        for key in into & gallery.home.keys():
            self._move(key, gallery.home[key], None)
        return leave, [self.member(key) for key in sorted(passed)]

    def _move(self, key: str, before: str | None, home: str | None) -> None:
        if (known := self.homes.get(key)) is not None:
            self._moved_to[known].discard(key)
        self.homes[key] = home
        if home is not None:
            self._moved_to[home].add(key)
        if home != before and self.seen_with(key):
            self.doubted |= {cluster for cluster in (before, home) if cluster is not None}

    def _options(
        self, number: int, table: PersonTable, keys: Collection[str], gone: set[str], points: dict[str, GalleryPerson]
    ) -> dict[str, Options]:
        """The clusters of this round within the distance of each, as they will be."""
        gallery, limit = self._gallery, self._gallery.distance**2
        found: dict[str, list[tuple[float, str]]] = {key: [] for key in keys}
        known, coming = sorted(key for key in keys if key in table), [key for key in keys if key not in table]
        extra = PersonTable()
        extra.enter([self.member(key) for key in coming], [False] * len(coming), [UNKNOWN] * len(coming))
        if len(keys) <= FEW:
            old = {key for near in gallery.nearest.within([self.member(key) for key in keys], limit) for key in near}
        else:
            means = np.concatenate([table.means[table.rows(known)], extra.means[extra.rows(coming)]])
            old = gallery.nearest.around(means, limit)
        clusters = [
            gallery.nearest.point(key)
            for key in sorted(old)
            if key not in gone and gallery.round_of(key) == number and key not in points
        ]
        for here, rows in ((table, table.rows(known)), (extra, extra.rows(coming))):
            for point in (*clusters, *points.values()):
                within, distances = here.distances_to(point, rows, limit)
                for row, distance in zip(within.tolist(), distances.tolist(), strict=True):
                    found[here.keys[row]].append((distance, point.key))
        return {key: options_of(self.name(key), near, self._names) for key, near in found.items()}

    def _names(self, cluster: str) -> set[str]:
        names = {self.name(key) for key in self.persons(cluster)}
        return {name for name in names if name is not None}

    def present(self, key: str) -> bool:
        """Whether somebody is there."""
        return key in self._new or (key in self._gallery.members and key not in self._change.removed)

    def changed_roles(self) -> dict[str, SampleRole]:
        """Of those whose role will be another than it was; of who is new, where it is not the usual one."""
        found = {}
        for key in (*self.homes, *self.into):
            if self.present(key):
                now = SampleRole(self._last[key], self.homes.get(key) is not None)
                if now != (FIRST if key in self._new else self._gallery.role_of(key)):
                    found[key] = now
        return found

    def homes_of(self, keys: Collection[str]) -> dict[str, str]:
        """Where these follow, of whom only their role is known: they are all that do."""
        gallery, homes = self._gallery, dict[str, str]()
        for number, table in enumerate(gallery.rounds):
            here = {key for key in keys if gallery.round_of(key) == number}
            if not here:
                continue
            options = self._options(number, table, here, set(), {})

            def taken(key: str, cluster: str, home: Callable[[str], str | None], here: set[str] = here) -> bool:
                return self._taken(key, cluster, home, here.__contains__)

            def beside(key: str, here: set[str] = here) -> set[str]:
                return self.seen_with(key) & here

            found = chosen(here, options.__getitem__, lambda _: None, taken, beside)
            # Nobody takes those only who are still to be reconsidered: they stay with whom they share a profile.
            homes |= {key: home or self._some_cluster(key, number) for key, home in found.items()}
        return homes

    def _some_cluster(self, key: str, number: int) -> str:
        gallery = self._gallery
        inside = {gallery.cluster_of[one] for one in gallery.sampled_of(gallery.profile_of[key])}
        return min({one for one in inside if gallery.round_of(one) == number} or gallery.clusters)

    def _taken(self, key: str, cluster: str, home: Callable[[str], str | None], follows: Callable[[str], bool]) -> bool:
        return is_taken(key, cluster, self.seen_with(key), follows, home, self.sampled_cluster)

    # --- as it will be ------------------------------------------------------------------------------------------------

    def member(self, key: str) -> GalleryPerson:
        return self._named.get(key) or self._new.get(key) or self._gallery.members[key]

    def name(self, key: str) -> str | None:
        """What somebody is called."""
        if key in self._new:
            return self._new[key].name
        return self._change.named[key] if key in self._change.named else self._gallery.members.name(key)

    def _apart(self, key: str) -> frozenset[str]:
        return self._new[key].apart if key in self._new else self._gallery.members.apart(key)

    def persons(self, cluster: str) -> Cluster:
        """Who of the sample is in it."""
        return self.come.get(cluster) or self._gallery.clusters[cluster]

    def followers(self, cluster: str) -> Iterable[str]:
        """Who else is in it."""
        for key in self._gallery.followers.get(cluster, ()):
            if self.homes.get(key, cluster) == cluster and self.present(key):
                yield key
        for key in self._moved_to.get(cluster, ()):
            if self._gallery.home.get(key) != cluster:
                yield key

    def size(self, cluster: str) -> int:
        """About how many are in it."""
        return len(self.persons(cluster)) + len(self._gallery.followers.get(cluster, ()))

    def sampled_cluster(self, key: str) -> str | None:
        """Of somebody in a sample."""
        if key in self._cluster_of:
            return self._cluster_of[key]
        return None if key in self.out else self._gallery.cluster_of.get(key)

    def cluster_of(self, key: str) -> str | None:
        """Of anybody."""
        if (found := self.sampled_cluster(key)) is not None:
            return found
        return self.homes[key] if key in self.homes else self._gallery.home.get(key)

    def seen_with(self, key: str) -> set[str]:
        """Whoever was seen together with this one, of those who are there."""
        video = self._new[key].video if key in self._new else self._gallery.members.video(key)
        apart = self._apart(key)
        there = [other for other in self._gallery.persons_of(video) if other not in self._change.removed]
        there += self._here.get(video, ())
        found = {other for other in there if other in apart or key in self._apart(other)}
        found |= {other for other in apart if self.present(other)}
        return found - {key}
