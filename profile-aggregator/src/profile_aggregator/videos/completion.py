"""When a video is complete, and how far it is. Pure: a set of received results against a plan."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from castlist.store.records import ReceivedPart


def finished_chunks(received: Iterable[ReceivedPart]) -> frozenset[int]:
    """Chunks of which every part is there, in whatever order and however often they came."""
    parts: dict[int, set[int]] = defaultdict(set)
    needed: dict[int, int] = {}
    for one in received:
        parts[one.chunk].add(one.part)
        needed[one.chunk] = one.parts
    return frozenset(chunk for chunk, there in parts.items() if there >= set(range(needed[chunk])))


def missing_chunks(planned: int, finished: Iterable[int]) -> list[int]:
    """What a complete video still lacks, in order."""
    return sorted(set(range(planned)) - set(finished))


def progress(planned: int, finished: int, running: Mapping[int, float]) -> float:
    """From 0 to below 1: committing the people is the last step, and only `done` is 1."""
    if planned <= 0:
        return 0.0
    return round(min(0.99, 0.99 * (finished + sum(running.values())) / planned), 4)
