"""Who is on screen in a video, and what they are called."""

from collections.abc import Collection

from castlist.store.query import eq, with_ids
from castlist.store.records.appearances import AppearanceRecord, ScreenTime
from castlist.store.records.profiles import ProfileName
from castlist.store.store import Store
from query_api.http.parameters import MarkerQuery, OnScreenQuery, wanted_hidden
from query_api.http.rendering import Json

_LETTERS = 8
"""Of an id, in the label of a person without a name; more of them where two would have the same."""


async def people_on_screen(store: Store, video_id: str, query: OnScreenQuery) -> list[Json]:
    """Those in a video as they are shown; who was merged away meanwhile is left out."""
    found = await store.appearances.find_parts(ScreenTime, eq(AppearanceRecord.video_id, video_id))
    found.sort(key=lambda one: (one.first_seen, one.id))
    profiles = await store.profiles.find_parts(ProfileName, with_ids(one.profile_id for one in found))
    shown = {one.id: one for one in profiles if one.hidden in wanted_hidden(query.hidden)}
    labels = labels_of(shown.values())
    if isinstance(query, MarkerQuery) and query.profile is not None:
        shown = {id: one for id, one in shown.items() if id == query.profile}
    return [
        {
            "profile_id": one.profile_id,
            "name": shown[one.profile_id].name,
            "label": labels[one.profile_id],
            "seconds": one.seconds,
            "segments": one.segments,
        }
        for one in found
        if one.profile_id in shown
    ]


def labels_of(profiles: Collection[ProfileName]) -> dict[str, str]:
    """What each is called: by name, or by so many letters of the id as tell those without one apart."""
    unnamed = [one.id for one in profiles if not one.name]
    letters = _LETTERS
    while len({id[:letters] for id in unnamed}) < len(unnamed):
        letters += 1
    return {one.id: one.name or f"Person {one.id[:letters]}" for one in profiles}
