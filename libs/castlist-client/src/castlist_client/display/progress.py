"""Progress on stderr: a bar for each file on a terminal, a line for each step elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from castlist.api.tasks import Task
from castlist_client.display.formatting import outcome, printable

_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "cancelled": ("–", "yellow")}


class ProgressDisplay:
    """A row for each thing under way; what has ended moves up and stays as a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=2)),
            BarColumn(bar_width=None, table_column=Column(ratio=2)),
            TextColumn(
                "{task.fields[note]}", markup=False, style="dim", table_column=Column(no_wrap=True, min_width=22)
            ),
            console=console,
            transient=True,
            expand=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def row(self, name: str) -> "ProgressRow":
        """A new row at the bottom."""
        return ProgressRow(self, self._progress, printable(name))

    def say(self, mark: str, style: str, name: str, text: str) -> None:
        """A line that stays."""
        line = Text.assemble((f"{mark} ", style), (name, "bold"), "  ", text)
        self._console.print(line, soft_wrap=not self._console.is_terminal)


class ProgressRow:
    """One file or task on the board. May be moved from any thread."""

    def __init__(self, board: ProgressDisplay, progress: Progress, name: str) -> None:
        self._board, self._progress, self._name = board, progress, name
        self._id: TaskID | None = progress.add_task(name, total=None, note="")

    def move(self, note: str, done: float | None = None, total: float | None = None) -> None:
        """How far it is in the step that `note` names; without numbers: that it is in it."""
        if self._id is not None:
            self._progress.update(self._id, completed=done or 0.0, total=total, note=note)

    def task(self, task: Task) -> None:
        """How far its task is; a final state ends the row."""
        if task.final:
            self.end(*_MARKS[task.status], outcome(task))
        elif task.status == "queued":
            self.move("queued")
        else:
            self.move(outcome(task), task.progress, 1.0)

    def end(self, mark: str, style: str, text: str) -> None:
        """Leave a line instead of the row."""
        if self._id is not None:
            self._progress.remove_task(self._id)
            self._id = None
            self._board.say(mark, style, self._name, text)

    def rename(self, name: str) -> None:
        """Now that we know what it is called."""
        self._name = printable(name)
        if self._id is not None:
            self._progress.update(self._id, description=self._name)

    def drop(self) -> None:
        """Leave nothing."""
        if self._id is not None:
            self._progress.remove_task(self._id)
            self._id = None
