"""A change by hand, what it decided, and who objects to being known."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from castlist.store.query import descending
from castlist.store.records.collection import AGGREGATOR, QUERY, Collection, index
from castlist.store.records.record import Record


class CommandError(msgspec.Struct, frozen=True):
    """Why a command was not carried out; `code` is one of `castlist.tasks.commands.ERROR_STATUS`.

    `changes` are those that stand in its way.
    """

    code: str
    message: str
    changes: tuple[str, ...] = ()


class ChangeRecord(Record, frozen=True, kw_only=True):
    """A command on a gallery, by its event, and what became of it: what was changed by hand.

    `at`: when it was accepted. `digest` tells what was asked for from something else that was asked under the same id.
    `gallery_version` is the one it made, `profiles` are all that it changed, retired ones too; `detail` says more.
    `undoes`, `undone_by`: the change that this one takes back, or that took this one back.
    """

    gallery: str
    kind: str
    status: Literal["pending", "applied", "failed"] = "pending"
    at: datetime
    by: str | None = None
    digest: str | None = None
    error: CommandError | None = None
    settled_at: datetime | None = None
    gallery_version: int | None = None
    profiles: tuple[str, ...] = ()
    detail: dict[str, Any] = msgspec.field(default_factory=dict)
    undoes: str | None = None
    undone_by: str | None = None
    receipt: dict[str, Any] | None = None
    """of an erasure, once all is gone: what, and what is left where for how long"""


class Origin(msgspec.Struct, frozen=True):
    """The persons that were in a profile."""

    profile: str
    persons: tuple[str, ...]


class DecisionRecord(Record, frozen=True, kw_only=True):
    """What a change (its id) says of video persons for as long as it holds: see
    `castlist_identity.decisions.decision.Decision`."""

    gallery: str
    version: int
    subjects: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    leaving: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    card: dict[str, Any] = msgspec.field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    into: str | None = None
    created: tuple[str, ...] = ()
    undone: int | None = None
    erased: bool = False


class ObjectionRecord(Record, frozen=True, kw_only=True):
    """Somebody who is to be found and never shown, by the change that says so: an encoding, as in a `PersonRecord`."""

    gallery: str
    mean: bytes
    at: datetime
    by: str | None = None


CHANGES = Collection(
    name="changes",
    record=ChangeRecord,
    id="event",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="for ever: who decided what, and when",
    growth="what people do by hand",
    indexes=(index(ChangeRecord.gallery, descending(ChangeRecord.at), descending(ChangeRecord.id)),),
)
DECISIONS = Collection(
    name="decisions",
    record=DecisionRecord,
    id="change",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="for ever: no machine takes back what a person decided",
    growth="what people do by hand",
    indexes=(index(DecisionRecord.gallery),),
)
OBJECTIONS = Collection(
    name="objections",
    record=ObjectionRecord,
    id="change",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="until they are withdrawn, or the gallery goes",
    growth="people who object",
    indexes=(index(ObjectionRecord.gallery, descending(ObjectionRecord.at), descending(ObjectionRecord.id)),),
)
