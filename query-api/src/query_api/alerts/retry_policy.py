"""When a delivery that failed is tried again, and when it is given up. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Outcome = Literal["delivered", "refused", "gone", "failed"]
_FOR_NOW = {408, 425, 429}
_GONE = 410


def outcome_of(status: int) -> Outcome:
    """What a receiver has said by a status. A redirect is a failure: it is not followed.

    `refused`: this very message, as it seems; `gone`: all, for good; `failed`: it cannot take any for now.
    """
    if 200 <= status < 300:
        return "delivered"
    if status == _GONE:
        return "gone"
    return "refused" if 400 <= status < 500 and status not in _FOR_NOW else "failed"


@dataclass(frozen=True)
class RetryPolicy:
    """What comes later waits for what failed, so that the order stays; so nothing may be tried for ever.

    A message that is refused is given up after `most_refusals` attempts; of a receiver that is away, after so long.
    """

    patience: timedelta = timedelta(days=1)
    most_refusals: int = 8
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(hours=1)

    def pause(self, failures: int, asked: float | None = None) -> timedelta:
        """After so many failures in a row; `asked`: the seconds that the receiver wants to be left alone."""
        doubled = self.first * (1 << min(failures - 1, 30))
        return min(self.longest, max(doubled, timedelta(seconds=asked or 0)))

    def gives_up(self, outcome: Outcome, attempts: int, failing_since: datetime, now: datetime) -> bool:
        """Whether this message is a dead letter, after so many attempts at it; its receiver fails since then."""
        refused = outcome == "gone" or (outcome == "refused" and attempts >= self.most_refusals)
        return refused or now - failing_since >= self.patience
