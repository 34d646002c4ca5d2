"""Which results of chunks are whole. Two runs over a chunk may differ (another encoder, another version): parts of one
and of the other are never taken together."""

from collections import defaultdict
from collections.abc import Iterable

from castlist.contract.ids import digest_in
from castlist.store.records.runs import ReceivedPart


def whole_results(received: Iterable[ReceivedPart]) -> dict[int, str]:
    """By chunk the digest of a result of which every part is there, in whatever order and however often they came; of
    several results always the same one."""
    parts: dict[tuple[int, str], set[int]] = defaultdict(set)
    needed: dict[tuple[int, str], int] = {}
    for one in received:
        result = one.chunk, digest_in(one.id)
        parts[result].add(one.part)
        needed[result] = one.parts
    whole = (result for result, there in parts.items() if sum(n < needed[result] for n in there) == needed[result])
    return dict(sorted(whole, reverse=True))  # the last one stays: of each chunk the lowest digest
