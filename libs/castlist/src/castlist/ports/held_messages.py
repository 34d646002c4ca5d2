"""What a member of a group was handed out of one partition, and up to where all of it is done."""

from castlist.ports.messages import Message


class HeldMessages:
    """Messages in the order of the log, done in any order."""

    def __init__(self) -> None:
        self._held: dict[int, Message] = {}
        self._done: set[int] = set()
        self._committed = 0

    def __len__(self) -> int:
        """How many are ahead of what is committed, done or not."""
        return len(self._held) + len(self._done)

    @property
    def first(self) -> int | None:
        """The lowest offset that is not done; None where all are."""
        return next(iter(self._held), None)

    @property
    def at_work(self) -> int:
        """How many are not done."""
        return len(self._held)

    def add(self, message: Message) -> bool:
        """It was handed out; False where it was before."""
        offset = message.offset
        if offset < min((*self._held, *self._done), default=self._committed):  # another log, made anew in its place
            self._held.clear()
            self._done.clear()
            self._committed = offset
        if offset in self._held or offset in self._done:
            return False
        self._held[offset] = message
        return True

    def holds(self, message: Message) -> bool:
        """Whether this very one was handed out and is not done."""
        return self._held.get(message.offset) is message

    def done(self, message: Message) -> bool:
        """It is done with; False where it was never handed out, or is committed."""
        if self.holds(message):
            del self._held[message.offset]
            self._done.add(message.offset)
        return message.offset in self._done

    def reached(self) -> int | None:
        """The offset before which everything is done; None where that is committed."""
        if not self._done:
            return None
        # A partition's messages come in order: the first that is held is the lowest.
        offset = next(iter(self._held), max(self._done) + 1)
        return offset if offset > self._committed else None

    def committed(self, offset: int) -> None:
        """The group knows that everything before `offset` is done."""
        self._committed = max(self._committed, offset)
        self._done = {done for done in self._done if done >= self._committed}
