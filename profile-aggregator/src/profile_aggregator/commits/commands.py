"""Commands on a gallery, staged as pending like a video's people, so that they are committed the same way.

What a command asks of the gallery is pure: a `GalleryChange` of its persons.
"""

from datetime import datetime

from castlist.contract.commands import ChangeSettings, DeleteVideo, RenameProfile
from castlist.ports.errors import AlreadyExistsError
from castlist.store.pending import command_id, ledger_id
from castlist.store.records import PendingCommand, PendingRecord
from castlist.store.store import Store
from castlist_identity.gallery import Gallery
from castlist_identity.gallery_diff import GalleryChange

Command = RenameProfile | DeleteVideo | ChangeSettings
_COMMANDS: dict[str, type[Command]] = {kind.__name__: kind for kind in (RenameProfile, DeleteVideo, ChangeSettings)}


async def stage(store: Store, command: Command, now: datetime) -> None:
    """Remember a command until it is committed; one that was committed before stays done."""
    pending = PendingCommand(
        id=command_id(command.event_id),
        gallery=command.gallery,
        created_at=now,
        name=type(command).__name__,
        command=command.model_dump(mode="json"),
    )
    if await store.ledger.get(ledger_id(pending)) is None:
        try:
            await store.pending.insert(pending)
        except AlreadyExistsError:
            return


def command_of(pending: PendingRecord) -> Command | None:
    """The command that is pending; None for a video's people."""
    if not isinstance(pending, PendingCommand):
        return None
    return _COMMANDS[pending.name].model_validate(pending.command)


def change_for(command: Command, gallery: Gallery) -> GalleryChange:
    """What the command changes about the gallery's persons: nothing where what it is about is gone."""
    match command:
        case RenameProfile():
            profile = gallery.redirect(command.profile_id) if command.profile_id in gallery.profiles else None
            persons = gallery.persons.get(profile, set()) if profile is not None else set()
            return GalleryChange(named=dict.fromkeys(sorted(persons), command.name))
        case DeleteVideo():
            return GalleryChange(removed=gallery.persons_of(command.video_id))
        case ChangeSettings():
            return GalleryChange()
