"""HTTP ranges and conditions on a file (RFC 9110, 13 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from castlist.service.conditional import is_known
from castlist.service.problems import Problem

_RANGE = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})$")


@dataclass(frozen=True)
class Part:
    """The bytes from `start` to `end` (exclusive) of a file of `size` bytes; `status` is 200, 206 or 304."""

    status: int
    start: int
    end: int
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """What says which part it is."""
        if self.status == 304:
            return {}
        length = {"Content-Length": str(self.end - self.start)}
        return length | (
            {"Content-Range": f"bytes {self.start}-{self.end - 1}/{self.size}"} if self.status == 206 else {}
        )


def asked_part(headers: Mapping[str, str], size: int, etag: str) -> Part:
    """What a request with these headers gets; `etag` with its quotes.

    A range that makes no sense, several of them, and one of another version of the file are passed over, as the
    standard has it; Problem 416 for one that lies behind the end.
    """
    whole = Part(200, 0, size, size)
    if is_known(headers, etag):
        return Part(304, 0, 0, size)
    match = _RANGE.match(headers.get("range", "").strip())
    if match is None or headers.get("if-range", etag).strip() != etag:
        return whole
    first, last = match.groups()
    if not (first or last) or (first and last and int(last) < int(first)):
        return whole
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise Problem(416, f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return Part(206, start, end, size)
