"""People as a table on the terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from castlist.api.profiles import Profile
from castlist_client.display.formatting import by_video, moment, moments, most_seen_first, person_label, printable

_SEGMENTS_SHOWN = 4


def people_table(people: Sequence[Profile], title: str) -> Table:
    """A block of rows a person, a row a video. Only the newest 100 videos of a person."""
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Who", no_wrap=True, style="bold")
    table.add_column("Videos", justify="right", no_wrap=True)
    table.add_column("Video", overflow="fold")
    table.add_column("First", justify="right", no_wrap=True)
    table.add_column("Last", justify="right", no_wrap=True)
    table.add_column("Moments", style="dim")
    for profile in most_seen_first(people):
        rows = by_video(profile.appearances)
        for n, appearance in enumerate(rows):
            table.add_row(
                Text(person_label(profile) if n == 0 else ""),
                str(profile.video_count) if n == 0 else "",
                Text(printable(appearance.video_name)),
                moment(appearance.first_seen),
                moment(appearance.last_seen),
                moments(appearance.segments, _SEGMENTS_SHOWN),
                end_section=n == len(rows) - 1 and n > 0,
            )
    return table
