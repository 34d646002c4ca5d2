"""One round of sampling: who of its persons is clustered, and what becomes of that as persons come and go.

A round is about some persons: the first about all, each further one about those who fit nowhere in the one before.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from castlist_identity.clustering.means import Rows
from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.crowd_sample import CROWDED, SAMPLE, rank
from castlist_identity.matching.person_table import UNKNOWN, Counts, PersonTable


def split_by_sample(
    members: Sequence[GalleryPerson], pinned: Collection[str], size: int
) -> tuple[list[GalleryPerson], list[GalleryPerson]]:
    """All persons of a round: the sample, and who follows. `pinned` are in the sample whatever their rank."""
    table = PersonTable()
    table.enter(members, [True] * len(members), [UNKNOWN] * len(members))
    lower = table.count_lower(members, np.zeros(0, np.int64), size)
    sampled = [one.key in pinned or count < size for one, count in zip(members, lower.tolist(), strict=True)]
    return (
        [one for one, chosen in zip(members, sampled, strict=True) if chosen],
        [one for one, chosen in zip(members, sampled, strict=True) if not chosen],
    )


@dataclass(frozen=True, slots=True, eq=False)
class SampleChange:
    """What the sample becomes: `out` leave it, `into` come to it; `near` are those of it within reach of these.

    `removed` leave the round, `added` come to it, each with whether it is in the sample. `counted` are rows that stay,
    with their `lower` from now on.
    """

    removed: frozenset[str]
    added: dict[str, tuple[GalleryPerson, bool, int]]
    out: frozenset[str]
    into: tuple[GalleryPerson, ...]
    near: dict[str, set[str]]
    counted: tuple[Rows, Counts]

    def apply(self, table: PersonTable) -> None:
        rows, lower = self.counted
        table.lower[rows] = lower
        stay = [key for key in self.out if key not in self.removed]
        table.sampled[table.rows(stay)] = False
        promoted = [member.key for member in self.into if member.key not in self.added]
        table.sampled[table.rows(promoted)] = True
        table.remove(self.removed)
        added = list(self.added.values())
        table.enter([one for one, _, _ in added], [chosen for _, chosen, _ in added], [count for _, _, count in added])


def sample_change(
    table: PersonTable,
    member: Callable[[str], GalleryPerson],
    removed: Collection[str],
    added: Sequence[GalleryPerson],
    review: Iterable[str],
    pinned: Collection[str],
    reach: float,
    near: Callable[[Iterable[str]], dict[str, set[str]]],
    size: int = SAMPLE,
) -> SampleChange:
    """What becomes of the sample of a round when these leave it and those come.

    Who is under `review` is counted again. `pinned` are in the sample whatever their rank. `reach` is a D²; `near`
    says who of the sample is within it of others of the sample.
    """
    gone = sorted(removed)
    left = table.rows(gone)
    asked = [*(member(key) for key in gone), *added]
    survey = table.survey(asked, reach, len(gone), left)
    lower = survey.lower[len(gone) :]
    if added:
        ranks = np.array([rank(one.key) for one in added], np.int64)
        crowding = person_distance_matrix(added) <= CROWDED**2
        lower = lower + (crowding & (ranks < ranks[:, np.newaxis])).sum(axis=1)
    come: dict[str, tuple[GalleryPerson, bool, int]] = {
        one.key: (one, one.key in pinned or count < size, count)
        for one, count in zip(added, lower.tolist(), strict=True)
    }
    fewer, more = survey.above
    reviewed = np.zeros(len(table.keys), np.bool_)
    reviewed[table.rows(key for key in review if key in table and key not in removed)] = True
    sampled = table.sampled[: len(table.keys)]
    known = table.lower[: len(table.keys)].astype(np.int64)
    after = np.where(known == UNKNOWN, UNKNOWN, known + more - fewer)
    asking = np.nonzero(((more > 0) & sampled | reviewed & sampled | (fewer > 0) & ~sampled) & (known == UNKNOWN))[0]
    if len(asking):
        asking = _worth_counting(table, asking, reach, near, len(added), size)
        after[asking] = _counted(table, member, asking, left, size) + more[asking]
    # Of who follows no more is known than that there are so many: fewer of these may yet be enough.
    doubtful = np.nonzero(~sampled & (fewer > 0) & (after < size) & (known != UNKNOWN))[0]
    if len(doubtful):
        after[doubtful] = _counted(table, member, doubtful, left, size) + more[doubtful]
    held = {key for key in pinned if key in table and key not in removed}
    after[table.rows(held)] = UNKNOWN
    settled = after != known
    settled[left] = False
    demoted = {table.keys[row] for row in np.nonzero(sampled & (after >= size))[0].tolist()} - {"", *held, *gone}
    promoted = {
        table.keys[row] for row in np.nonzero(~sampled & settled & (after != UNKNOWN) & (after < size))[0].tolist()
    }
    promoted |= {key for key in held if not table.is_sampled(key)}
    out = {key for key in gone if table.is_sampled(key)} | demoted
    back = [member(key) for key in sorted(promoted)]
    into = (*(one for one in added if come[one.key][1]), *back)
    around = dict(zip((one.key for one in added), survey.sampled[len(gone) :], strict=True))
    around |= dict(zip((one.key for one in back), table.near(back, reach), strict=True))
    rows = np.nonzero(settled)[0]
    return SampleChange(
        frozenset(gone), come, frozenset(out), into, {one.key: around[one.key] for one in into}, (rows, after[rows])
    )


def _worth_counting(
    table: PersonTable,
    rows: Rows,
    reach: float,
    near: Callable[[Iterable[str]], dict[str, set[str]]],
    added: int,
    size: int,
) -> Rows:
    """Without those of the sample who have too few around them to be crowded out of it."""
    sampled = table.sampled[rows]
    if reach < CROWDED**2 or len(table.followers()) or not sampled.any():
        return rows
    names = [table.keys[row] for row in rows[sampled].tolist()]
    around = near(names)
    crowded = [len(around[key]) + added >= size for key in names]
    return np.sort(np.concatenate([rows[~sampled], rows[sampled][crowded]]))


def _counted(table: PersonTable, member: Callable[[str], GalleryPerson], rows: Rows, left: Rows, size: int) -> Counts:
    """More than enough, so that not each one that leaves asks for counting again."""
    return table.count_lower([member(table.keys[row]) for row in rows.tolist()], left, 2 * size)
