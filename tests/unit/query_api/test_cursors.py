"""Cursors: every row once, in order, whatever is inserted between pages; and nothing but what we wrote is taken."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from castlist.service.problems import Problem
from query_api.http.cursors import Order

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = [Order("created_at"), Order("created_at", -1), Order("name"), Order("_id")]


def satisfies(row: dict[str, Any], where: dict[str, Any]) -> bool:
    """MongoDB's meaning of the operators that a cursor uses: null equals null, and compares with nothing else."""

    def holds(value: Any, wanted: Any) -> bool:
        if not isinstance(wanted, dict):
            return bool(value == wanted)
        ((operator, bound),) = wanted.items()
        if type(value) is not type(bound):
            return False
        return bool({"$gt": value > bound, "$gte": value >= bound, "$lt": value < bound}[operator])

    return all(holds(row[field], wanted) for field, wanted in where.items())


def page(rows: list[dict[str, Any]], order: Order, limit: int, cursor: str | None) -> list[dict[str, Any]]:
    """What a database gives for the stretches of a cursor."""

    def key(row: dict[str, Any]) -> Any:
        return (row[order.field] is not None, row[order.field] or "") if order.field == "name" else row[order.field]

    found: list[dict[str, Any]] = []
    for stretch in order.after(cursor):
        these = [row for row in rows if satisfies(row, stretch)]
        found += sorted(these, key=lambda row: (key(row), row["_id"]), reverse=order.direction < 0)
    return found[:limit]


# Few values, so that many rows tie.
row = st.builds(
    lambda number, at, name: {"_id": f"{number:04}", "created_at": START + timedelta(milliseconds=at), "name": name},
    st.integers(0, 500),
    st.integers(0, 3),
    st.sampled_from([None, "Ada", "Bo"]),
)
rows = st.lists(row, max_size=30, unique_by=lambda one: one["_id"])


@pytest.mark.parametrize("order", ORDERS, ids=str)
@given(there=rows, added=rows, limit=st.integers(1, 7))
def test_rows_inserted_between_pages_neither_hide_nor_repeat_one(
    order: Order, there: list[dict[str, Any]], added: list[dict[str, Any]], limit: int
) -> None:
    """All rows that were there at the first page come, once each; no row comes twice; the order holds throughout."""
    known = {one["_id"] for one in there}
    table, late = list(there), [one for one in added if one["_id"] not in known]
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while got := page(table, order, limit, cursor):
        seen += got
        cursor = order.cursor(got[-1])
        if late:
            table.append(late.pop())
    ids = [one["_id"] for one in seen]
    assert known <= set(ids)
    assert len(ids) == len(set(ids))
    assert seen == page(seen, order, len(seen), None)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_each_stretch_is_one_range_of_an_index(order: Order) -> None:
    """No $or and no $ne: a page deep in a list is found without reading what lies before it."""
    for name in (None, "Ada"):
        for stretch in order.after(order.cursor({"_id": "7", "created_at": START, "name": name})):
            operators = {op for wanted in stretch.values() if isinstance(wanted, dict) for op in wanted}
            assert not any(field.startswith("$") for field in stretch)
            assert operators <= {"$gt", "$gte", "$lt"}


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
        forged("created_at", 1, True, "0001-01-01T00:00:00+14:00", "7"),
    ],
)
def test_what_is_no_cursor_of_this_list_is_refused(cursor: str) -> None:
    """422 naming the field: for noise, for the cursor of another list, and for operators smuggled in as values."""
    with pytest.raises(Problem) as refused:
        Order("created_at").after(cursor)
    assert refused.value.status == 422
    assert [error.field for error in refused.value.errors] == ["cursor"]
