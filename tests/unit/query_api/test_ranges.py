"""Ranges and conditions of a request for a file."""

import pytest

from castlist.service.problems import Problem
from query_api.http.ranges import Part, asked_part

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=90-", 90, 100),
        ("bytes=-10", 90, 100),
        ("bytes=-500", 0, 100),
        ("bytes=0-999", 0, 100),
        ("bytes=99-99", 99, 100),
    ],
)
def test_a_range_is_cut_to_the_file(asked: str, start: int, end: int) -> None:
    """206 with the bytes that are there, saying which of how many."""
    part = asked_part({"range": asked}, 100, ETAG)
    assert part == Part(206, start, end, 100)
    assert part.headers == {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/100"}


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_had(asked: str) -> None:
    """416, with the size of the file."""
    with pytest.raises(Problem) as refused:
        asked_part({"range": asked}, 100, ETAG)
    assert refused.value.status == 416
    assert refused.value.headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "bytes=9-3", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", ""])
def test_a_range_that_makes_no_sense_is_passed_over(asked: str) -> None:
    """The whole file, as the standard asks."""
    assert asked_part({"range": asked}, 100, ETAG) == Part(200, 0, 100, 100)


def test_a_range_of_another_version_is_not_mixed_into_this_one() -> None:
    """`If-Range` with another tag: the whole file."""
    assert asked_part({"range": "bytes=5-", "if-range": ETAG}, 100, ETAG).status == 206
    assert asked_part({"range": "bytes=5-", "if-range": '"old"'}, 100, ETAG) == Part(200, 0, 100, 100)


@pytest.mark.parametrize("known", [ETAG, '"old", "abc"', 'W/"abc"', "*"])
def test_what_the_client_has_is_not_sent_again(known: str) -> None:
    """304 without a body, also where a range is asked for."""
    assert asked_part({"if-none-match": known, "range": "bytes=0-1"}, 100, ETAG).status == 304
    assert asked_part({"if-none-match": '"old"'}, 100, ETAG).status == 200


def test_an_empty_file_has_no_range() -> None:
    """Whole it can be had."""
    assert asked_part({}, 0, ETAG) == Part(200, 0, 0, 0)
    with pytest.raises(Problem):
        asked_part({"range": "bytes=0-"}, 0, ETAG)
