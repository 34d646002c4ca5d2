"""Commands on a gallery: accepted once, staged as pending like a video's people, with an outcome that stays.

Wherever a command comes from, it is in `pending` from the moment it is accepted. What Kafka carries is a doorbell.
"""

from datetime import datetime

from castlist.contract.commands import ChangeSettings, DeleteVideo, RenameProfile
from castlist.contract.errors import PermanentError
from castlist.contract.events import CommandFailed
from castlist.contract.ids import event_id
from castlist.ports.errors import AlreadyExistsError
from castlist.store import outbox
from castlist.store.pending import command_id
from castlist.store.query import eq, set_to, with_id
from castlist.store.records import CommandError, CommandRecord, PendingCommand
from castlist.store.store import Store
from castlist.tasks.registration import ensure_gallery

Command = RenameProfile | DeleteVideo | ChangeSettings
KINDS: dict[type[Command], str] = {
    RenameProfile: "rename_profile",
    DeleteVideo: "delete_video",
    ChangeSettings: "change_settings",
}
"""What a command is called where its outcome is told."""
BY_NAME: dict[str, type[Command]] = {kind.__name__: kind for kind in KINDS}
APPLIED, FAILED = "applied", "failed"


async def stage(store: Store, command: Command, now: datetime, *, announce: bool = False) -> bool:
    """Remember a command until it is carried out; False if it is known already, with whatever outcome.

    With `announce` it is put into the outbox in the same transaction, to wake the aggregator. PermanentError if its
    `event_id` is that of another command.
    """
    await ensure_gallery(store, command.gallery, now)
    known = await store.commands.get(command.event_id)
    if known is None:
        try:
            await store.transaction(lambda transaction: _stage_in(transaction, command, now, announce))
            return True
        except AlreadyExistsError:  # it came twice at once
            known = await store.commands.get(command.event_id)
    if known is not None and (known.gallery, known.kind) != (command.gallery, KINDS[type(command)]):
        raise PermanentError(f"event_id {command.event_id} is that of another command, {known.kind} on {known.gallery}")
    return False


async def _stage_in(transaction: Store, command: Command, now: datetime, announce: bool) -> None:
    id, gallery, name = command.event_id, command.gallery, type(command).__name__
    await transaction.commands.insert(CommandRecord(id=id, gallery=gallery, kind=KINDS[type(command)], at=now))
    body = command.model_dump(mode="json")
    await transaction.pending.insert(
        PendingCommand(id=command_id(id), gallery=gallery, created_at=now, name=name, command=body)
    )
    if announce:
        await outbox.add(transaction, command, now)


async def settle_in(transaction: Store, id: str, now: datetime, error: CommandError | None = None) -> None:
    """Its outcome, inside the caller's transaction; a failure is told in `profile.events`. A second one changes
    nothing."""
    open_command = with_id(id) & eq(CommandRecord.status, "pending")
    status = APPLIED if error is None else FAILED
    change = (
        set_to(CommandRecord.status, status)
        & set_to(CommandRecord.error, error)
        & set_to(CommandRecord.settled_at, now)
    )
    settled = await transaction.commands.update(open_command, change)
    if settled is not None and error is not None:
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
