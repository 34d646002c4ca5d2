"""The wall clock."""

from datetime import UTC, datetime


def now_utc() -> datetime:
    """The wall clock, for the edges; pure stages get the time as an argument."""
    return datetime.now(UTC)
