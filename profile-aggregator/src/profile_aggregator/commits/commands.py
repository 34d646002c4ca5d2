"""Commands on a gallery, staged as pending like a video's people, so that they are committed the same way.

What a command asks of the gallery is pure: a `Change` of its persons.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from castlist.contract import commands
from castlist.ports.documents import Document, Documents
from castlist.ports.errors import AlreadyExists
from castlist.store.collections import LEDGER, PENDING
from castlist_identity.gallery import Gallery
from castlist_identity.gallery_diff import Change

PEOPLE = "people"
Command = commands.RenameProfile | commands.DeleteVideo | commands.ChangeSettings
_KINDS: dict[str, type[Command]] = {
    kind.__name__: kind for kind in (commands.RenameProfile, commands.DeleteVideo, commands.ChangeSettings)
}


def ledger_entry(pending: Mapping[str, Any]) -> str:
    """The ledger's `_id` of something pending: `gallery:video:epoch`, or `gallery:command:event`."""
    return f"{pending['gallery']}:{pending['_id']}"


async def stage(documents: Documents, command: Command, now: datetime) -> None:
    """Remember a command until it is committed; one that was committed before stays done."""
    pending: Document = {
        "_id": f"command:{command.event_id}",
        "kind": type(command).__name__,
        "gallery": command.gallery,
        "command": command.model_dump(mode="json"),
        "persons": [],
        "created_at": now,
    }
    if await documents.get(LEDGER, ledger_entry(pending)) is None:
        try:
            await documents.insert(PENDING, pending)
        except AlreadyExists:
            return


def command_of(pending: Mapping[str, Any]) -> Command | None:
    """The command that a pending document holds; None for a video's people."""
    kind = _KINDS.get(pending["kind"])
    return None if kind is None else kind.model_validate(pending["command"])


def change_for(command: Command, gallery: Gallery) -> Change:
    """What the command changes about the gallery's persons: nothing where what it is about is gone."""
    match command:
        case commands.RenameProfile():
            profile = gallery.redirect(command.profile_id) if command.profile_id in gallery.profiles else None
            persons = gallery.persons.get(profile, set()) if profile is not None else set()
            return Change(named=dict.fromkeys(sorted(persons), command.name))
        case commands.DeleteVideo():
            return Change(removed=gallery.persons_of(command.video_id))
        case commands.ChangeSettings():
            return Change()
