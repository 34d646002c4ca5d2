"""The command line: `castlist submit`, `watch`, `people`, `find`, `name`, `merge`, `undo` and others.

Results go to stdout, progress to stderr. With `--json` stdout is one JSON document, also when something went wrong.

\b
Exit codes
  0    all went well
  1    a task failed, or a file or request was refused
  2    wrong usage: options, a file or an id that is not there
  3    a service cannot be reached
  4    a task was cancelled
  130  Ctrl-C
"""

import asyncio
import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from castlist.api.tasks import Task
from castlist_client.client import Client, ClientError, UnreachableError
from castlist_client.commands import alerts, archives, corrections, folder, galleries, objections
from castlist_client.commands.corrections import gallery_option
from castlist_client.commands.session import INTERRUPTED, OK, UNREACHABLE, Session, command_of, connection, exit_code
from castlist_client.display import contact_sheet
from castlist_client.display.formatting import count, outcome, printable
from castlist_client.display.progress import ProgressDisplay
from castlist_client.display.tables import people_table
from castlist_client.submission.files import LeftOut, collect
from castlist_client.submission.submission import Submission, Submitter


@click.group(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="castlist-client")
@connection(environment=True)
@click.pass_context
def main(context: click.Context, /, **common: Any) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names have any letters and any bytes; not every terminal has them.
            stream.reconfigure(errors="replace")
    context.obj = Session(**common)


command = command_of(main)
_LEFT_OUT_SHOWN = 20


@command
@click.argument("named", metavar="FILE...", nargs=-1, required=True)
@gallery_option
@click.option("--watch", is_flag=True, help="Wait until all of them are done.")
@click.option("--again", is_flag=True, help="Look through videos that are there already once more.")
@click.option("--count-only", is_flag=True, help="Count people; match nobody with other videos, keep no encodings.")
@click.option("--cancel-on-interrupt", is_flag=True, help="On Ctrl-C, cancel what was begun here.")
async def submit(
    session: Session,
    named: tuple[str, ...],
    gallery: str,
    watch: bool,
    again: bool,
    count_only: bool,
    cancel_on_interrupt: bool,
) -> int:
    """Put videos in: files, folders or globs. What is in the gallery already is not uploaded again."""
    try:
        found = collect(named)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no such file, folder or match: {error}") from None
    _tell_what_is_left_out(session, found.left_out)
    if not found.files:
        raise FileNotFoundError("no videos in " + ", ".join(named))
    async with session.client() as client:
        with ProgressDisplay(session.progress) as board:
            submitter = Submitter(client, board, gallery, again, not count_only, watch, cancel_on_interrupt)
            submissions = await submitter.run(found.files)
        statuses = [one.status for one in submissions]
        lost = next((one.error for one in submissions if isinstance(one.error, UnreachableError)), None)
        files = [one.document() for one in submissions]
        session.show(
            {
                "files": files,
                "skipped": found.skipped,
                "left_out": [{"path": str(one.path), "reason": one.reason} for one in found.left_out],
                "interrupted": submitter.interrupted,
            },
            _summary(submissions),
        )
    if submitter.interrupted or lost is not None:
        _tell_what_goes_on(session, [one for one in submissions if one.open])
    if submitter.interrupted:
        return INTERRUPTED
    if lost is not None:
        session.progress.print(printable(str(lost)), style="red", markup=False)
        return UNREACHABLE
    return exit_code(statuses)


def _tell_what_is_left_out(session: Session, left_out: Sequence[LeftOut]) -> None:
    for one in left_out[:_LEFT_OUT_SHOWN]:
        text = f"left out: {printable(str(one.path))} ({one.reason})"
        session.progress.print(text, style="dim", markup=False, soft_wrap=True)
    if len(left_out) > _LEFT_OUT_SHOWN:
        rest = count(len(left_out) - _LEFT_OUT_SHOWN, "other file")
        session.progress.print(f"left out: {rest}; --json names them all", style="dim")


def _summary(submissions: list[Submission]) -> str:
    by_status: dict[str, int] = {}
    for one in submissions:
        by_status[one.status] = by_status.get(one.status, 0) + 1
    return f"{count(len(submissions), 'video')}: " + ", ".join(f"{n} {status}" for status, n in by_status.items())


def _tell_what_goes_on(session: Session, going_on: list[Submission]) -> None:
    if going_on:
        tasks = " ".join(one.task_id for one in going_on)
        text = f"accepted before, and going on: {count(len(going_on), 'task')}; to stop: castlist cancel {tasks}"
        session.progress.print(text, style="yellow", markup=False, soft_wrap=True)


tasks_argument = click.argument("task_ids", metavar="TASK...", nargs=-1, required=True)


@command
@tasks_argument
async def watch(session: Session, task_ids: tuple[str, ...]) -> int:
    """Follow tasks to their end. Ctrl-C stops watching; the tasks go on."""
    states: dict[str, Task] = {}
    interrupted = False

    async def follow(client: Client, board: ProgressDisplay, task_id: str) -> None:
        row = board.row(task_id)
        async with contextlib.aclosing(client.watch(task_id)) as changes:
            async for task in changes:
                row.rename(task.video_name)
                states[task_id] = task
                row.task(task)

    async with session.client() as client:
        with ProgressDisplay(session.progress) as board:
            try:
                async with asyncio.TaskGroup() as group:
                    for task_id in task_ids:
                        group.create_task(follow(client, board, task_id))
            except* ClientError as errors:
                raise errors.exceptions[0] from None
            except* asyncio.CancelledError:
                interrupted = True
    session.show({"tasks": [task.model_dump(mode="json") for task in states.values()], "interrupted": interrupted})
    return INTERRUPTED if interrupted else exit_code([task.status for task in states.values()])


@command
@tasks_argument
async def cancel(session: Session, task_ids: tuple[str, ...]) -> int:
    """Stop tasks. Nothing of them reaches a profile."""
    async with session.client() as client:
        for task_id in task_ids:
            await client.cancel(task_id)
        tasks = [await client.task(task_id) for task_id in task_ids]
    lines = "\n".join(f"{task.id}  {printable(task.video_name)}  {outcome(task)}" for task in tasks)
    session.show({"tasks": [task.model_dump(mode="json") for task in tasks]}, lines)
    return OK


@command
@gallery_option
@click.option("--video", metavar="ID", help="Only those in this video.")
async def people(session: Session, gallery: str, video: str | None) -> int:
    """Show who is in a gallery, or in one video, and when."""
    async with session.client() as client:
        if video is not None:
            title = (await client.video(video)).name
            found = [profile async for profile in client.people(video)]
        else:
            title = gallery
            found = [profile async for profile in client.profiles(gallery)]
    document = {"gallery": gallery, "video": video, "people": [profile.model_dump(mode="json") for profile in found]}
    heading = f"{printable(title)}: {count(len(found), 'person', 'people')}"
    session.show(document, people_table(found, heading) if found else heading)
    return OK


@command
@click.argument("out", metavar="OUT.html", type=click.Path(dir_okay=False, path_type=Path))
@gallery_option
async def sheet(session: Session, out: Path, gallery: str) -> int:
    """Write a contact sheet: one HTML file, a row a person, a crop a video."""
    async with session.client() as client:
        with ProgressDisplay(session.progress) as board:
            row = board.row(out.name)
            made = await contact_sheet.write(
                client, gallery, out, lambda done, of: row.move(f"{done} of {count(of, 'person', 'people')}", done, of)
            )
            row.drop()
    facts = {"people": made.people, "videos": made.videos, "crops": made.crops, "crops_missing": made.missing}
    session.show({"path": str(out), "gallery": gallery, **facts}, f"{out}: {count(made.people, 'person', 'people')}")
    return OK


for one in (
    *corrections.COMMANDS,
    *alerts.COMMANDS,
    *folder.COMMANDS,
    *galleries.COMMANDS,
    *objections.COMMANDS,
    *archives.COMMANDS,
):
    main.add_command(one)

if __name__ == "__main__":
    main()
