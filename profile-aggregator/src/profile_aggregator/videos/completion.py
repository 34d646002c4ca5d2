"""When a video is complete, and how far it is. Pure: a set of received results against a plan."""

from collections import Counter
from collections.abc import Iterable, Mapping

from castlist.contract.bounds import MOST_REASONS, MOST_RESULT_BYTES, MOST_TRACKS
from castlist.store.records.runs import ReceivedPart


def missing_chunks(planned: int, finished: Iterable[int]) -> list[int]:
    """What a complete video still lacks, in order."""
    return sorted(set(range(planned)) - set(finished))


LONG = 1_000
"""Tracks from which on putting a video together takes a second, and more with their square."""


def takes_long(received: Iterable[ReceivedPart]) -> bool:
    """Whether finding a video's people keeps what comes behind it waiting."""
    return sum(one.tracks or 0 for one in received) > LONG


def exceeds_limits(received: Iterable[ReceivedPart]) -> bool:
    """Whether a video's results are too many to be put together: no detector finds so many faces."""
    sizes = [(one.tracks or 0, one.bytes or 0) for one in received]
    return sum(tracks for tracks, _ in sizes) > MOST_TRACKS or sum(bytes for _, bytes in sizes) > MOST_RESULT_BYTES


def reasons_added_up(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """How many faces were left out for each reason, in order; those of rare reasons beyond MOST_REASONS as `other`."""
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    rare = [reason for reason, _ in total.most_common()[MOST_REASONS - 1 :]]
    if len(rare) > 1:
        total["other"] += sum(total.pop(reason) for reason in rare)
    return dict(sorted(total.items()))


def progress(planned: int, finished: int, running: Mapping[int, float]) -> float:
    """From 0 to below 1: committing the people is the last step, and only `done` is 1."""
    if planned <= 0:
        return 0.0
    return round(min(0.99, 0.99 * (finished + sum(running.values())) / planned), 4)
