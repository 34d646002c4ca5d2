"""Commands on a gallery: accepted once, staged as pending like a video's people, with an outcome that stays.

Wherever a command comes from, it is in `pending` from the moment it is accepted. What Kafka carries is a doorbell.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, get_args

from castlist.contract.commands import (
    AddPresence,
    AnswerSuggestion,
    ChangeCard,
    ChangeSettings,
    Correction,
    DeleteGallery,
    DeleteProfile,
    DeleteVideo,
    EnrolPerson,
    ImportGallery,
    MergeProfiles,
    PreviewSettings,
    RaiseObjection,
    RejectAppearance,
    RenameProfile,
    SplitProfile,
    UndoChange,
    WithdrawObjection,
)
from castlist.contract.errors import PermanentError
from castlist.contract.events import CommandFailed
from castlist.contract.ids import event_id
from castlist.ports.errors import AlreadyExistsError
from castlist.store import outbox
from castlist.store.pending import command_id
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.change_history import ChangeRecord, CommandError
from castlist.store.records.pending import PendingCommand, PreviewRecord
from castlist.store.store import Store
from castlist.tasks.galleries import ensure_gallery, ensure_known
from castlist.tasks.uploads import keep_upload

DecidingCommand = (
    ChangeCard
    | RenameProfile
    | MergeProfiles
    | SplitProfile
    | RejectAppearance
    | AddPresence
    | EnrolPerson
    | RaiseObjection
    | DeleteProfile
    | AnswerSuggestion
)
"""Each leaves a decision behind."""
CommittedCommand = (
    DecidingCommand | UndoChange | WithdrawObjection | DeleteVideo | DeleteGallery | ChangeSettings | ImportGallery
)
"""Each changes its gallery, by a commit, or by several."""
Command = CommittedCommand | PreviewSettings
KINDS: dict[type[Command], str] = {
    ChangeCard: "card",
    MergeProfiles: "merge",
    SplitProfile: "split",
    RejectAppearance: "reject",
    AddPresence: "presence",
    EnrolPerson: "enrol",
    RaiseObjection: "objection",
    WithdrawObjection: "withdraw_objection",
    DeleteProfile: "delete",
    AnswerSuggestion: "answer",
    UndoChange: "undo",
    RenameProfile: "rename",
    DeleteVideo: "delete_video",
    DeleteGallery: "delete_gallery",
    ChangeSettings: "change_settings",
    PreviewSettings: "preview_settings",
    ImportGallery: "import",
}
"""What a command is called where its outcome is told."""
DELETE_GALLERY = KINDS[DeleteGallery]
_OF_ONE_FIELD = {"name": "rename", "hidden": "hide", "cover": "cover"}
BY_NAME: dict[str, type[CommittedCommand]] = {kind.__name__: kind for kind in get_args(CommittedCommand)}
APPLIED, FAILED = "applied", "failed"
ERROR_STATUS: Mapping[str, int] = {
    "not_found": 404,
    "conflict": 409,
    "outdated": 412,
    "limits_exceeded": 413,
    "invalid": 422,
    "internal": 500,
}
"""Why a command was not carried out, and how a request would have been answered that failed for this reason."""


def kind_of(command: Command) -> str:
    """What a command is called where its outcome is told."""
    if isinstance(command, ChangeCard) and len(set(command.changed)) == 1:
        return _OF_ONE_FIELD.get(command.changed[0], KINDS[ChangeCard])
    if isinstance(command, DeleteProfile) and command.erase:
        return "erase"
    if isinstance(command, DeleteVideo) and command.erase:
        return "erase_video"
    return KINDS[type(command)]


def digest_of(command: Command) -> str:
    """A digest of what the command asks for, whatever its id and moment."""
    asked = command.model_dump_json(exclude={"event_id", "occurred_at"})
    return hashlib.sha256(asked.encode()).hexdigest()


async def unfailed_id(store: Store, *about: str | int) -> str:
    """The id of a command about this: the same one however often it is asked for, until it has failed."""
    failed = 0
    while True:
        id = event_id(*map(str, (*about, failed) if failed else about))
        change = await store.changes.get(id)
        if change is None or change.status != FAILED:
            return id
        failed += 1


async def stage(
    store: Store, command: Command, now: datetime, *, announce: bool = False, uploads: Iterable[str] = ()
) -> bool:
    """Remember a command until it is carried out; False if it is known already, with whatever outcome.

    With `announce` it is put into the outbox in the same transaction, to wake the aggregator; `uploads` are objects
    that are the command's from then on. PermanentError if its `event_id` is that of another command; GalleryGoingError
    if it is announced here, and its gallery is being deleted.
    """
    # What comes from Kafka may have been there before its gallery was deleted: that must not begin it anew.
    await (ensure_gallery if announce else ensure_known)(store, command.gallery, now)
    known = await store.changes.get(command.event_id)
    if known is None:
        try:
            await store.transaction(lambda transaction: _stage_in(transaction, command, now, announce, uploads))
            return True
        except AlreadyExistsError:  # it came twice at once
            known = await store.changes.get(command.event_id)
    if known is not None:
        same = (known.gallery, known.kind) == (command.gallery, kind_of(command))
        if not same or known.digest not in (None, digest_of(command)):
            raise PermanentError(
                f"event_id {command.event_id} is that of another command, {known.kind} on {known.gallery}"
            )
    return False


async def _stage_in(
    transaction: Store, command: Command, now: datetime, announce: bool, uploads: Iterable[str]
) -> None:
    id, gallery, name = command.event_id, command.gallery, type(command).__name__
    by = command.by if isinstance(command, Correction) else None
    await transaction.changes.insert(
        ChangeRecord(id=id, gallery=gallery, kind=kind_of(command), at=now, by=by, digest=digest_of(command))
    )
    if isinstance(command, PreviewSettings):  # it changes nothing, so nothing waits for it
        await transaction.previews.insert(
            PreviewRecord(id=id, gallery=gallery, settings=command.chosen, touched_at=now)
        )
    else:
        body = command.model_dump(mode="json")
        await transaction.pending.insert(
            PendingCommand(id=command_id(id), gallery=gallery, created_at=now, name=name, command=body)
        )
    for key in uploads:
        await keep_upload(transaction, key)
    if announce:
        await outbox.add(transaction, command, now)


async def apply_in(
    transaction: Store,
    id: str,
    now: datetime,
    version: int | None = None,
    profiles: Iterable[str] = (),
    detail: Mapping[str, Any] | None = None,
    undoes: str | None = None,
) -> None:
    """It was carried out, inside the caller's transaction. A second time changes nothing."""
    change = (
        set_to(ChangeRecord.status, APPLIED)
        & set_to(ChangeRecord.settled_at, now)
        & set_to(ChangeRecord.gallery_version, version)
        & set_to(ChangeRecord.profiles, tuple(profiles))
        & set_to(ChangeRecord.detail, dict(detail or {}))
        & set_to(ChangeRecord.undoes, undoes)
    )
    await transaction.changes.update(with_id(id) & eq(ChangeRecord.status, "pending"), change)


async def fail_in(transaction: Store, id: str, now: datetime, error: CommandError) -> None:
    """It cannot be carried out, inside the caller's transaction; `profile.events` tells. A second time changes
    nothing."""
    change = (
        set_to(ChangeRecord.status, FAILED) & set_to(ChangeRecord.error, error) & set_to(ChangeRecord.settled_at, now)
    )
    settled = await transaction.changes.update(with_id(id) & eq(ChangeRecord.status, "pending"), change)
    if settled is not None:
        failed = CommandFailed(
            event_id=event_id("CommandFailed", id),
            occurred_at=now,
            gallery=settled.gallery,
            command_id=id,
            kind=settled.kind,
            code=error.code,
            message=error.message,
        )
        await outbox.add(transaction, failed, now)
