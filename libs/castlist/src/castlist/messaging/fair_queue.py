"""Who is next: the gallery that has the least at work, then its video that has; retries come behind all first tries."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 100
"""After so many turns of others a retry waits no longer than a first try: nothing waits for ever."""


@dataclass(frozen=True, slots=True)
class Turn:
    """For whom: one piece of work on a video, and how often it has failed."""

    gallery: str
    video: str
    tries: int = 0


@dataclass(eq=False, slots=True)
class _Entry(Generic[T]):
    turn: Turn
    item: T
    yields_until: int


class FairQueue(Generic[T]):
    """What waits, and counts of what is at work: `take` begins a piece of work, `done` ends it.

    Of galleries (and videos of one) with as much at work, the one served longest ago comes first. A gallery has at most
    `each` pieces at work; None: any number.
    """

    def __init__(self, each: int | None = None) -> None:
        self._each = each
        self._first, self._again = _Lines[T](), _Lines[T]()
        self._retries: deque[_Entry[T]] = deque()
        self._at_work: Counter[str | tuple[str, str]] = Counter()
        self._served: dict[str | tuple[str, str], int] = {}
        self._turns = 0

    def __len__(self) -> int:
        """How much waits."""
        return len(self._first) + len(self._again)

    def put(self, turn: Turn, item: T) -> None:
        """Let `item` wait."""
        entry = _Entry(turn, item, self._turns + PATIENCE)
        if turn.tries:
            self._again.add(entry)
            self._retries.append(entry)
        else:
            self._first.add(entry)

    def take(self, *, new: bool = False) -> tuple[Turn, T] | None:
        """The next, which is at work now; None where nothing waits that may begin.

        `new`: only a first try of a gallery that has nothing at work.
        """
        while self._retries and self._retries[0].yields_until <= self._turns:
            entry = self._retries.popleft()
            if self._again.remove(entry):
                self._first.add(entry)
        for lines in (self._first,) if new else (self._first, self._again):
            if (gallery := self._gallery(lines, 1 if new else self._each)) is not None:
                entry = lines.pop(gallery, min(lines.videos(gallery), key=lambda video: self._rank((gallery, video))))
                self._turns += 1
                for key in _keys(entry.turn):
                    self._at_work[key] += 1
                    self._served[key] = self._turns
                return entry.turn, entry.item
        return None

    def done(self, turn: Turn) -> None:
        """A piece of work that was taken has ended."""
        for key in _keys(turn):
            self._at_work[key] -= 1
            if not self._at_work[key]:
                del self._at_work[key]
        self._forget(turn)

    def discard(self, turn: Turn, item: T) -> None:
        """`item` waits no longer."""
        for lines in (self._first, self._again):
            lines.discard(turn, item)
        self._forget(turn)

    def _gallery(self, lines: "_Lines[T]", each: int | None) -> str | None:
        free = (one for one in lines.galleries() if each is None or self._at_work[one] < each)
        return min(free, key=self._rank, default=None)

    def _rank(self, key: str | tuple[str, str]) -> tuple[int, int]:
        return self._at_work[key], self._served.get(key, 0)

    def _forget(self, turn: Turn) -> None:
        """Remember when somebody was served while there is more of theirs."""
        for key in _keys(turn):
            if key not in self._at_work and not self._first.has(key) and not self._again.has(key):
                self._served.pop(key, None)


def _keys(turn: Turn) -> tuple[str, tuple[str, str]]:
    return turn.gallery, (turn.gallery, turn.video)


class _Lines(Generic[T]):
    """What waits, by gallery and video, each in the order in which it came."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, deque[_Entry[T]]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def galleries(self) -> Iterator[str]:
        return iter(self._lines)

    def videos(self, gallery: str) -> Iterator[str]:
        return iter(self._lines[gallery])

    def has(self, key: str | tuple[str, str]) -> bool:
        return key in self._lines if isinstance(key, str) else key[1] in self._lines.get(key[0], ())

    def add(self, entry: _Entry[T]) -> None:
        self._lines.setdefault(entry.turn.gallery, {}).setdefault(entry.turn.video, deque()).append(entry)
        self._count += 1

    def pop(self, gallery: str, video: str) -> _Entry[T]:
        entry = self._lines[gallery][video][0]
        self.remove(entry)
        return entry

    def remove(self, entry: _Entry[T]) -> bool:
        """Whether it was there."""
        videos = self._lines.get(entry.turn.gallery, {})
        line = videos.get(entry.turn.video, deque[_Entry[T]]())
        if entry not in line:
            return False
        line.remove(entry)
        self._count -= 1
        if not line:
            del videos[entry.turn.video]
        if not videos:
            del self._lines[entry.turn.gallery]
        return True

    def discard(self, turn: Turn, item: T) -> None:
        for entry in list(self._lines.get(turn.gallery, {}).get(turn.video, ())):
            if entry.item is item:
                self.remove(entry)
