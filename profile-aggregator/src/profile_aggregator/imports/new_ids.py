"""The ids of what is imported: those that it had, or others that follow from the gallery and those. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from castlist.contract.ids import CROPS, ENROLLED, derived, is_enrolment, person_key, run_key, task_id
from castlist.contract.values import Crop
from castlist.store.records.change_history import ChangeRecord, DecisionRecord, ObjectionRecord, Origin
from castlist.store.records.persons import LeftOutRecord, PersonRecord, PlacesRecord, TracksRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoRecord


class NewIds:
    """Records as they are in `gallery`. `anew`: whether each gets another id there than it had."""

    def __init__(self, gallery: str, anew: bool) -> None:
        self._gallery, self.anew = gallery, anew

    # --- ids ----------------------------------------------------------------------------------------------------------

    def id(self, old: str) -> str:
        """Of a profile, a video, an enrolment or a change."""
        if not self.anew:
            return old
        return f"{ENROLLED if is_enrolment(old) else ''}{derived('import', self._gallery, old)}"

    def person(self, old: str) -> str:
        """`video:epoch:n`"""
        video, epoch, n = old.rsplit(":", 2)
        return person_key(self.id(video), int(epoch), int(n))

    def run(self, old: str) -> str:
        """`video:epoch`"""
        video, _, epoch = old.rpartition(":")
        return run_key(self.id(video), int(epoch))

    def crop(self, old: str) -> str:
        """The key of a crop."""
        video, _, rest = old.removeprefix(CROPS).partition("/")
        return f"{CROPS}{self.id(video)}/{rest}"

    def _maybe(self, old: str | None) -> str | None:
        return None if old is None else self.id(old)

    def _founder(self, old: str | None) -> str | None:
        return None if old is None else self.person(old)

    def _persons(self, old: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted(map(self.person, old)))

    # --- people and what was decided about them -----------------------------------------------------------------------

    def profile(self, one: ProfileRecord) -> ProfileRecord:
        return replace(
            one,
            id=self.id(one.id),
            gallery=self._gallery,
            cover=self._maybe(one.cover),
            founder=self._founder(one.founder),
        )

    def redirect(self, one: RedirectRecord) -> RedirectRecord:
        return replace(
            one,
            id=self.id(one.id),
            gallery=self._gallery,
            into=self._maybe(one.into),
            founder=self._founder(one.founder),
        )

    def change(self, one: ChangeRecord, known: Collection[str]) -> ChangeRecord:
        """`known` are the ids that its details may speak of."""
        return replace(
            one,
            id=self.id(one.id),
            gallery=self._gallery,
            digest=None if self.anew else one.digest,
            profiles=tuple(sorted(map(self.id, one.profiles))),
            detail=self._said(one.detail, known),
            undoes=self._maybe(one.undoes),
            undone_by=self._maybe(one.undone_by),
        )

    def _said(self, value: Any, known: Collection[str]) -> Any:
        match value:
            case dict():
                return {self._said(name, known): self._said(one, known) for name, one in value.items()}
            case list() | tuple():
                return [self._said(one, known) for one in value]
            case str() if value in known:
                return self.id(value)
            case _:
                return value

    def decision(self, one: DecisionRecord) -> DecisionRecord:
        return replace(
            one,
            id=self.id(one.id),
            gallery=self._gallery,
            subjects=tuple(map(self.id, one.subjects)),
            groups=tuple(map(self._persons, one.groups)),
            leaving=self._persons(one.leaving),
            rest=self._persons(one.rest),
            unmatched=self._persons(one.unmatched),
            manual=self._persons(one.manual),
            about=self._persons(one.about),
            card=self.card(one.card),
            origins=tuple(Origin(self.id(origin.profile), self._persons(origin.persons)) for origin in one.origins),
            into=self._maybe(one.into),
            created=tuple(map(self.id, one.created)),
        )

    def objection(self, one: ObjectionRecord) -> ObjectionRecord:
        return replace(one, id=self.id(one.id), gallery=self._gallery)

    def card(self, card: Mapping[str, Any]) -> dict[str, Any]:
        """What a decision says of a person."""
        return {**card, **({"cover": self._maybe(card["cover"])} if "cover" in card else {})}

    # --- videos and who was found in them -----------------------------------------------------------------------------

    def video(self, one: VideoRecord) -> VideoRecord:
        id = self.id(one.id)
        return replace(one, id=id, gallery=self._gallery, latest_task_id=task_id(id, one.latest_epoch))

    def task(self, one: TaskRecord) -> TaskRecord:
        video = self.id(one.video_id)
        return replace(one, id=task_id(video, one.epoch), video_id=video, gallery=self._gallery)

    def found(self, one: PersonRecord) -> PersonRecord:
        """A video person."""
        return replace(
            one,
            id=self.person(one.id),
            gallery=self._gallery,
            video_id=self.id(one.video_id),
            crop=one.crop and self._crop(one.crop),
            profile_id=self._maybe(one.profile_id),
        )

    def _crop(self, one: Crop) -> Crop:
        return Crop(self.crop(one.key), one.time, one.box, one.frame, one.quality)

    def places(self, one: PlacesRecord) -> PlacesRecord:
        return replace(one, id=self.person(one.id))

    def left_out(self, one: LeftOutRecord) -> LeftOutRecord:
        return replace(one, id=self.run(one.id))

    def tracks(self, one: TracksRecord) -> TracksRecord:
        run, _, part = one.id.rpartition(":")
        return replace(one, id=f"{self.run(run)}:{part}")
