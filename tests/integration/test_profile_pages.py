"""What a page of people costs in a gallery of many: as much at its end as at its beginning, whatever is asked for."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Any, get_args

import pytest

from castlist.adapters import mongo
from castlist.adapters.mongo import MongoDocuments
from castlist.contract.text import folded
from castlist.store import collections
from castlist.store.query import eq
from castlist.store.records.appearances import APPEARANCES
from castlist.store.records.profiles import PROFILES, ProfileRecord
from castlist.store.store import Store
from query_api.http.parameters import ProfileOrder, ProfileQuery
from query_api.profile_list import EXAMINED, FEW, ProfileList
from testkit.own_storage import own_database
from testkit.recorded_queries import Query, RecordedQueries, stages
from testkit.running_stack import RunningStack
from testkit.stored import START

pytestmark = pytest.mark.stack

PEOPLE = 4_000
LIMIT = 20
MOST_INDEXES = 20
DAY = timedelta(days=1)
SORTS: list[dict[str, Any]] = [{"sort": sort} for sort in get_args(ProfileOrder)]
EXACT: list[dict[str, Any]] = [
    *SORTS, {"hidden": "true"}, {"hidden": "any"}, {"tag": "guest"}, {"unnamed": True},
    {"sort": "name", "name": "Ada"}, {"sort": "-name", "unnamed": False}, {"sort": "videos", "min_videos": 4},
    {"sort": "-last_seen", "seen_after": START + 20 * DAY},
]  # fmt: skip
"""Answered by one index: nothing is read that is not shown."""
BOUNDED: list[dict[str, Any]] = [
    {"name": "Ada"}, {"unnamed": False}, {"seen_after": START + 9 * DAY}, {"seen_before": START + 3 * DAY},
    {"min_videos": 3}, {"name": "Ada", "tag": "guest", "min_videos": 9, "sort": "-seconds"},
    {"tag": "guest", "unnamed": True, "hidden": "any"}, {"name": "Zoë"}, {"tag": "nobody", "sort": "seconds"},
]  # fmt: skip
"""Where few are left they are put in order by us, and where many are left some are looked at."""


def profile(n: int) -> ProfileRecord:
    """People of all kinds."""
    name = None if n % 3 else f"Zoë {n}" if n % 300 == 0 else f"Ada {n}"
    return ProfileRecord(
        id=f"{n:06}", gallery="h" if n % 10 == 0 else "g", name=name, folded_name=name and folded(name),
        tags=("guest", "staff") if n % 2 else (), hidden=n % 5 == 0, created_at=START + timedelta(seconds=n // 3),
        updated_at=START, video_count=1 + n % 9, first_seen=START + (n % 11) * DAY, last_seen=START + (n % 37) * DAY,
        milliseconds=n * 7919 % 10_007,
    )  # fmt: skip


@pytest.fixture(scope="module")
def database(stack: RunningStack) -> Iterator[str]:
    """A database of the tests' own, with so many profiles."""

    async def fill(name: str) -> None:
        documents = mongo.connect(stack.mongo_url, name)
        await Store(documents).profiles.insert_many(map(profile, range(PEOPLE)))
        documents.close()

    with own_database(stack, "pages") as name:
        asyncio.run(fill(name))
        yield name


@pytest.fixture
async def crowd(stack: RunningStack, database: str) -> AsyncIterator[MongoDocuments]:
    """The same, connected."""
    documents = mongo.connect(stack.mongo_url, database)
    yield documents
    documents.close()


async def explained(documents: MongoDocuments, query: Query) -> Mapping[str, Any]:
    """What MongoDB does for a query."""
    return dict(await documents.database.command("explain", query.command(), verbosity="executionStats"))


async def queries_of_pages(documents: MongoDocuments, asked: Mapping[str, Any]) -> list[list[Query]]:
    """What each page of a list asks of the profiles."""
    recorded = RecordedQueries(documents)
    people, cursor, pages = ProfileList(Store(recorded)), None, []
    while True:
        recorded.queries.clear()
        query = ProfileQuery.model_validate({**asked, "limit": LIMIT, "cursor": cursor})
        _, cursor = await people.page(query)
        pages.append([one for one in recorded.queries if one.collection == "profiles"])
        if cursor is None:
            return pages


@pytest.mark.parametrize("gallery", [{}, {"gallery": "g"}], ids=["of all", "of a gallery"])
@pytest.mark.parametrize("asked", EXACT, ids=str)
async def test_a_page_deep_in_a_list_costs_what_the_first_does(
    crowd: MongoDocuments, asked: dict[str, Any], gallery: dict[str, Any]
) -> None:
    """It is one stretch of an index or two: nothing is read that is not shown, and nothing is sorted."""
    if not gallery and asked.keys() & {"tag", "unnamed"}:
        pytest.skip("of all people these are looked at one by one")
    pages = await queries_of_pages(crowd, {**asked, **gallery})
    assert len(pages) > 3
    for page in (pages[0], pages[len(pages) // 2], pages[-2]):
        for query in page:
            plan = await explained(crowd, query)
            made = [stage["stage"] for stage in stages(plan["queryPlanner"]["winningPlan"])]
            assert not {"COLLSCAN", "SORT"} & set(made), (query, made)
            stats = plan["executionStats"]
            assert stats["totalDocsExamined"] == stats["nReturned"] <= LIMIT + 1
            assert stats["totalKeysExamined"] <= LIMIT + 5


@pytest.mark.parametrize("gallery", [{}, {"gallery": "g"}], ids=["of all", "of a gallery"])
@pytest.mark.parametrize("asked", BOUNDED, ids=str)
async def test_a_page_looks_at_a_bounded_number_of_people(
    crowd: MongoDocuments, asked: dict[str, Any], gallery: dict[str, Any]
) -> None:
    """However many there are and whatever is asked of them together; nothing is sorted by the server."""
    for page in await queries_of_pages(crowd, {**asked, **gallery}):
        examined = 0
        for query in page:
            plan = await explained(crowd, query)
            made = [stage["stage"] for stage in stages(plan["queryPlanner"]["winningPlan"])]
            assert not {"COLLSCAN", "SORT"} & set(made), (query, made)
            examined += plan["executionStats"]["totalDocsExamined"]
        assert examined <= EXAMINED + 4 * (FEW + 1) + LIMIT


async def test_sums_over_a_gallery_read_no_profile(crowd: MongoDocuments) -> None:
    """Indexes alone say how much there is."""
    for member in (ProfileRecord.video_count, ProfileRecord.milliseconds):
        recorded = RecordedQueries(crowd)
        await Store(recorded).profiles.sum_of(eq(ProfileRecord.gallery, "g"), member)
        (query,) = recorded.queries
        match, total = {"$match": dict(query.where)}, {"$group": {"_id": None, "n": {"$sum": f"${query.fields[0]}"}}}
        aggregate = {"aggregate": "profiles", "pipeline": [match, total], "cursor": {}}
        plan = await crowd.database.command("explain", aggregate, verbosity="executionStats")
        assert '"totalDocsExamined": 0' in str(plan).replace("'", '"')


async def test_profiles_and_appearances_have_a_bounded_number_of_indexes(crowd: MongoDocuments) -> None:
    """Each costs every commit something; those of before are gone."""
    await crowd.create_index("profiles", [("gallery", 1), ("name", 1), ("_id", 1)])
    await collections.create(crowd)
    count = 0
    for name, declared in (("profiles", PROFILES), ("appearances", APPEARANCES)):
        there = await crowd.database[name].index_information()
        assert len(there) == 1 + len(declared.indexes)
        count += len(there)
    assert count <= MOST_INDEXES
