"""Which results are whole."""

import itertools

from castlist.contract.ids import result_key
from castlist.store.records.runs import ReceivedPart
from castlist.tasks.received_results import whole_results


def part(chunk: int, number: int, of: int, digest: str = "") -> ReceivedPart:
    """One part, as it was stored."""
    return ReceivedPart(id=result_key("v", 1, chunk, digest, number), chunk=chunk, part=number, parts=of)


def test_parts_of_two_results_make_no_whole_one() -> None:
    """Also where together they have every number, and where one is of an earlier version."""
    for one, other in (("aa", "bb"), ("", "bb")):
        assert whole_results([part(0, 0, 2, one), part(0, 1, 2, other)]) == {}
        assert whole_results([part(0, 0, 2, one), part(0, 1, 2, other), part(0, 1, 2, one)]) == {0: one}


def test_of_several_whole_results_always_the_same_is_taken() -> None:
    """In whatever order they came."""
    received = [part(0, 0, 1, "bb"), part(0, 0, 2, "aa"), part(0, 1, 2, "aa"), part(3, 0, 1)]
    for order in itertools.permutations(received):
        assert whole_results(order) == {0: "aa", 3: ""}
