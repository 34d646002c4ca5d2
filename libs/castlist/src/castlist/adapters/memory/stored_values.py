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


def copied(value: Any) -> Any:
    """A copy of what is stored already."""
    if type(value) is dict:
        return {key: copied(one) if type(one) in _NESTED else one for key, one in value.items()}
    if type(value) is list:
        return [copied(one) if type(one) in _NESTED else one for one in value]
    return value
