"""Values in the form in which MongoDB keeps them."""

from datetime import UTC, datetime
from typing import Any

_PLAIN = frozenset({bool, str, float, bytes, type(None)})
_NESTED = frozenset({dict, list})


def stored(value: Any) -> Any:
    """A copy of `value` as MongoDB would hand it back: milliseconds in UTC, lists. TypeError or OverflowError for what
    it does not store."""
    match value:
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise TypeError("names of fields are text")
            return {key: one if type(one) in _PLAIN else stored(one) for key, one in value.items()}
        case list() | tuple():
            return [one if type(one) in _PLAIN else stored(one) for one in value]
        case datetime():
            moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        case bool() | str() | float() | bytes() | None:
            return value
        case int():
            if not -(2**63) <= value < 2**63:
                raise OverflowError("MongoDB's integers have 8 bytes")
            return value
        case _:
            raise TypeError(f"MongoDB does not store {type(value).__name__}")


def size_of(document: dict[str, Any]) -> int:
    """How many bytes a stored document has in MongoDB (as BSON)."""
    return 5 + sum(2 + len(key.encode()) + _size(value) for key, value in document.items())


def _size(value: Any) -> int:
    match value:
        case dict():
            return size_of(value)
        case list():
            return size_of({str(index): one for index, one in enumerate(value)})
        case str():
            return 5 + len(value.encode())
        case bytes():
            return 5 + len(value)
        case bool():
            return 1
        case int():
            return 4 if -(2**31) <= value < 2**31 else 8
        case None:
            return 0
        case _:  # a number, an instant
            return 8


def copied(value: Any) -> Any:
    """A copy of what is stored already."""
    if type(value) is dict:
        return {key: copied(one) if type(one) in _NESTED else one for key, one in value.items()}
    if type(value) is list:
        return [copied(one) if type(one) in _NESTED else one for one in value]
    return value
