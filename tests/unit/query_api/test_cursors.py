"""Cursors: every row once, in order, whatever is inserted between pages; and nothing but what we wrote is taken."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from castlist.adapters.memory.filters import matches, ordered
from castlist.ports.documents import Document
from castlist.service.problems import Problem
from castlist.store.query import plain
from castlist.store.records.profiles import ProfileRecord
from query_api.http.cursors import Order

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = {
    "oldest": Order(ProfileRecord.created_at),
    "newest": Order(ProfileRecord.created_at, -1),
    "name": Order(ProfileRecord.folded_name, lowest=""),
    "name, from the end": Order(ProfileRecord.folded_name, -1, lowest=""),
    "last seen": Order(ProfileRecord.last_seen, lowest=START - timedelta(days=1)),
    "not seen for long": Order(ProfileRecord.last_seen, -1, lowest=START - timedelta(days=1)),
    "in most videos": Order(ProfileRecord.video_count, -1),
    "id": Order(ProfileRecord.id),
}
in_each_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())


def profile(number: int, at: int = 0, name: str | None = None) -> ProfileRecord:
    """A profile made `at` milliseconds after the start."""
    made = START + timedelta(milliseconds=at)
    return ProfileRecord(
        id=f"{number:04}",
        gallery="g",
        name=name,
        folded_name=name,
        created_at=made,
        updated_at=made,
        video_count=at,
        last_seen=made if at else None,
    )


def read_page(there: list[ProfileRecord], order: Order, limit: int, cursor: str | None) -> list[ProfileRecord]:
    """What a database gives for the stretches of a cursor."""
    found: list[Document] = []
    for stretch in order.after(cursor):
        these = [document for document in map(plain, there) if matches(document, stretch.filter)]
        found += ordered(these, order.sort)
    return [msgspec.convert(document, ProfileRecord) for document in found[:limit]]


# Few values, so that many rows tie.
profiles = st.lists(
    st.builds(profile, st.integers(0, 500), st.integers(0, 3), st.sampled_from([None, "Ada", "Bo"])),
    max_size=30,
    unique_by=lambda one: one.id,
)


@in_each_order
@given(there=profiles, added=profiles, limit=st.integers(1, 7))
def test_rows_inserted_between_pages_neither_hide_nor_repeat_one(
    order: Order, there: list[ProfileRecord], added: list[ProfileRecord], limit: int
) -> None:
    """All rows that were there at the first page come, once each; no row comes twice; the order holds throughout."""
    known = {one.id for one in there}
    table, late = list(there), [one for one in added if one.id not in known]
    seen: list[ProfileRecord] = []
    cursor: str | None = None
    while got := read_page(table, order, limit, cursor):
        seen += got
        cursor = order.cursor(got[-1])
        if late:
            table.append(late.pop())
    ids = [one.id for one in seen]
    assert known <= set(ids)
    assert len(ids) == len(set(ids))
    assert seen == read_page(seen, order, len(seen), None)


@in_each_order
@given(there=profiles, limit=st.integers(1, 7))
def test_few_records_are_paged_as_a_database_does_it(order: Order, there: list[ProfileRecord], limit: int) -> None:
    """Those behind a cursor, in the same order."""
    cursor: str | None = None
    while got := read_page(there, order, limit, cursor):
        assert order.in_order(there, cursor)[:limit] == got
        cursor = order.cursor(got[-1])
    assert order.in_order(there, cursor) == []


@in_each_order
def test_each_stretch_is_one_range_of_an_index(order: Order) -> None:
    """No $or and no $ne: a page deep in a list is found without reading what lies before it."""
    for name in (None, "Ada"):
        for stretch in order.after(order.cursor(profile(7, name=name))):
            conditions = [wanted for wanted in stretch.filter.values() if isinstance(wanted, dict)]
            assert not any(field.startswith("$") for field in stretch.filter)
            assert {operator for condition in conditions for operator in condition} <= {"$gt", "$gte", "$lt"}


def forged(*body: Any) -> str:
    """A cursor with this body."""
    return base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "?",
        "ü",
        "AAAA",
        base64.urlsafe_b64encode(b"[" * 1500).decode(),
        forged("name", 1, False, "Ada", "7"),
        forged("created_at", -1, True, START.isoformat(), "7"),
        forged("created_at", 1, True, START.isoformat()),
        forged("created_at", 1, True, START.isoformat(), {"$ne": ""}),
        forged("created_at", 1, False, {"$gt": ""}, "7"),
        forged("created_at", 1, False, ["x"], "7"),
        forged("created_at", 1, True, None, "7"),
        forged("created_at", 1, True, "yesterday", "7"),
        forged("created_at", 1, False, 2**63, "7"),
        forged("created_at", 1, True, "0001-01-01T00:00:00+14:00", "7"),
    ],
)
def test_what_is_no_cursor_of_this_list_is_refused(cursor: str) -> None:
    """422 naming the field: for noise, for the cursor of another list, and for operators smuggled in as values."""
    with pytest.raises(Problem) as refused:
        ORDERS["oldest"].after(cursor)
    assert refused.value.status == 422
    assert [error.field for error in refused.value.errors] == ["cursor"]
    with pytest.raises(Problem):
        ORDERS["oldest"].in_order([profile(1), profile(2)], cursor)


@pytest.mark.parametrize("cursor", [forged("created_at", 1, False, "x", "7"), forged("created_at", 1, False, 5, "7")])
def test_a_value_of_another_kind_is_no_place_among_few(cursor: str) -> None:
    """It cannot be compared with what is there."""
    with pytest.raises(Problem):
        ORDERS["oldest"].in_order([profile(1)], cursor)
