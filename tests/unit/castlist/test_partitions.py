"""Which partition a message goes to."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from castlist.adapters.kafka.publisher import partition_for

PARTITIONS = list(range(16))


@given(st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True), st.integers(0, 5000))
def test_chunks_that_follow_each_other_never_meet(video: str, first: int) -> None:
    """As many as there are partitions: each has one of its own, so that none waits for another."""
    keys = (f"{video}:{chunk}".encode() for chunk in range(first, first + len(PARTITIONS)))
    assert sorted(partition_for(key, PARTITIONS, PARTITIONS) for key in keys) == PARTITIONS


def test_first_chunks_spread_over_the_partitions() -> None:
    """Short videos have no other chunk."""
    found = {partition_for(f"video-{number}:0".encode(), PARTITIONS, PARTITIONS) for number in range(200)}
    assert found == set(PARTITIONS)


@pytest.mark.parametrize("key", [b"lobby", b"a-gallery", b"2f1c", b"17", b":", b"lobby:"])
def test_other_keys_go_where_any_producer_puts_them(key: bytes) -> None:
    """Whoever announces a video with another client meets our messages about it."""
    assert partition_for(key, PARTITIONS, PARTITIONS) == DefaultPartitioner()(key, PARTITIONS, PARTITIONS)


def test_a_message_without_a_key_goes_anywhere() -> None:
    """It is one that could not be read."""
    assert partition_for(None, PARTITIONS, PARTITIONS) in PARTITIONS
