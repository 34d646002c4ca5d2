"""Compressed batches, read in bounded memory: a megabyte of gzip may hold a gigabyte.

aiokafka, which Faust reads through too, takes a batch's records out at once, however large they are. Here it is given
the same records with values cut, where they would not fit; such a value is longer than anything that is read, so it
becomes a dead letter. Other codecs never reach it: the topics keep gzip alone, which the brokers see to.
"""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiokafka.record import default_records

from castlist.contract.bounds import LARGEST_EVENT

MOST = 32 * 1024 * 1024
"""Bytes of a batch that are held whole; our own publisher's are far smaller."""
_CUT = LARGEST_EVENT + 1
_STEP = 64 * 1024
_GZIP = 31


def bound_memory() -> None:
    """From now on aiokafka decompresses with `gunzipped`."""
    default_records.gzip_decode = gunzipped
    with suppress(ImportError):  # the same in C, where it was built
        from aiokafka.record._crecords import default_records as compiled

        compiled.gzip_decode = gunzipped


def gunzipped(payload: Any) -> bytes:
    """The records of a batch, in at most about twice MOST bytes. zlib.error or EOFError for what is no gzip."""
    whole = bytearray()
    for some in _decompressed(payload):
        whole += some
        if len(whole) > MOST:
            return _with_values_cut(payload)
    return bytes(whole)


def _decompressed(payload: Any) -> Iterator[bytes]:
    left = bytes(payload)
    while left:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            some = member.decompress(left, _STEP)
            left = member.unconsumed_tail
            if not some and not left and not member.eof:
                raise EOFError("gzip that is cut off")
            yield some
        left = member.unused_data


def _with_values_cut(payload: Any) -> bytes:
    """Records as Kafka's format has them: varints, key, value, headers. Headers are left out."""
    source, records = _Source(_decompressed(payload)), bytearray()
    while (length := source.varint_or_end()) is not None:
        end = source.position + length
        head = source.take(1) + _varint(source.varint()) + _varint(source.varint())
        key = _cut_field(source, 1024)
        value = _cut_field(source, _CUT if len(records) < MOST else 1024)
        source.skip(end - source.position)
        record = head + key + value + _varint(0)
        records += _varint(len(record)) + record
    return bytes(records)


def _cut_field(source: "_Source", longest: int) -> bytes:
    length = source.varint()
    if length < 0:
        return _varint(-1)
    kept = source.take(min(length, longest))
    source.skip(length - len(kept))
    return _varint(len(kept)) + kept


def _varint(number: int) -> bytes:
    zigzag, out = (number << 1) ^ (number >> 63), bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


class _Source:
    """Bytes that come in pieces. EOFError where there are not as many as are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._piece, self._at = pieces, b"", 0
        self.position = 0

    def take(self, count: int) -> bytes:
        return b"".join(self._next(count))

    def skip(self, count: int) -> None:
        for _ in self._next(count):
            pass

    def varint_or_end(self) -> int | None:
        try:
            first = self.take(1)[0]
        except EOFError:
            return None
        return self._varint(first)

    def varint(self) -> int:
        return self._varint(self.take(1)[0])

    def _varint(self, byte: int) -> int:
        zigzag, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = self.take(1)[0]
            zigzag |= (byte & 0x7F) << shift
            shift += 7
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _next(self, count: int) -> Iterator[bytes]:
        while count > 0:
            if self._at == len(self._piece):
                self._piece, self._at = next(self._pieces, b""), 0
                if not self._piece:
                    raise EOFError("fewer bytes than their records have")
            some = self._piece[self._at : self._at + count]
            self._at += len(some)
            self.position += len(some)
            count -= len(some)
            yield some
