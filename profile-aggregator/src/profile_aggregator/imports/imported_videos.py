"""Videos with their people as one commit of an import writes them, and what it says. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import datetime

from msgspec.structs import replace

from castlist.contract.commands import Card
from castlist.store.records.persons import LeftOutRecord, PersonRecord, PlacesRecord, TracksRecord
from castlist.store.records.profiles import ProfileRecord, ProfileTotals
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoMoment, VideoRecord
from castlist_identity.decisions.decision_set import NAME, DecisionSet
from castlist_identity.galleries.gallery_diff import ClusterChange, GalleryChange, GalleryDiff
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.nearest.nearest_clusters import NearestClusters
from profile_aggregator.commits.asked import Asked
from profile_aggregator.commits.commit_documents import CommitDocuments, documents_of
from profile_aggregator.commits.profile_totals import SeenBefore
from profile_aggregator.videos.conversions import gallery_person

MOST_PERSONS = 1_000
MOST_VIDEOS = 50
"""Of one commit; of a video with more persons all of them."""


@dataclass
class ImportedVideo:
    """A video, or an enrolment, and what follows it in an archive, with the ids that it has here."""

    id: str
    video: VideoRecord | None = None
    tasks: list[TaskRecord] = field(default_factory=list)
    persons: list[PersonRecord] = field(default_factory=list)
    since: dict[str, datetime] = field(default_factory=dict)
    """since when each profile is shown in it as it is"""
    places: list[PlacesRecord] = field(default_factory=list)
    left_out: list[LeftOutRecord] = field(default_factory=list)
    tracks: list[TracksRecord] = field(default_factory=list)


class ImportedSoFar(ProfileTotals, frozen=True, kw_only=True):
    """Of a profile: what the videos that were imported so far add up to."""

    video_count: int


def is_enough(videos: Sequence[ImportedVideo]) -> bool:
    """Whether these are to be committed before others are read."""
    return len(videos) >= MOST_VIDEOS or sum(len(one.persons) for one in videos) >= MOST_PERSONS


def import_documents(
    videos: Sequence[ImportedVideo],
    profiles: Mapping[str, ProfileRecord],
    standing: Mapping[str, ImportedSoFar],
    gallery: str,
    version: int,
    told: int | None,
    now: datetime,
) -> CommitDocuments:
    """What the commit that makes `version` of the gallery writes: everybody comes to the profile that the archive says.

    `profiles` are those of whoever is in these videos, as they are to be; `standing` those of them that are there
    already.
    """
    found = [person for one in videos for person in one.persons]
    persons = {person.id: person for person in found if person.profile_id is not None}
    here: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in sorted(persons):
        here[str(persons[key].profile_id), persons[key].video_id].append(key)
    new = [profiles[id] for id in sorted({profile for profile, _ in here} - standing.keys())]
    counts = {id: one.video_count + one.enrolments for id, one in standing.items()}
    for profile, _ in here:
        counts[profile] = counts.get(profile, 0) + 1
    diff = GalleryDiff(
        change=GalleryChange(inserted=tuple(gallery_person(persons[key]) for key in sorted(persons))),
        created=tuple(Profile(one.id, one.founder, one.version) for one in new),
        revived=(),
        appeared=tuple((key, str(persons[key].profile_id)) for key in sorted(persons)),
        moved=(),
        left=(),
        merged=(),
        split=(),
        emptied=(),
        videos=dict(sorted(counts.items())),
        roles={},
        names={one.id: one.name for one in new if one.name is not None},
        appearances={pair: tuple(keys) for pair, keys in sorted(here.items())},
        founders={},
        clusters=_AS_THEY_ARE,
    )
    documents = documents_of(
        diff,
        gallery,
        version,
        told,
        now,
        Asked(
            diff.change,
            DecisionSet(),
            inserted=persons,
            new_persons=[replace(person, profile_id=None) for person in found],
        ),
        {one.id: _card(one) for one in new if _card(one)},
        {},
        {},
        {one.id: one.created_at for one in new},
        SeenBefore({one.id: _moment(one.video) for one in videos if one.video is not None}, {}, standing, {}),
    )
    created = [replace(one, revision=profiles[one.id].revision) for one in documents.created_profiles]
    since = {(profile, one.id): at for one in videos for profile, at in one.since.items()}
    appearances = [
        replace(one, created_at=since.get((one.profile_id, one.video_id), now)) for one in documents.appearances
    ]
    return changed(documents, created_profiles=created, appearances=appearances)


_AS_THEY_ARE = ClusterChange(
    gone=frozenset(),
    come={},
    nearest=NearestClusters().change(),
    near={},
    unsettled=frozenset(),
    whole=True,
    out=frozenset(),
    into=frozenset(),
    homes={},
    rounds=(),
)
"""Who is in which cluster follows from the profiles, once the gallery is read."""


def _card(profile: ProfileRecord) -> dict[str, object]:
    """What is known of it besides its name."""
    fields = {name: one.default for name, one in Card.model_fields.items() if name != NAME}
    return {name: value for name, nothing in fields.items() if (value := getattr(profile, name)) != nothing}


def _moment(video: VideoRecord) -> VideoMoment:
    return VideoMoment(id=video.id, name=video.name, recorded_at=video.recorded_at, created_at=video.created_at)


def halves(videos: Sequence[ImportedVideo]) -> Iterable[Sequence[ImportedVideo]]:
    """Both."""
    middle = len(videos) // 2
    return videos[:middle], videos[middle:]
