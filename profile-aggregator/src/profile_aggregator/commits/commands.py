"""What a command on a gallery asks of it: a `GalleryChange` of its persons. Pure."""

from castlist.contract.commands import ChangeSettings, DeleteVideo, RenameProfile
from castlist.store.records import PendingCommand, PendingRecord
from castlist.tasks.commands import BY_NAME, Command
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange


class CommandRefusedError(Exception):
    """The command cannot be carried out, now or later. `code` is one of a `CommandError`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def command_of(pending: PendingRecord) -> Command | None:
    """The command that is pending; None for a video's people."""
    if not isinstance(pending, PendingCommand):
        return None
    return BY_NAME[pending.name].model_validate(pending.command)


def change_for(command: Command, gallery: Gallery) -> GalleryChange:
    """What the command changes about the gallery's persons. CommandRefusedError if whom it is about is not there."""
    match command:
        case RenameProfile():
            profile = gallery.redirect(command.profile_id) if command.profile_id in gallery.profiles else None
            persons = gallery.persons.get(profile, set()) if profile is not None else set()
            if not persons:
                raise CommandRefusedError("not_found", "There is no such profile.")
            return GalleryChange(named=dict.fromkeys(sorted(persons), command.name))
        case DeleteVideo():
            return GalleryChange(removed=gallery.persons_of(command.video_id))
        case ChangeSettings():
            return GalleryChange()
