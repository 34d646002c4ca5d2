"""Commands: messages that ask for something. They are named in the imperative."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from castlist.contract.bounds import MOST_NAMED, MOST_PICTURES, MOST_TAGS
from castlist.contract.box import Box
from castlist.contract.events import Event, EventId
from castlist.contract.values import (
    KEPT,
    AnalysisSettings,
    BirthDate,
    DistanceSetting,
    EncodedFace,
    Epoch,
    ExternalId,
    FrameSize,
    GalleryId,
    GallerySettings,
    KeyName,
    Notes,
    PersonName,
    ProfileId,
    Retention,
    Seconds,
    Sha256,
    StoredObject,
    Tag,
    TrackId,
    VideoId,
    Whole,
)

CardField = Literal["name", "external_id", "birth_date", "notes", "tags", "favourite", "hidden", "cover"]
Videos = Annotated[tuple[VideoId, ...], Field(max_length=MOST_NAMED)]
Tracks = Annotated[tuple[TrackId, ...], Field(max_length=MOST_NAMED)]


class Card(BaseModel):
    """What is known of a person; the defaults are what nothing is known of. `cover`: the video whose crop stands for
    the person."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: PersonName | None = None
    external_id: ExternalId | None = None
    birth_date: BirthDate | None = None
    notes: Notes | None = None
    tags: Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)] = ()
    favourite: bool = False
    hidden: bool = False
    cover: VideoId | None = None


class Correction(Event):
    """What a person decided about a gallery. `by`: who, where that is known."""

    gallery: GalleryId
    by: KeyName | None = None


class ProfileCorrection(Correction):
    """What a person decided about a profile. It is refused where the card, or a decision about the profile, is of a
    later version of the gallery than `if_revision`."""

    profile_id: ProfileId
    if_revision: Whole | None = None


class ChangeCard(ProfileCorrection):
    """Write those fields of a profile's card that are `changed`."""

    event: Literal["ChangeCard"] = "ChangeCard"
    version: Literal[1] = 1
    card: Card
    changed: Annotated[tuple[CardField, ...], Field(max_length=8)]


class MergeProfiles(ProfileCorrection):
    """These profiles are the same person as this one, and become part of it."""

    event: Literal["MergeProfiles"] = "MergeProfiles"
    version: Literal[1] = 1
    profiles: Annotated[tuple[ProfileId, ...], Field(max_length=MOST_NAMED)]


class SplitProfile(ProfileCorrection):
    """What of a profile is in these videos, or tracks, is not this person: it goes to `into`, or to a new profile."""

    event: Literal["SplitProfile"] = "SplitProfile"
    version: Literal[1] = 1
    videos: Videos = ()
    track_ids: Tracks = ()
    into: ProfileId | None = None


class RejectAppearance(ProfileCorrection):
    """What of a profile is in a video is not this person, or not a face."""

    event: Literal["RejectAppearance"] = "RejectAppearance"
    version: Literal[1] = 1
    video_id: VideoId
    reason: Literal["not_this_person", "not_a_face"]


class AddPresence(ProfileCorrection):
    """A profile is in a video although no face was found: from `start` to `end`, or all the time."""

    event: Literal["AddPresence"] = "AddPresence"
    version: Literal[1] = 1
    video_id: VideoId
    start: Seconds | None
    end: Seconds | None
    box: Box | None = None


class EnrolledPicture(BaseModel):
    """The face of a person in a picture of so many pixels."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    face: EncodedFace
    frame: FrameSize


class EnrolPerson(Correction):
    """Somebody is known by these pictures, in which nobody else is. `cropped`: whether their crops lie where
    `picture_key` says."""

    event: Literal["EnrolPerson"] = "EnrolPerson"
    version: Literal[1] = 1
    name: PersonName
    pictures: Annotated[tuple[EnrolledPicture, ...], Field(max_length=MOST_PICTURES)]
    cropped: bool = False


class RaiseObjection(Correction):
    """Somebody, whom a profile or a picture shows, is to be found and never shown: what is known of them is erased but
    for one encoding, and so is whatever is found of them later."""

    event: Literal["RaiseObjection"] = "RaiseObjection"
    version: Literal[1] = 1
    profile_id: ProfileId | None = None
    picture: EnrolledPicture | None = None


class WithdrawObjection(Correction):
    """Somebody may be known again: in what is looked through from now on."""

    event: Literal["WithdrawObjection"] = "WithdrawObjection"
    version: Literal[1] = 1
    objection_id: EventId


class DeleteProfile(ProfileCorrection):
    """Take a profile away: its people are matched no more, others like them may come. With `erase` also all that could
    find the person again: for good."""

    event: Literal["DeleteProfile"] = "DeleteProfile"
    version: Literal[1] = 1
    erase: bool = False


class AnswerSuggestion(Correction):
    """What was suggested is one person, or is not."""

    event: Literal["AnswerSuggestion"] = "AnswerSuggestion"
    version: Literal[1] = 1
    suggestion_id: EventId
    answer: Literal["same", "different"]


class UndoChange(Correction):
    """Take a correction back."""

    event: Literal["UndoChange"] = "UndoChange"
    version: Literal[1] = 1
    change_id: EventId


class RenameProfile(Event):
    """Give a profile a name (or take it away, with None): the part of `ChangeCard` that there was before it."""

    event: Literal["RenameProfile"] = "RenameProfile"
    version: Literal[1] = 1
    gallery: GalleryId
    profile_id: ProfileId
    name: PersonName | None


class DeleteVideo(Correction):
    """Remove a video: its people from their profiles, then its object, crops and records. With `erase` also what was
    said of people who are nowhere else."""

    event: Literal["DeleteVideo"] = "DeleteVideo"
    version: Literal[1] = 1
    video_id: VideoId
    erase: bool = False


class DeleteGallery(Correction):
    """Erase a gallery with everything in it. It cannot be taken back."""

    event: Literal["DeleteGallery"] = "DeleteGallery"
    version: Literal[1] = 1


class ChosenSettings(Correction):
    """All settings of a gallery."""

    settings: AnalysisSettings
    across_video_distance: DistanceSetting = "auto"
    retention: Retention = KEPT

    @property
    def chosen(self) -> GallerySettings:
        """As a gallery keeps them."""
        return GallerySettings.of(self.settings, self.across_video_distance, self.retention)


class ChangeSettings(ChosenSettings):
    """Replace the settings of a gallery. A new distance re-clusters it."""

    event: Literal["ChangeSettings"] = "ChangeSettings"
    version: Literal[1] = 1


class PreviewSettings(ChosenSettings):
    """Work out what other settings would make of a gallery. Nothing of it changes."""

    event: Literal["PreviewSettings"] = "PreviewSettings"
    version: Literal[1] = 1


class ImportGallery(Correction):
    """Take what is in an archive into a gallery where nothing is yet: the object, which has these bytes."""

    event: Literal["ImportGallery"] = "ImportGallery"
    version: Literal[1] = 1
    object: StoredObject
    sha256: Sha256


class CancelVideo(Event):
    """Stop the work on a video. Without an epoch: the one current when this is first received, resolved once.

    `forget`: its object, of which workers are to keep no copy.
    """

    event: Literal["CancelVideo"] = "CancelVideo"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch | None = None
    forget: StoredObject | None = None
