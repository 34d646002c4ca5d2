"""A profile: one person in a gallery; and where the ids of retired ones lead."""

from datetime import datetime

import msgspec

from castlist.contract.ids import video_of_person
from castlist.contract.values import Crop
from castlist.store.query import name_of
from castlist.store.records.collection import AGGREGATOR, QUERY, Collection, index
from castlist.store.records.record import Record


class Picture(msgspec.Struct, frozen=True):
    """By which a profile is known: the person that it is in the gallery, and its crop."""

    person: str
    crop: Crop | None = None


class ProfileRecord(Record, frozen=True, kw_only=True):
    """One person in a gallery. `founder` is the video person it was made for, `version` the commit that made it.

    `revision` is the gallery's version at which its card, or a decision about it, changed last. `cover` names the video
    whose crop was chosen. `birth_date` is ISO 8601. `folded_name` is the name as `contract.text.folded` has it, kept by
    who writes the name. `first_seen` and `last_seen` are the earliest and the latest moment
    of its videos (`VideoMoment.at`); `milliseconds` is how long it is seen in all of them.
    """

    gallery: str
    name: str | None
    folded_name: str | None = None
    external_id: str | None = None
    birth_date: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    favourite: bool = False
    hidden: bool = False
    cover: str | None = None
    revision: int = 0
    created_at: datetime
    updated_at: datetime
    founder: str | None = None
    version: int = 0
    video_count: int
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    milliseconds: int = 0
    pictures: tuple[Picture, ...] = ()
    """by which it is known besides the videos that it was seen in"""


class ProfileTotals(Record, frozen=True, kw_only=True):
    """Of a profile: what its appearances and its pictures add up to."""

    first_seen: datetime | None = None
    last_seen: datetime | None = None
    milliseconds: int = 0
    pictures: tuple[Picture, ...] = ()

    @property
    def enrolments(self) -> int:
        """How many pseudo-videos its pictures are of."""
        return len({video_of_person(one.person) for one in self.pictures})


class ProfileName(Record, frozen=True, kw_only=True):
    """Of a profile: what it is called, and whether it is to be shown."""

    name: str | None
    hidden: bool = False


class ProfileHidden(Record, frozen=True, kw_only=True):
    """Of a profile: whether it is shown to those alone who ask for hidden ones."""

    hidden: bool = False


class ProfileSeen(Record, frozen=True, kw_only=True):
    """Of a profile: when it was seen last."""

    last_seen: datetime | None = None


class ProfileFounder(Record, frozen=True, kw_only=True):
    """Of a profile or a redirect: who founded it, and when."""

    founder: str | None = None
    version: int = 0


class RedirectRecord(Record, frozen=True, kw_only=True):
    """A retired profile's id: it leads to the profile that holds its founder, or to `into` if the founder is gone."""

    gallery: str
    into: str | None
    founder: str | None
    version: int = 0
    at: datetime | None = None
    made_at: datetime | None = None
    """when the profile was made"""


PROFILES = Collection(
    name="profiles",
    record=ProfileRecord,
    id="profile",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="while a person is in it",
    growth="people",
    indexes=(
        # Each order of `GET /profiles`, of all people and of a gallery's.
        *(
            index(*of, ProfileRecord.hidden, order, ProfileRecord.id)
            for order in (
                ProfileRecord.created_at,
                ProfileRecord.folded_name,
                ProfileRecord.last_seen,
                ProfileRecord.video_count,
                ProfileRecord.milliseconds,
            )
            for of in ((), (ProfileRecord.gallery,))
        ),
        index(
            ProfileRecord.gallery,
            ProfileRecord.tags,
            ProfileRecord.hidden,
            ProfileRecord.created_at,
            ProfileRecord.id,
        ),
        index(
            ProfileRecord.gallery,
            ProfileRecord.hidden,
            ProfileRecord.created_at,
            ProfileRecord.id,
            partialFilterExpression={name_of(ProfileRecord.folded_name): None},
            name="unnamed",
        ),
    ),
    retired=(
        index(ProfileRecord.created_at, ProfileRecord.id),
        index(ProfileRecord.gallery, ProfileRecord.created_at, ProfileRecord.id),
        index(ProfileRecord.name, ProfileRecord.id),
        index(ProfileRecord.gallery, ProfileRecord.name, ProfileRecord.id),
    ),
)
REDIRECTS = Collection(
    name="redirects",
    record=RedirectRecord,
    id="retired profile",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="for ever: a retired id leads to who holds its people now",
    growth="profiles that were merged or emptied",
    indexes=(index(RedirectRecord.gallery),),
)
