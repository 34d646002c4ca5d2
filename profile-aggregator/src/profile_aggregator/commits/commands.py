"""Commands as they wait for their gallery."""

from castlist.contract.commands import ImportGallery
from castlist.store.records.pending import PendingCommand, PendingRecord
from castlist.tasks.commands import BY_NAME, CommittedCommand


def command_of(pending: PendingRecord) -> CommittedCommand | None:
    """The command that is pending; None for a video's people."""
    if not isinstance(pending, PendingCommand):
        return None
    return BY_NAME[pending.name].model_validate(pending.command)


def is_import(pending: PendingRecord) -> bool:
    """Whether it is carried out by `imports`, and no commit of its own."""
    return isinstance(pending, PendingCommand) and pending.name == ImportGallery.__name__
