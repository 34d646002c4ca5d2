"""What a reader holds of a partition when Kafka has lost the log it is of."""

from castlist.ports.held_messages import HeldMessages
from castlist.ports.messages import Message


def message(offset: int) -> Message:
    """One of the partition."""
    return Message("video.chunks", 0, offset, b"key", b"value")


def test_what_is_held_of_a_lost_log_is_never_told_to_the_group() -> None:
    """The log begins anew below everything that is held: only what is done of the new one counts."""
    held = HeldMessages()
    old = [message(500), message(501)]
    assert all(map(held.add, old))
    new = message(0)
    assert held.add(new)
    assert not any(map(held.holds, old))
    assert not held.done(old[0])
    assert held.reached() is None
    assert held.done(new)
    assert held.reached() == 1


def test_what_was_taken_again_after_a_rebalance_is_of_the_same_log() -> None:
    """The group goes back to what it knows: what is in hand, or done ahead of that, is not done twice."""
    held = HeldMessages()
    first, second = message(500), message(501)
    assert held.add(first)
    assert held.add(second)
    assert held.done(second)
    assert not held.add(message(500))
    assert not held.add(message(501))
    assert held.holds(first)
    assert held.done(first)
    assert held.reached() == 502
