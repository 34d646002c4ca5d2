"""The command line's part for hearing of people."""

import click
from rich import box
from rich.table import Table
from rich.text import Text

from castlist.api.watches import Watch
from castlist_client.client import Client, NotFoundError
from castlist_client.commands.corrections import gallery_option
from castlist_client.commands.session import OK, Session, command_of
from castlist_client.display.formatting import count, person_label

command = command_of(None)


@command
@click.argument("profiles", metavar="[PROFILE...]", nargs=-1)
@gallery_option
@click.option("--off", is_flag=True, help="Take the watches on these people away.")
async def alert(session: Session, profiles: tuple[str, ...], gallery: str, off: bool) -> int:
    """Have it told when people are in a video, by `WatchedPersonAppeared`; without a PROFILE, show who is watched for.

    What is in videos already is told at once, each video once: to webhooks, and to who follows the gallery's events.
    """
    async with session.client() as client:
        if off and not profiles:
            raise click.UsageError("name the people whose watches are to go")
        if off:
            watches = await _taken_away(client, profiles)
        elif profiles:
            watches = [await client.watch_person(profile) for profile in profiles]
        else:
            watches = [watch async for watch in client.watches(gallery)]
        names = {watch.id: await _name(client, watch) for watch in watches}
    document = {"watches": [watch.model_dump(mode="json") for watch in watches], "off": off}
    title = f"{gallery}: {count(len(watches), 'watch', 'watches')}" if not profiles else ""
    session.show(document, _table(watches, names, title) if watches else title)
    return OK


async def _taken_away(client: Client, profiles: tuple[str, ...]) -> list[Watch]:
    """The watches on these people, which are no more."""
    gone = []
    for profile in profiles:
        person = await client.profile(profile)
        async for watch in client.watches(person.gallery):
            if {watch.profile_id, watch.holder} & {profile, person.id}:
                await client.unwatch(watch.id)
                gone.append(watch)
    return gone


async def _name(client: Client, watch: Watch) -> str:
    """Whom it is for."""
    try:
        return person_label(await client.profile(watch.profile_id))
    except NotFoundError:
        return watch.profile_id[:8]


def _table(watches: list[Watch], names: dict[str, str], title: str) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Who", "Gallery", "Profile", "Watch"):
        table.add_column(column, no_wrap=column != "Who", overflow="fold")
    for watch in watches:
        table.add_row(Text(names[watch.id]), watch.gallery, watch.profile_id, watch.id)
    return table


COMMANDS = (alert,)
