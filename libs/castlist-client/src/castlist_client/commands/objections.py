"""The command line's part for people who object to being known."""

from pathlib import Path

import click

from castlist_client.commands.corrections import gallery_option, show_changes
from castlist_client.commands.session import OK, Session, command_of
from castlist_client.display.formatting import count

command = command_of(None)


@command
@click.argument("who", metavar="PROFILE|PICTURE")
@gallery_option
@click.option("--yes", is_flag=True, help="Do not ask.")
async def objection(session: Session, who: str, gallery: str, yes: bool) -> int:
    """Erase a person, whom a profile or a picture shows, and never show them again. That cannot be taken back."""
    picture = Path(who) if Path(who).is_file() else None
    if not yes:
        click.confirm(f"Erase whom {who} shows from {gallery}, and leave them out from now on?", abort=True, err=True)
    async with session.client() as client:
        change = await client.raise_objection(gallery, profile=None if picture else who, picture=picture)
        return show_changes(session, change)


@command
@gallery_option
async def objections(session: Session, gallery: str) -> int:
    """List objections: when each was raised."""
    async with session.client() as client:
        found = [one async for one in client.objections(gallery)]
    lines = "\n".join(f"{one.id}  {one.at:%Y-%m-%d %H:%M}" for one in found) or count(0, "objection")
    session.show({"gallery": gallery, "objections": [one.model_dump(mode="json") for one in found]}, lines)
    return OK


@command
@click.argument("objection", metavar="OBJECTION")
@gallery_option
async def withdraw(session: Session, objection: str, gallery: str) -> int:
    """Withdraw an objection: the person may be known again, in videos that come from now on."""
    async with session.client() as client:
        return show_changes(session, await client.withdraw_objection(gallery, objection))


COMMANDS = (objection, objections, withdraw)
