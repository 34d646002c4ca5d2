"""What a profile's appearances add up to, after a commit: from what they did before it, and the difference. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.ids import video_of_person
from castlist.store.records.appearances import AppearanceRecord, AppearanceTotals, in_milliseconds
from castlist.store.records.profiles import Picture, ProfileTotals
from castlist.store.records.videos import VideoMoment


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

    def totals(
        self, now: Iterable[AppearanceRecord], pictures: Mapping[tuple[str, str], Sequence[Picture]]
    ) -> dict[str, ProfileTotals]:
        """Those of each profile of which an appearance or a picture changed. `now` are the changed appearances that are
        there, `pictures` are those of profiles (by profile and enrolment) that changed, as they are now."""
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
        shown: dict[str, list[Picture]] = defaultdict(list)
        for profile, totals in self.profiles.items():
            shown[profile] += [one for one in totals.pictures if (profile, video_of_person(one.person)) not in pictures]
        for (profile, _), placed in pictures.items():
            shown[profile] += placed
        return {
            profile: ProfileTotals(
                id=profile,
                first_seen=min(moments[profile], default=None),
                last_seen=max(moments[profile], default=None),
                milliseconds=milliseconds[profile],
                pictures=tuple(sorted(shown[profile], key=lambda one: one.person)),
            )
            for profile in milliseconds.keys() | shown.keys()
        }


def ends(totals: ProfileTotals) -> list[datetime]:
    """The earliest and the latest moment."""
    return [moment for moment in (totals.first_seen, totals.last_seen) if moment is not None]
