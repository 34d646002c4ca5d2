"""Which people a list shows: whatever is asked for together, page by page, held against looking at everybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, get_args

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from castlist.adapters.memory import MemoryDocuments
from castlist.contract.ids import appearance_key
from castlist.contract.text import folded
from castlist.contract.values import Segment
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.store.store import Store
from query_api import companions, profile_list
from query_api.http.parameters import ProfileOrder, ProfileQuery
from query_api.profile_list import ProfileList
from testkit.stored import START, Stored

DAY = timedelta(days=1)
NAMES = [None, "Ada", "ada b", "Ádám", "Bo", "Ёлка", "ЕЛЕНА", "Straße"]
VIDEOS = 4
SEGMENTS = [(0.0, 1.0), (0.5, 2.0), (5.0, 6.0)]
PERSON = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "tags": st.sets(st.sampled_from(["guest", "staff"])),
        "hidden": st.sampled_from([False, False, True]),
        "created": st.integers(0, 3),
        "gallery": st.sampled_from(["g", "g", "g", "h"]),
        "videos": st.dictionaries(st.integers(0, VIDEOS - 1), st.sampled_from(SEGMENTS), min_size=1),
    }
)
QUERY = st.fixed_dictionaries(
    {"limit": st.integers(1, 5), "sort": st.sampled_from(get_args(ProfileOrder))},
    optional={
        "gallery": st.just("g"),
        "name": st.sampled_from(["a", "ADA", "ada", "елк", "strasse", "z"]),
        "unnamed": st.booleans(),
        "hidden": st.sampled_from(["true", "false", "any"]),
        "tag": st.sampled_from(["guest", "nobody"]),
        "seen_after": st.integers(-1, VIDEOS).map(lambda n: START + n * DAY),
        "seen_before": st.integers(-1, VIDEOS).map(lambda n: START + n * DAY),
        "min_videos": st.integers(1, 4),
        "video_id": st.sampled_from(["v0", "v1", "nowhere"]),
        "with": st.just("000"),
        "together": st.booleans(),
    },
)


@contextmanager
def small_limits(few: int, batch: int, examined: int, few_videos: int, few_people: int) -> Iterator[None]:
    """As in a gallery of very many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_list, "FEW", few)
        patch.setattr(profile_list, "_BATCH", batch)
        patch.setattr(profile_list, "EXAMINED", examined)
        patch.setattr(profile_list, "FEW_VIDEOS", few_videos)
        patch.setattr(companions, "FEW_VIDEOS", few_videos)
        patch.setattr(companions, "FEW_PEOPLE", few_people)
        patch.setattr(companions, "_AT_ONCE", batch)
        yield


class World:
    """Profiles as they are stored, and what of them is asked for."""

    def __init__(self, people: list[dict[str, Any]]) -> None:
        self.store = Store(MemoryDocuments())
        self._moments = [START + n * DAY for n in range(VIDEOS)]
        self.profiles: dict[str, ProfileRecord] = {}
        self.seen: dict[str, dict[int, tuple[float, float]]] = {}
        for n, one in enumerate(people):
            at = [self._moments[video] for video in one["videos"]]
            id = f"{n:03}"
            self.seen[id] = one["videos"]
            self.profiles[id] = ProfileRecord(
                id=id,
                gallery=one["gallery"],
                name=one["name"],
                folded_name=one["name"] and folded(one["name"]),
                tags=tuple(sorted(one["tags"])),
                hidden=one["hidden"],
                created_at=START + timedelta(seconds=one["created"]),
                updated_at=START,
                video_count=len(at),
                first_seen=min(at),
                last_seen=max(at),
                milliseconds=1000 * len(at),
            )

    async def store_all(self) -> None:
        """Write it."""
        await self.store.profiles.insert_many(self.profiles.values())
        template = await _an_appearance()
        for id, videos in self.seen.items():
            for video, segment in videos.items():
                await self.store.appearances.insert(
                    replace(
                        template,
                        id=appearance_key(id, f"v{video}"),
                        gallery=self.profiles[id].gallery,
                        profile_id=id,
                        video_id=f"v{video}",
                        video_at=self._moments[video],
                        segments=(Segment(*segment),),
                    )
                )

    def expected(self, asked: dict[str, Any]) -> list[str]:
        """The ids of those who are meant, in order."""
        order = profile_list.order_of(asked["sort"])
        return [one.id for one in order.in_order(filter(lambda one: self._meant(one, asked), self.profiles.values()))]

    def _meant(self, one: ProfileRecord, asked: dict[str, Any]) -> bool:
        at = [self._moments[video] for video in self.seen[one.id]]
        low, high = asked.get("seen_after", START - 99 * DAY), asked.get("seen_before", START + 99 * DAY)
        return (
            asked.get("gallery", one.gallery) == one.gallery
            and asked.get("hidden", "false") in ("any", str(one.hidden).lower())
            and ("name" not in asked or folded(one.name or "").startswith(folded(asked["name"])))
            and asked.get("unnamed", one.name is None) == (one.name is None)
            and ("tag" not in asked or asked["tag"] in one.tags)
            and any(low <= moment < high for moment in at)
            and len(at) >= asked.get("min_videos", 1)
            and ("video_id" not in asked or asked["video_id"] in {f"v{n}" for n in self.seen[one.id]})
            and ("with" not in asked or self._meets(one.id, asked["with"], asked.get("together", False)))
        )

    def _meets(self, one: str, other: str, together: bool) -> bool:
        mine, theirs = self.seen[one], self.seen[other]
        shared = [(mine[video], theirs[video]) for video in mine.keys() & theirs.keys()]
        if together:
            shared = [(a, b) for a, b in shared if a[0] <= b[1] and b[0] <= a[1]]
        return one != other and bool(shared)


async def _an_appearance() -> AppearanceRecord:
    store = Store(MemoryDocuments())
    stored = Stored(store, "g")
    await stored.profile([await stored.video()])
    (found,) = await store.appearances.find()
    return found


LIMITS = st.tuples(
    st.sampled_from([0, 2, 500]), st.integers(1, 4), st.sampled_from([1, 3, 1000]),
    st.sampled_from([0, 2, 200]), st.sampled_from([0, 3, 2000]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(people=st.lists(PERSON, min_size=1, max_size=14), asked=QUERY, limits=LIMITS)
async def test_each_page_is_exact_whatever_is_asked_together(
    people: list[dict[str, Any]], asked: dict[str, Any], limits: tuple[int, int, int, int, int]
) -> None:
    """Everybody who is meant comes once, in order, and nobody else, however few a page may look at."""
    if "with" not in asked:
        asked = {name: value for name, value in asked.items() if name != "together"}
    world = World(people)
    await world.store_all()
    companion = world.profiles["000"] if "with" in asked else None
    got: list[str] = []
    cursor: str | None = None
    with small_limits(*limits):
        for _ in range(100):
            query = ProfileQuery.model_validate({**asked, "cursor": cursor})
            page, cursor = await ProfileList(world.store).page(query, companion)
            assert len(page) <= asked["limit"]
            got += [one.id for one in page]
            if cursor is None:
                break
    assert got == world.expected(asked)


async def test_a_page_looks_at_so_many_and_no_more(
    client: httpx2.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a filter leaves few of many and no index says which, pages are short, and say where they go on."""
    monkeypatch.setattr(profile_list, "EXAMINED", 6)
    monkeypatch.setattr(profile_list, "_BATCH", 3)
    monkeypatch.setattr(profile_list, "FEW", 1)
    stored = Stored(store, "g")
    videos = [await stored.video() for _ in range(2)]
    made = [await stored.profile(videos[: 1 + (n in (4, 15))]) for n in range(16)]
    read = 0
    find = type(store.profiles).find

    async def counted(table: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal read
        found = await find(table, *arguments, **options)
        read += len(found) * (table is store.profiles)
        return found

    monkeypatch.setattr(type(store.profiles), "find", counted)
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        read = 0
        page = (await client.get("/profiles", params={"gallery": "g", "min_videos": 2, **cursor})).json()
        pages.append([one["id"] for one in page["items"]])
        assert read <= 6
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [[made[4]], [], [made[15]]]


async def test_two_who_are_in_many_videos_meet(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late, and only if they are on screen at once where that is asked for."""
    monkeypatch.setattr(companions, "FEW_VIDEOS", 2)
    monkeypatch.setattr(companions, "_AT_ONCE", 2)
    stored = Stored(store, "g")
    videos = [await stored.video() for _ in range(9)]
    one, other = await stored.profile(videos[:5]), await stored.profile(videos[4:])
    apart = await stored.profile(videos[5:])
    profiles = {profile.id: profile for profile in await store.profiles.find()}
    for together in (False, True):
        found = companions.Companions(store, profiles[one], together)
        assert await found.all() is None
        assert await found.among([profiles[one], profiles[other], profiles[apart]]) == {other}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"together": "true"}, "together"),
        ({"hidden": "maybe"}, "hidden"),
        ({"min_videos": "0"}, "min_videos"),
        ({"seen_after": "yesterday"}, "seen_after"),
        ({"seen_before": "2026-01-01T00:00:00"}, "seen_before"),
        ({"companion": "p"}, "companion"),
        ({"sort": "age"}, "sort"),
    ],
)
async def test_what_makes_no_sense_is_refused(client: httpx2.AsyncClient, asked: dict[str, str], field: str) -> None:
    """422, with the field where it is one."""
    answer = await client.get("/profiles", params=asked)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_with_whom_is_known_by_any_of_its_ids(client: httpx2.AsyncClient, store: Store) -> None:
    """One that was merged away leads to who holds its people now; one that never was is a problem."""
    stored = Stored(store, "g")
    video = await stored.video()
    one, other = await stored.profile([video]), await stored.profile([video])
    gone = await stored.retired(None, one)
    for id in (one, gone):
        assert [one["id"] for one in (await client.get("/profiles", params={"with": id})).json()["items"]] == [other]
    assert (await client.get("/profiles", params={"with": "nobody"})).status_code == 404


async def test_hidden_people_of_a_video_are_shown_where_asked_for(client: httpx2.AsyncClient, store: Store) -> None:
    """As in every list of people."""
    stored = Stored(store, "g")
    video = await stored.video()
    shown, hidden = await stored.profile([video]), await stored.profile([video], hidden=True)
    for asked, ids in (({}, [shown]), ({"hidden": "true"}, [hidden]), ({"hidden": "any"}, [shown, hidden])):
        page = (await client.get(f"/videos/{video}/profiles", params=asked)).json()
        assert [one["id"] for one in page["items"]] == ids


def test_moments_are_what_is_compared() -> None:
    """In whatever zone they are given."""
    query = ProfileQuery.model_validate({"seen_after": "2026-01-02T05:04:05+02:00"})
    assert query.seen_after == datetime.fromisoformat("2026-01-02T03:04:05Z")
