"""How a service ends when it must not acknowledge anything any more; whatever watches it starts it again."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit statuses of the services; docs/operating.md is generated from here."""

    BUG = 70, "what is around the handlers raised what it must not; the log has the traceback"
    STOPPED_BY_ITSELF = 71, "the Faust app stopped without being told to"
    CANCELLED = 72, "a handler was cancelled in the middle of a message"
    NOT_DRAINED = 73, "what was in hand at a SIGTERM did not end in time; it is done again"
    NOT_COMMITTED = 74, "offsets could not be committed at a SIGTERM; some messages are done again"
    STUCK = 75, "messages waited in a partition of its own, or one in hand did not end, though every server was there"
    OWNED_ELSEWHERE = 76, "another aggregator runs under the same AGGREGATOR_INSTANCE"
    TOPICS_LOST = (
        77,
        "Kafka had lost topics: they are created anew at the next start, and positions in the old ones mean nothing",
    )

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitCode":
        """`meaning` is for people."""
        code = int.__new__(cls, value)
        code._value_, code.meaning = value, meaning
        return code
