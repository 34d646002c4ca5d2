"""What a profile's appearances add up to, after a commit: from what they did before it, and the difference. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from castlist.store.records import (
    AppearanceRecord,
    AppearanceTotals,
    ProfileTotals,
    VideoMoment,
    in_milliseconds,
)


@dataclass(frozen=True)
class SeenBefore:
    """What was true before a commit: names and moments of the videos with changed appearances, these appearances and
    the totals of their profiles; and of profiles whose earliest or latest appearance goes, those that stay at either
    end.
    """

    videos: Mapping[str, VideoMoment]
    appearances: Mapping[str, AppearanceTotals]
    profiles: Mapping[str, ProfileTotals]
    staying: Mapping[str, Sequence[datetime]]

    def totals(self, now: Iterable[AppearanceRecord]) -> dict[str, ProfileTotals]:
        """Those of each profile of which an appearance changed; `now` are the changed ones that are there."""
        milliseconds: dict[str, int] = defaultdict(int)
        moments: dict[str, list[datetime]] = defaultdict(list)
        for one in self.appearances.values():
            milliseconds[one.profile_id] -= one.milliseconds
        for profile, totals in self.profiles.items():
            milliseconds[profile] += totals.milliseconds
            moments[profile] += self.staying.get(profile, ends(totals))
        for there in now:
            milliseconds[there.profile_id] += in_milliseconds(there.seconds)
            if there.video_at is not None:
                moments[there.profile_id].append(there.video_at)
        return {
            profile: ProfileTotals(
                id=profile,
                first_seen=min(moments[profile], default=None),
                last_seen=max(moments[profile], default=None),
                milliseconds=total,
            )
            for profile, total in milliseconds.items()
        }


def ends(totals: ProfileTotals) -> list[datetime]:
    """The earliest and the latest moment."""
    return [moment for moment in (totals.first_seen, totals.last_seen) if moment is not None]
