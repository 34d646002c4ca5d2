"""The distance a gallery matches with when none was set.

In a small gallery the next stranger is far away; the more people there are, the nearer the nearest look-alike is, and
chains of look-alikes grow into one component. So the distance takes steps down, at sizes that depend on nothing but
how many video persons there are: no memory of how the gallery grew. Where people are measurably more alike than those
the steps were made for (calibration.py), it is lower still.
"""

from typing import Literal

from castlist_identity.matching.calibration import calibrated
from castlist_identity.matching.second_stage import STAGES

DistanceSetting = float | Literal["auto"]
"""What a gallery's settings say about the distance across videos."""

STEPS = ((0, 0.46), (100, 0.44), (1_000, 0.42), (7_000, 0.40), (50_000, 0.39), (200_000, 0.38))
"""(from how many video persons, D): where next to nobody is taken for somebody else. Whom that leaves in two the second
stage joins by what is around them: docs/adr/0005.
"""


def auto_distance(persons: int, spread: float = 1.0) -> float:
    """D for a gallery of so many video persons, whose people have this spread (calibration.py).

    Never rises with their number, never above the step of that number.
    """
    return calibrated(next(distance for size, distance in reversed(STEPS) if persons >= size), spread)


def stages_for(choice: DistanceSetting) -> int:
    """In how many stages people are matched: a distance that was set by hand is all that decides."""
    return STAGES if choice == "auto" else 1


def distance_for(choice: DistanceSetting, persons: int, spread: float = 1.0) -> float:
    """D for such a gallery with this setting."""
    return auto_distance(persons, spread) if choice == "auto" else choice
