"""Which partitions have messages that their reader does not take."""

from collections.abc import Mapping
from dataclasses import dataclass

from castlist.ports.messages import Partition, ReadPosition


@dataclass
class Wait:
    """Messages lie at `offset` or behind it, and for `seconds` the reader was free and did not take them."""

    offset: int
    end: int
    seconds: float = 0.0


def behind(
    positions: Mapping[Partition, ReadPosition], bounds: Mapping[Partition, tuple[int, int]]
) -> Mapping[str, int]:
    """How many messages of each topic lie behind where its reader stands, over all its partitions."""
    counts: dict[str, int] = {}
    for partition, position in positions.items():
        topic, end = partition[0], bounds[partition][1]
        counts[topic] = counts.get(topic, 0) + end - _standing(position, bounds[partition])
    return counts


def _standing(position: ReadPosition, bounds: tuple[int, int]) -> int:
    """The offset of the first message that a reader still has before it."""
    first, end = bounds
    # What retention has removed waits for nobody.
    offset = max(first, position.offset or 0)
    return offset if offset <= end else first  # a position in a log that is gone: all that is there is to be read


class Lag:
    """What was seen of some partitions, look by look."""

    def __init__(self) -> None:
        self._waits: dict[Partition, Wait] = {}
        self._passed: dict[Partition, Wait] = {}

    def note(
        self,
        positions: Mapping[Partition, ReadPosition],
        bounds: Mapping[Partition, tuple[int, int]],
        elapsed: float,
    ) -> None:
        """One more look, `elapsed` seconds after the one before."""
        waits: dict[Partition, Wait] = {}
        for partition, position in positions.items():
            offset, end = _standing(position, bounds[partition]), bounds[partition][1]
            if offset == end or self._passed.get(partition) == Wait(offset, end):
                continue
            wait = self._waits.get(partition)
            if wait is None or wait.offset != offset:
                wait = Wait(offset, end)
            elif not position.in_hand:
                wait.seconds += elapsed
            wait.end = end
            waits[partition] = wait
        self._waits = waits

    def longest(self) -> tuple[Partition, Wait] | None:
        """The partition that has waited longest."""
        return max(self._waits.items(), key=lambda item: item[1].seconds, default=None)

    def pass_over(self, partition: Partition) -> None:
        """What lies there is no message: it waits for nobody, until something is written behind it."""
        wait = self._waits.pop(partition)
        self._passed[partition] = Wait(wait.offset, wait.end)

    def forget(self) -> None:
        """Nothing of what was seen counts: nobody could have read."""
        self._waits.clear()
