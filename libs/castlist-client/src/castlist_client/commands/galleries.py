"""The command line's part for galleries: which there are, their settings, and taking one away."""

import json
from typing import Any

import click
from rich import box
from rich.table import Table

from castlist_client.commands.corrections import show_changes
from castlist_client.commands.session import OK, Session, command_of
from castlist_client.display.formatting import count, preview_text

command = command_of(None)
gallery_argument = click.argument("gallery", metavar="GALLERY")


@command
async def galleries(session: Session) -> int:
    """Show which galleries there are, and how much is in them."""
    async with session.client() as client:
        found = [gallery async for gallery in client.galleries()]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Gallery", overflow="fold")
    for title in ("Videos", "People", "Open tasks"):
        table.add_column(title, justify="right")
    table.add_column("")
    for one in found:
        state = "" if one.settled else "at work"
        table.add_row(one.id, str(one.videos), str(one.profiles), str(one.tasks_open), state)
    document = {"galleries": [gallery.model_dump(mode="json") for gallery in found]}
    session.show(document, table if found else "no galleries")
    return OK


def _assignment(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """`name=value`, the value as JSON or else as text."""
    named: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r} is no NAME=VALUE")
        try:
            named[name] = json.loads(value)
        except ValueError:
            named[name] = value
    return named


settings_argument = click.argument("changes", metavar="[NAME=VALUE]...", nargs=-1, callback=_assignment)


@command
@gallery_argument
@settings_argument
async def create_gallery(session: Session, gallery: str, changes: dict[str, Any]) -> int:
    """Make a gallery, with settings of its own where some are named."""
    async with session.client() as client:
        made = await client.create_gallery(gallery, **changes)
    session.show(made.model_dump(mode="json"), f"{made.id} is made")
    return OK


@command
@gallery_argument
@settings_argument
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would merge or split.")
async def settings(session: Session, gallery: str, changes: dict[str, Any], dry_run: bool) -> int:
    """Show a gallery's settings, or change those that are named."""
    async with session.client() as client:
        if not changes:
            found = await client.settings(gallery)
            session.show(found, "\n".join(f"{name}={json.dumps(value)}" for name, value in found.items()))
            return OK
        change = await client.change_settings(gallery, dry_run=dry_run, **changes)
        if not dry_run:
            return show_changes(session, change)
    session.show({"changes": [change.model_dump(mode="json")]}, preview_text(change))
    return OK


@command
@gallery_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
async def delete_gallery(session: Session, gallery: str, yes: bool) -> int:
    """Erase a gallery with everything in it. That cannot be taken back."""
    async with session.client() as client:
        found = await client.gallery(gallery)
        if not yes:
            much = f"{count(found.videos, 'video')} and {count(found.profiles, 'person', 'people')}"
            click.confirm(f"Erase {gallery}, with {much}, for good?", abort=True, err=True)
        return show_changes(session, await client.delete_gallery(gallery))


@command
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True)
@click.option("--erase", is_flag=True, help="Also what was said of people who are in no other video.")
@click.option("--yes", is_flag=True, help="Do not ask.")
async def delete_video(session: Session, videos: tuple[str, ...], erase: bool, yes: bool) -> int:
    """Take videos away: their files, crops and people."""
    async with session.client() as client:
        if not yes:
            click.confirm(f"Take away {count(len(videos), 'video')}, for good?", abort=True, err=True)
        return show_changes(session, *[await client.delete_video(video, erase=erase) for video in videos])


COMMANDS = (galleries, create_gallery, settings, delete_gallery, delete_video)
