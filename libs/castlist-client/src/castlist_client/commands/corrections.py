"""The command line's part for putting right what the machine got wrong, and for finding somebody by a picture."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich import box
from rich.table import Table
from rich.text import Text

from castlist.api.change_history import Change
from castlist.api.search import SearchResult
from castlist_client.commands.session import OK, Session, command_of
from castlist_client.display.formatting import count, person_label, printable

command = command_of(None)
gallery_option = click.option("--gallery", "-g", default="default", show_default=True, help="A namespace of people.")
profile_argument = click.argument("profile", metavar="PROFILE")


def show_changes(session: Session, *changes: Change) -> int:
    """What became of changes."""
    """What was changed, a line each."""
    lines = "\n".join(f"{change.id}  {change.kind}  {_about(change)}" for change in changes)
    session.show({"changes": [change.model_dump(mode="json") for change in changes]}, lines)
    return OK


def _about(change: Change) -> str:
    if change.status == "pending":
        return "under way"
    if change.receipt is not None:
        kinds = (("videos", "video"), ("persons", "appearance"), ("crops", "crop"))
        gone = [count(change.receipt[what], name) for what, name in kinds if change.receipt[what]]
        return f"gone: {', '.join(gone) or 'nothing was left'}"
    into = change.detail.get("into")
    return f"{change.status}{f', into {into}' if into else ''}"


@command
@profile_argument
@click.argument("name", required=False)
async def name(session: Session, profile: str, name: str | None) -> int:
    """Give a person a name; without one, take it away."""
    async with session.client() as client:
        return show_changes(session, await client.edit(profile, name=name))


@command
@click.argument("name", metavar="NAME")
@click.argument(
    "pictures",
    metavar="PICTURE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@gallery_option
async def enrol(session: Session, name: str, pictures: tuple[Path, ...], gallery: str) -> int:
    """Make somebody known by pictures in which nobody else is: JPEG, PNG, WebP or HEIC."""
    async with session.client() as client:
        change = await client.enrol(name, *pictures, gallery=gallery)
    lines = f"{change.id}  {change.kind}  {change.status}, as {', '.join(change.profiles)}"
    session.show({"changes": [change.model_dump(mode="json")]}, lines)
    return OK


@command
@profile_argument
@click.argument("others", metavar="OTHER...", nargs=-1, required=True)
async def merge(session: Session, profile: str, others: tuple[str, ...]) -> int:
    """Say that other profiles are this person, too."""
    async with session.client() as client:
        return show_changes(session, await client.merge(profile, *others))


@command
@profile_argument
@click.option("--video", "videos", metavar="ID", multiple=True, required=True, help="Where it is somebody else.")
@click.option("--into", metavar="PROFILE", help="Whose it is; without it, a new profile.")
async def split(session: Session, profile: str, videos: tuple[str, ...], into: str | None) -> int:
    """Say that what of a profile is in some videos is somebody else."""
    async with session.client() as client:
        return show_changes(session, await client.split(profile, *videos, into=into))


@command
@profile_argument
@click.argument("video", metavar="VIDEO")
@click.option("--no-face", is_flag=True, help="It is no face at all.")
async def not_(session: Session, profile: str, video: str, no_face: bool) -> int:
    """Say that what of a profile is in a video is not this person."""
    async with session.client() as client:
        return show_changes(session, await client.reject(profile, video, face=not no_face))


@command
@click.argument("changes", metavar="CHANGE...", nargs=-1, required=True)
async def undo(session: Session, changes: tuple[str, ...]) -> int:
    """Take changes back, in this order."""
    async with session.client() as client:
        return show_changes(session, *[await client.undo(change) for change in changes])


@command
@gallery_option
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many at most.")
async def history(session: Session, gallery: str, limit: int) -> int:
    """Show what was changed by hand, the newest first."""
    async with session.client() as client:
        found: list[Change] = []
        async for change in client.changes(gallery):
            found.append(change)
            if len(found) == limit:
                break
    document = {"gallery": gallery, "changes": [change.model_dump(mode="json") for change in found]}
    session.show(document, _history_table(found) if found else "nothing was changed by hand")
    return OK


def _history_table(changes: Sequence[Change]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("When", "By", "What", "Outcome", "Change"):
        table.add_column(title, overflow="fold")
    for change in changes:
        undone = " (taken back)" if change.undone_by else ""
        outcome = printable(change.error.detail) if change.error is not None else _about(change) + undone
        by = Text(printable(change.by or "–"))
        table.add_row(change.at.strftime("%Y-%m-%d %H:%M"), by, change.kind, Text(outcome), change.id)
    return table


@command
@profile_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
async def erase(session: Session, profile: str, yes: bool) -> int:
    """Erase a person: encodings, crops and names. That cannot be taken back."""
    async with session.client() as client:
        found = await client.profile(profile)
        if not yes:
            seen = count(found.video_count, "video")
            click.confirm(f"Erase {person_label(found)}, who is in {seen}, for good?", abort=True, err=True)
        return show_changes(session, await client.delete(profile, erase=True))


@command
@click.argument("picture", metavar="PICTURE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@gallery_option
@click.option("--limit", type=click.IntRange(1, 50), default=5, show_default=True, help="Matches of each face at most.")
async def find(session: Session, picture: Path, gallery: str, limit: int) -> int:
    """Find who is in a picture: JPEG, PNG, WebP or HEIC."""
    async with session.client() as client:
        found = await client.find(picture, gallery=gallery, limit=limit)
    session.show(found.model_dump(mode="json"), _matches_table(found) if found.faces else "no face in it")
    return OK


def _matches_table(found: SearchResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Face", "Who", "Likeness", "Videos", "Profile"):
        table.add_column(title)
    for number, face in enumerate(found.faces, 1):
        if not face.matches:
            table.add_row(str(number), "nobody who is known", "", "", "")
        for place, match in enumerate(face.matches):
            who = Text(person_label(match.profile))
            videos, id = str(match.profile.video_count), match.profile.id
            table.add_row(str(number) if place == 0 else "", who, f"{match.likeness:.0%}", videos, id)
    return table


COMMANDS = (name, enrol, merge, split, not_, undo, history, erase, find)
