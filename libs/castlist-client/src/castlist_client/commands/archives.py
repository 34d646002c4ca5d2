"""The command line's part for taking a gallery along, and for tables and timelines of it."""

from pathlib import Path

import click

from castlist.api.change_history import Change
from castlist_client.commands.corrections import gallery_option
from castlist_client.commands.session import FAILED, OK, Session, command_of
from castlist_client.display.formatting import count, printable
from castlist_client.display.progress import ProgressDisplay

command = command_of(None)


_TABLES, _TIMELINES = (".csv", ".jsonl"), (".edl", ".otio", ".vtt")


@command
@click.argument("out", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@gallery_option
@click.option("--videos", is_flag=True, help="With the files of the videos.")
@click.option("--video", metavar="ID", help="Of an .edl, .otio or .vtt: who is on screen in this video.")
@click.option("--person", metavar="PROFILE", help="Of an .edl, .otio or .vtt: this person, in the video or in all.")
async def export(session: Session, out: Path, gallery: str, videos: bool, video: str | None, person: str | None) -> int:
    """Write a gallery, or something of it, to a file; what it is called says what.

    \b
    OUT.tar             all of it, to take it along: castlist import
    OUT.csv, OUT.jsonl  who is where, a row an appearance
    OUT.edl, OUT.otio   a video's people as markers, or a person's stretches of all videos
    OUT.vtt             a video's people as cues

    What was cut off of a .tar, here or in a run before, goes on where that was.
    """
    kind = out.suffix.lower()
    if kind in _TIMELINES and video is None and (person is None or kind == ".vtt"):
        raise click.UsageError(f"Say with --video{'' if kind == '.vtt' else ' or --person'} of what.")
    async with session.client() as client:
        if kind in _TABLES:
            size = await client.export_table(gallery, out)
        elif kind in _TIMELINES:
            size = await client.export_timeline(out, video=video, profile=person)
        else:
            with ProgressDisplay(session.progress) as board:
                row = board.row(out.name)
                size = await client.export(gallery, out, videos=videos, progress=lambda done: row.move(_bytes(done)))
                row.drop()
    session.show({"path": str(out), "gallery": gallery, "bytes": size}, f"{out}: {_bytes(size)}")
    return OK


@command
@click.argument("archive", metavar="ARCHIVE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@gallery_option
async def import_(session: Session, archive: Path, gallery: str) -> int:
    """Take a gallery in that was exported, here or elsewhere, into one where nothing is yet."""
    size = archive.stat().st_size
    async with session.client() as client:
        with ProgressDisplay(session.progress) as board:
            row = board.row(archive.name)
            change = await client.import_gallery(
                archive, gallery, progress=lambda done: row.move(_bytes(done), done, size)
            )
            row.drop()
    session.show({"change": change.model_dump(mode="json")}, _told(change))
    return OK if change.status == "applied" else FAILED


def _told(change: Change) -> str:
    if change.error is not None:
        return printable(change.error.detail)
    people, videos = (change.detail[what] for what in ("profiles", "videos"))
    ids = "; everything has new ids, which --json names" if "ids" in change.detail else ""
    return f"{change.id}  {count(people, 'person', 'people')} in {count(videos, 'video')}{ids}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


COMMANDS = (export, import_)
