"""The command line's part for watching a folder."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import click

from castlist_client.commands.corrections import gallery_option
from castlist_client.commands.session import INTERRUPTED, OK, Session, command_of
from castlist_client.display.formatting import printable
from castlist_client.display.progress import ProgressDisplay
from castlist_client.submission.folder_watch import FolderEvent, FolderWatch
from castlist_client.submission.seen_files import SeenFiles, place_of

_MARKS = {
    "submitted": ("✓", "green"), "known": ("✓", "dim"), "moved": ("→", "dim"), "refused": ("✗", "red"),
    "gone": ("–", "dim"), "left out": ("–", "dim"), "unreadable": ("✗", "yellow"), "waiting": ("…", "yellow"),
    "back": ("✓", "green"),
}  # fmt: skip


@command_of(None)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@gallery_option
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="A file is submitted once it has stayed as it is for so long.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look, where nothing tells of changes, as on network drives.",
)
@click.option("--anew", is_flag=True, help="Look at all files again, those that were dealt with before too.")
async def watch_folder(session: Session, folder: Path, gallery: str, settle: float, every: float, anew: bool) -> int:
    """Submit what comes into a folder, until Ctrl-C. With --json a line of JSON for each thing that happens.

    What vanishes from it stays in the gallery; what is renamed or moved is not uploaded again.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"no such folder: {folder}")

    async with session.client() as client:
        place = place_of(folder, gallery, client.ingest_url)
        if anew:
            place.unlink(missing_ok=True)
        seen, board = SeenFiles(place), ProgressDisplay(session.progress)

        def say(event: FolderEvent) -> None:
            if session.json:
                click.echo(json.dumps({**asdict(event), "path": str(event.path)}))
            else:
                board.say(*_MARKS[event.what], printable(str(event.path)), printable(f"{event.what}  {event.detail}"))

        try:
            await FolderWatch(client, folder, gallery, seen, say, settle, every).run()
        except asyncio.CancelledError:  # Ctrl-C: what was dealt with is noted, the rest is found again
            return INTERRUPTED
        finally:
            seen.close()
    return OK


COMMANDS = (watch_folder,)
