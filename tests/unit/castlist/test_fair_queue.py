"""Who is next."""

from castlist.messaging.fair_queue import PATIENCE, FairQueue, Turn


def served(queue: FairQueue[str], count: int) -> list[str]:
    """The next, each done before the one after it is taken."""
    order = []
    for _ in range(count):
        taken = queue.take()
        assert taken is not None
        order.append(taken[1])
        queue.done(taken[0])
    return order


def test_galleries_take_turns_whatever_lies_before() -> None:
    """A gallery of one video waits for one job of a gallery of a hundred."""
    queue = FairQueue[str]()
    for n in range(100):
        queue.put(Turn("busy", f"b{n}"), "busy")
    queue.put(Turn("quiet", "q"), "quiet")
    queue.put(Turn("other", "o"), "other")
    assert set(served(queue, 3)) == {"busy", "quiet", "other"}


def test_videos_of_a_gallery_take_turns() -> None:
    """A long one holds up no short one."""
    queue = FairQueue[str]()
    for n in range(3):
        queue.put(Turn("g", "long"), f"long {n}")
    queue.put(Turn("g", "short"), "short")
    assert served(queue, 4) == ["long 0", "short", "long 1", "long 2"]


def test_who_has_least_at_work_is_next() -> None:
    """Jobs that last do not gather all there is room for: of two galleries each has half."""
    queue = FairQueue[str]()
    for n in range(4):
        queue.put(Turn("slow", f"s{n}"), "slow")
        queue.put(Turn("quick", f"q{n}"), "quick")
    at_work = [queue.take(), queue.take()]
    for _ in range(3):
        (quick,) = [one for one in at_work if one is not None and one[1] == "quick"]
        at_work.remove(quick)
        queue.done(quick[0])
        at_work.append(queue.take())
        assert sorted(one[1] for one in at_work if one is not None) == ["quick", "slow"]


def test_a_retry_comes_behind_first_tries_but_not_for_ever() -> None:
    """Of whatever gallery, and whenever they came; after some turns it waits no longer than they."""
    queue = FairQueue[str]()
    queue.put(Turn("g", "bad", tries=1), "retry")
    order = []
    for n in range(PATIENCE + 2):
        queue.put(Turn("g" if n % 2 else "h", f"v{n}"), f"v{n}")
        order += served(queue, 1)
    assert order.index("retry") in (PATIENCE, PATIENCE + 1)


def test_a_retry_is_taken_where_nothing_else_waits() -> None:
    """It has only to let others pass."""
    queue = FairQueue[str]()
    queue.put(Turn("g", "bad", tries=2), "retry")
    assert served(queue, 1) == ["retry"]
    assert queue.take() is None
    assert len(queue) == 0


def test_a_gallery_has_no_more_than_its_share_at_work() -> None:
    """Others go on, and it does when something of it has ended."""
    queue = FairQueue[str](each=2)
    for n in range(3):
        queue.put(Turn("busy", f"b{n}"), f"b{n}")
    taken = [queue.take(), queue.take()]
    assert queue.take() is None
    queue.put(Turn("quiet", "q"), "q")
    assert queue.take() == (Turn("quiet", "q"), "q")
    assert taken[0] is not None
    queue.done(taken[0][0])
    assert queue.take() == (Turn("busy", "b2"), "b2")


def test_nothing_is_kept_of_who_was_there() -> None:
    """Galleries and videos come and go by the thousand."""
    queue = FairQueue[str]()
    for n in range(500):
        queue.put(Turn(f"g{n}", f"v{n}"), "item")
        queue.put(Turn(f"g{n}", f"w{n}", tries=1), "other")
        queue.discard(Turn(f"g{n}", f"w{n}", tries=1), "other")
    served(queue, 500)
    assert not queue._served
    assert not queue._at_work
    assert len(queue) == 0
