"""That a command is not carried out."""

from collections.abc import Iterable


class CommandRefusedError(Exception):
    """The command cannot be carried out, now or later. `code` is one of `castlist.tasks.commands.ERROR_STATUS`,
    `changes` are those in its way."""

    def __init__(self, code: str, message: str, changes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.code, self.changes = code, tuple(changes)
