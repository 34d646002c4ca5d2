"""Batches that decompress to far more than they have: read in bounded memory, record by record."""

import gzip
import tracemalloc
import zlib
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from castlist.adapters.kafka import connection, decompression
from castlist.contract.bounds import LARGEST_EVENT

assert connection.OUTAGE  # importing it is what bounds the memory


def batch(*values: bytes | None, key: bytes | None = b"video-1") -> bytes:
    """A batch as producers write it, with gzip."""
    builder = DefaultRecordBatchBuilder(2, 1, True, -1, -1, 0, 2**31 - 1)
    for offset, value in enumerate(values):
        assert builder.append(offset, timestamp=1_700_000_000_000 + offset, key=key, value=value, headers=[("h", b"1")])
    return bytes(builder.build())


def read(data: bytes) -> list[Any]:
    """The records that aiokafka finds in it."""
    records = MemoryRecords(data)
    found = []
    while records.has_next():
        found += list(records.next_batch())
    return found


def test_an_ordinary_batch_is_read_as_it_is() -> None:
    """Keys, values and headers."""
    found = read(batch(b"one", None, b"", b"four" * 1_000))
    assert [record.value for record in found] == [b"one", None, b"", b"four" * 1_000]
    assert {record.key for record in found} == {b"video-1"}
    assert list(found[0].headers) == [("h", b"1")]


def test_a_batch_that_is_far_too_large_is_read_cut() -> None:
    """Each record has its place, its time and its key; those that are small are whole, as long as there is room."""
    large = bytes(40_000_000)
    data = batch(b"one", large, None, b"four", large)
    assert len(data) < 200_000
    tracemalloc.start()
    try:
        found = read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cut = large[: LARGEST_EVENT + 1]
    assert [record.value for record in found] == [b"one", cut, None, b"four", cut]
    assert [record.offset for record in found] == [0, 1, 2, 3, 4]
    assert [record.timestamp for record in found] == [1_700_000_000_000 + offset for offset in range(5)]
    assert {record.key for record in found} == {b"video-1"}
    assert peak < 4 * decompression.MOST


@pytest.mark.slow
def test_many_large_records_are_cut_shorter() -> None:
    """Two hundred of a megabyte each: what is kept of them has a bound all together."""
    found = read(batch(*[bytes(1_000_000)] * 200))
    assert len(found) == 200
    assert sum(len(record.value) for record in found) < 2 * decompression.MOST


def test_a_key_is_cut_too() -> None:
    """It may be as large as a value."""
    (record,) = read(batch(b"one", key=bytes(40_000_000)))
    assert (len(record.key), record.value) == (1024, b"one")


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"cut off")[:-12]])
def test_what_is_no_gzip_is_an_error(data: bytes) -> None:
    """As it was."""
    with pytest.raises((EOFError, zlib.error)):
        decompression.gunzipped(data)


def test_members_are_read_one_after_the_other() -> None:
    """As gzip's files may have several."""
    assert decompression.gunzipped(gzip.compress(b"one, ") + gzip.compress(b"two")) == b"one, two"
