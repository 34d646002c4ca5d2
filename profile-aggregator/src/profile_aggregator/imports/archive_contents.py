"""What an archive says, looked at whole before any of it is believed: nothing is imported of one that does not add up.

Pure. Somebody may have written it: whatever a record may not be in MongoDB is refused here.
"""

import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from castlist.archive.archive_format import About, AppearanceSince, ArchiveError, Line
from castlist.contract.bounds import ENCODING_LIMIT, LAST_SECOND, MOST_SEGMENTS, MOST_TRACKS, WHOLE
from castlist.contract.commands import Card
from castlist.contract.events import EventId, VideoUploaded
from castlist.contract.ids import (
    BY_HAND,
    ID_PATTERN,
    PERSON_PATTERN,
    crops_prefix,
    is_enrolment,
    person_key,
    run_key,
    task_id,
)
from castlist.contract.values import ENCODING_SIZE, Crop, LeftOutFace, Segment
from castlist.store.packed_tracks import unpacked
from castlist.store.records.change_history import ChangeRecord, DecisionRecord, ObjectionRecord
from castlist.store.records.persons import LeftOutRecord, PersonRecord, PlacesRecord, TracksRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.tasks.lifecycle import FINAL

_ID, _PERSON = re.compile(ID_PATTERN), re.compile(PERSON_PATTERN)
_CROP = re.compile(r"[0-9]+-([0-9a-f]+-)?[0-9]+\.jpg")
_CHANGE: TypeAdapter[str] = TypeAdapter(EventId)
_CROPS: TypeAdapter[Crop] = TypeAdapter(Crop)
_FACES: TypeAdapter[tuple[LeftOutFace, ...]] = TypeAdapter(tuple[LeftOutFace, ...])
_SEGMENTS: TypeAdapter[tuple[Segment, ...]] = TypeAdapter(tuple[Segment, ...])
_ENCODING_BYTES = 4 * ENCODING_SIZE
_PLACE_BYTES = 5 * 4
_TRACK_BYTES = 2 * 4
_LONGEST_WORD = 64


class ArchiveContents:
    """What was read of an archive so far. Each line is given to `take`, in their order; `finish` looks at the whole."""

    def __init__(self, about: About) -> None:
        self.about = about
        self.profiles: dict[str, ProfileRecord] = {}
        self.redirects: set[str] = set()
        self.changes: set[str] = set()
        self.videos: dict[str, VideoRecord] = {}
        self.enrolments: set[str] = set()
        self.crops: set[str] = set()
        self.contents: set[str] = set()
        self._video: VideoRecord | None = None
        self._here: set[str] = set()
        self._tasks: set[str] = set()
        self._shown: set[str] = set()
        self._wanted: set[str] = set()
        self._decided: set[str] = set()
        self._objections: set[str] = set()
        self._take: Mapping[str, Callable[[Any], None]] = {
            "profile": self._profile,
            "redirect": self._redirect,
            "change": self._change,
            "decision": self._decision,
            "objection": self._objection,
            "video": self._begin_video,
            "task": self._task,
            "person": self._person,
            "appearance": self._appearance,
            "places": self._places,
            "left_out": self._left_out,
            "tracks": self._tracks,
        }
        with _named("what it is about"):
            _in(0 <= about.gallery_version < WHOLE // 2, "gallery_version")
            _in(about.distance is None or 0 < about.distance < 1, "distance")
            _in(about.stages in (1, 2), "stages")

    @property
    def known(self) -> frozenset[str]:
        """The ids of all profiles, retired ones too, videos, enrolments and changes."""
        return frozenset({*self.profiles, *self.redirects, *self.videos, *self.enrolments, *self.changes})

    def take(self, line: Line) -> None:
        """The next one. ArchiveError for what may not be."""
        for name, take in self._take.items():
            if (record := getattr(line, name)) is not None:
                with _named(f"{name} {record.id[:200]}"):
                    take(record)

    def finish(self) -> None:
        """There is no more. ArchiveError where it does not add up."""
        self._end_video()
        if nobody := sorted(self.profiles.keys() - self._shown):
            raise ArchiveError(f"The archive does not add up: nobody is in profile {nobody[0]}.")
        if unknown := sorted(self.crops - self._wanted):
            raise ArchiveError(f"The archive does not add up: {unknown[0]} is nobody's picture.")
        if unknown := sorted(self.contents - self.videos.keys()):
            raise ArchiveError(f"The archive does not add up: there is no video {unknown[0]}.")
        if unknown := sorted((self._decided | self._objections) - self.changes):
            raise ArchiveError(f"The archive does not add up: what {unknown[0]} says has no change.")

    # --- people -------------------------------------------------------------------------------------------------------

    def _profile(self, one: ProfileRecord) -> None:
        _in(one.id not in self.profiles and one.id not in self.redirects, "id")
        self._lived(one.id, one.founder, one.version)
        Card.model_validate({name: getattr(one, name) for name in Card.model_fields})
        _in(0 <= one.revision <= self.about.gallery_version, "revision")
        self.profiles[one.id] = one

    def _redirect(self, one: RedirectRecord) -> None:
        _in(one.id not in self.profiles and one.id not in self.redirects, "id")
        self._lived(one.id, one.founder, one.version)
        _in(one.into is None or _ID.match(one.into), "into")
        self.redirects.add(one.id)

    def _lived(self, id: str, founder: str | None, version: int) -> None:
        _in(_ID.match(id), "id")
        _in(founder is None or _PERSON.match(founder), "founder")
        _in(0 <= version <= self.about.gallery_version, "version")

    # --- what was decided ---------------------------------------------------------------------------------------------

    def _change(self, one: ChangeRecord) -> None:
        _in(one.id not in self.changes and _CHANGE.validate_python(one.id), "id")
        _in(one.status == "applied", "status")
        _in(re.fullmatch(r"[a-z_]{1,64}", one.kind), "kind")
        _in(all(map(_ID.match, one.profiles)), "profiles")
        _in(all(len(name) <= _LONGEST_WORD for name in one.detail), "detail")
        self.changes.add(one.id)

    def _decision(self, one: DecisionRecord) -> None:
        _in(one.id not in self._decided, "id")
        _in(0 <= one.version <= self.about.gallery_version, "version")
        parts = (*one.groups, one.leaving, one.rest, one.unmatched, one.manual, one.about)
        for keys in (*parts, *(origin.persons for origin in one.origins)):
            _in(all(map(_PERSON.match, keys)), "persons")
        profiles = (*one.subjects, *one.created, *(origin.profile for origin in one.origins))
        _in(all(map(_ID.match, profiles)) and (one.into is None or _ID.match(one.into)), "profiles")
        _in(one.card.keys() <= Card.model_fields.keys(), "card")
        Card.model_validate(one.card)
        self._decided.add(one.id)

    def _objection(self, one: ObjectionRecord) -> None:
        _in(one.id not in self._objections and _ID.match(one.id), "id")
        self._encoding(one.mean)
        self._objections.add(one.id)

    def _encoding(self, mean: bytes) -> None:
        _in(len(mean) == _ENCODING_BYTES, "mean")
        _in(bool(np.all(np.abs(np.frombuffer(mean, "<f4")) <= ENCODING_LIMIT)), "mean")

    # --- videos -------------------------------------------------------------------------------------------------------

    def _begin_video(self, one: VideoRecord) -> None:
        self._end_video()
        _in(one.id not in self.videos and not is_enrolment(one.id), "id")
        VideoUploaded(
            event_id="-",
            occurred_at=one.created_at,
            video_id=one.id,
            epoch=one.latest_epoch,
            gallery=self.about.gallery,
            object=one.object,
            name=one.name,
            bytes=one.bytes,
            sha256=one.sha256,
            recorded_at=one.recorded_at,
            external_id=one.external_id,
        )
        _in(one.latest_task_id == task_id(one.id, one.latest_epoch), "latest_task_id")
        _in(one.committed_epoch is None or 1 <= one.committed_epoch <= one.latest_epoch, "committed_epoch")
        _in(one.duration is None or 0 <= one.duration <= 2 * LAST_SECOND, "duration")
        self.videos[one.id] = self._video = one
        self._here = set()

    def _end_video(self) -> None:
        """A video has its latest task."""
        if self._video is not None and self._video.latest_task_id not in self._tasks:
            raise ArchiveError(f"The archive does not add up: video {self._video.id} lacks its latest task.")
        self._tasks = set()

    def _of_video(self, video: str) -> VideoRecord:
        if self._video is None or video != self._video.id:
            raise ValueError("it does not follow its video")
        return self._video

    def _task(self, one: TaskRecord) -> None:
        video = self._of_video(one.video_id)
        _in(one.id == task_id(video.id, one.epoch) and 1 <= one.epoch <= video.latest_epoch, "id")
        _in(one.status in FINAL, "status")
        self._tasks.add(one.id)

    def _person(self, one: PersonRecord) -> None:
        pictured = self._video is None and is_enrolment(one.video_id)
        latest = BY_HAND if pictured else self._of_video(one.video_id).latest_epoch
        _in(one.id == person_key(one.video_id, one.epoch, one.n) and _PERSON.match(one.id), "id")
        _in(one.id not in self._here, "id")
        _in(0 <= one.epoch <= latest and one.n >= 0, "epoch")
        _in((one.profile_id is None) == one.unmatched, "profile_id")
        _in(one.profile_id is None or one.profile_id in self.profiles, "profile_id")
        # Of whoever was only counted, or is there because somebody said so, no encoding is kept.
        if one.mean or pictured:
            self._encoding(one.mean)
        _in(math.isfinite(one.variance) and 0 <= one.variance <= ENCODING_LIMIT, "variance")
        _in((0 if pictured else 1) <= len(one.segments) <= MOST_SEGMENTS, "segments")
        _SEGMENTS.validate_python([{"start": start, "end": end} for start, end in one.segments])
        _in(all(start <= end for start, end in one.segments), "segments")
        _in(0 <= one.faces <= WHOLE and 0 <= one.seconds <= 2 * LAST_SECOND, "seconds")
        _in(abs(one.first_seen) <= LAST_SECOND and abs(one.last_seen) <= LAST_SECOND, "first_seen")
        _in(len(one.tracks) % _TRACK_BYTES == 0 and len(one.tracks) <= MOST_TRACKS * _TRACK_BYTES, "tracks")
        _in(0 <= one.round <= _LONGEST_WORD, "round")
        if one.name is not None:
            Card(name=one.name)
        if one.crop is not None:
            _CROPS.validate_python(asdict(one.crop))
            prefix = crops_prefix(one.video_id, one.epoch)
            _in(one.crop.key.startswith(prefix) and _CROP.fullmatch(one.crop.key.removeprefix(prefix)), "crop")
            self._wanted.add(one.crop.key)
        self._here.add(one.id)
        if one.profile_id is not None:
            self._shown.add(one.profile_id)
        if pictured:
            self.enrolments.add(one.video_id)

    def _appearance(self, one: AppearanceSince) -> None:
        self._of_video(one.video_id)
        _in(one.profile_id in self.profiles, "profile_id")

    def _places(self, one: PlacesRecord) -> None:
        _in(one.id in self._here if self._video is not None else _PERSON.match(one.id), "id")
        _in(len(one.places) % _PLACE_BYTES == 0, "places")
        rows = np.frombuffer(one.places, "<f4").reshape(-1, 5)
        _in(bool(np.all(np.isfinite(rows)) and np.all(np.abs(rows) < 2**31)), "places")

    def _left_out(self, one: LeftOutRecord) -> None:
        self._of_run(one.id)
        _FACES.validate_python([asdict(face) for face in one.faces])

    def _tracks(self, one: TracksRecord) -> None:
        run, _, part = one.id.rpartition(":")
        self._of_run(run)
        _in(re.fullmatch(r"[0-9]{5,9}", part), "id")
        _in(math.isfinite(one.start) and math.isfinite(one.end) and one.start <= one.end, "start")
        _in(all(len(track.rows) for track in unpacked(one.tracks)), "tracks")

    def _of_run(self, run: str) -> None:
        video = self._of_video(run.rpartition(":")[0])
        _in(video.committed_epoch is not None and run == run_key(video.id, video.committed_epoch), "id")


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Inside, what is wrong is said of `what`."""
    try:
        yield
    except (ValueError, TypeError, LookupError, struct.error) as error:
        raise ArchiveError(f"The archive does not add up: {what}: {str(error)[:300]}") from None


def _in(fine: Any, field: str) -> None:
    if not fine:
        raise ValueError(f"{field} is not valid")
