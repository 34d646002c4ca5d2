"""How what waits for a gallery is called, in `pending` and, once it was committed, in `ledger`."""

from castlist.store.query import within
from castlist.store.records.pending import PendingRecord

_COMMAND = "command:"
_RECLUSTER = "recluster::"
ALL_RECLUSTERS = within(PendingRecord.id, _RECLUSTER, "recluster:;")
"""The re-clusterings of all galleries: a stretch of the ids."""


def command_id(event_id: str) -> str:
    """A command's; no run has such a key."""
    return f"{_COMMAND}{event_id}"


def event_of(pending: PendingRecord) -> str:
    """The event that a pending command came as."""
    return pending.id.removeprefix(_COMMAND)


def recluster_id(gallery: str) -> str:
    """That of a gallery's re-clustering; no run has such a key."""
    return f"{_RECLUSTER}{gallery}"


def ledger_id(pending: PendingRecord) -> str:
    """The ledger's id of something pending: `gallery:run`, or `gallery:command:event`."""
    return f"{pending.gallery}:{pending.id}"
