"""`Documents`, in memory and in MongoDB."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from castlist.adapters.memory import MemoryDocuments
from castlist.adapters.memory.stored_values import size_of
from castlist.contract.bounds import LARGEST_DOCUMENT
from castlist.ports.documents import Documents
from castlist.ports.errors import AlreadyExistsError, DocumentTooLargeError, TooLongError

VIDEOS, TASKS, GALLERIES, PROFILES, OUTBOX = "videos", "tasks", "galleries", "profiles", "outbox"

PEOPLE: list[dict[str, Any]] = [
    {"_id": "a", "n": 1, "name": "ann", "tags": ["x", "y"], "at": {"deep": 5}, "rows": [{"k": 1}, {"k": 2}]},
    {"_id": "b", "n": 2.5, "name": None, "tags": [], "at": {"deep": 6}, "rows": []},
    {"_id": "c", "n": 3, "name": "cem", "flag": True},
    {"_id": "d", "n": "3", "name": "dan", "tags": "x"},
]

FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcd"),
    ({"_id": "a"}, "a"),
    ({"n": 1}, "a"),
    ({"n": 1.0}, "a"),
    ({"n": 3}, "c"),
    ({"name": None}, "b"),
    ({"flag": None}, "abd"),
    ({"flag": 1}, ""),
    ({"tags": "x"}, "ad"),
    ({"tags": ["x", "y"]}, "a"),
    ({"at.deep": 6}, "b"),
    ({"at.deep": {"$gt": 4, "$lt": 6}}, "a"),
    ({"rows.k": 2}, "a"),
    ({"rows.1.k": 2}, "a"),
    ({"n": {"$gt": 1}}, "bc"),
    ({"n": {"$gte": 1, "$lte": 2.5}}, "ab"),
    ({"n": {"$lt": "4"}}, "d"),
    ({"name": {"$ne": "ann"}}, "bcd"),
    ({"name": {"$ne": None}}, "acd"),
    ({"name": {"$in": ["ann", None]}}, "ab"),
    ({"name": {"$nin": ["ann", None]}}, "cd"),
    ({"tags": {"$in": ["y", "z"]}}, "a"),
    ({"tags": {"$nin": ["x"]}}, "bc"),
    ({"tags": {"$exists": False}}, "c"),
    ({"name": {"$exists": True}}, "abcd"),
    ({"$or": [{"n": 1}, {"name": "cem"}]}, "ac"),
    ({"$and": [{"tags": "x"}, {"tags": "y"}]}, "a"),
    ({"$or": [{"n": 1}, {"n": 3}], "name": "cem"}, "c"),
]


@pytest.mark.parametrize(("where", "expected"), FILTERS, ids=str)
async def test_filters_mean_what_mongodb_means(documents: Documents, where: dict[str, Any], expected: str) -> None:
    """Equality (through lists, null for missing), comparisons within one kind, $in and its family, $or and $and."""
    await documents.insert_many(PROFILES, PEOPLE)
    assert [found["_id"] for found in await documents.find(PROFILES, where, sort=[("_id", 1)])] == list(expected)
    assert await documents.count(PROFILES, where) == len(expected)


CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"n": 1}, {"$set": {"n": 2, "a.b": [1]}}, {"n": 2, "a": {"b": [1]}}),
    ({"n": 1, "m": 2}, {"$unset": {"m": "", "none.there": ""}}, {"n": 1}),
    ({"n": 1}, {"$setOnInsert": {"n": 5}}, {"n": 1}),
    ({"n": 1}, {"$inc": {"n": 2, "new": 1}}, {"n": 3, "new": 1}),
    ({"n": 1, "m": 9}, {"$max": {"n": 5, "m": 5, "new": 0}}, {"n": 5, "m": 9, "new": 0}),
    ({"n": 1, "m": 9}, {"$min": {"n": 5, "m": 5, "new": 0}}, {"n": 1, "m": 5, "new": 0}),
    ({"l": [1]}, {"$push": {"l": 1, "new": {"a": 1}}}, {"l": [1, 1], "new": [{"a": 1}]}),
    ({"l": [1]}, {"$push": {"l": {"$each": [2, 3]}}}, {"l": [1, 2, 3]}),
    ({"l": [1]}, {"$addToSet": {"l": {"$each": [1, 2]}, "m": 1}}, {"l": [1, 2], "m": [1]}),
    ({"l": [1, 2, 1]}, {"$pull": {"l": 1, "new": 1}}, {"l": [2]}),
    ({"l": [{"a": 1, "b": 1}, {"a": 2}]}, {"$pull": {"l": {"a": 1}}}, {"l": [{"a": 2}]}),
    ({"l": [1, 2, 3]}, {"$pull": {"l": {"$in": [1, 3]}}}, {"l": [2]}),
    ({"l": [{"a": 1}]}, {"$set": {"l.0.a": 2}}, {"l": [{"a": 2}]}),
]


@pytest.mark.parametrize(("before", "change", "after"), CHANGES, ids=str)
async def test_changes_do_what_mongodb_does(
    documents: Documents, before: dict[str, Any], change: dict[str, Any], after: dict[str, Any]
) -> None:
    """Each operator of the port, on fields that are there, are not, and lie deep; the new document comes back."""
    await documents.insert(PROFILES, {"_id": "p", **before})
    assert await documents.update(PROFILES, {"_id": "p"}, change) == {"_id": "p", **after}
    assert await documents.get(PROFILES, "p") == {"_id": "p", **after}


async def test_sorting_limits_and_fields(documents: Documents) -> None:
    """What is missing sorts first, later keys break ties, a limit counts after sorting, named fields come alone."""
    await documents.insert_many(
        PROFILES,
        [{"_id": id, "k": k, "in": {"a": id, "b": 0}} for id, k in [("a", 2), ("b", 1), ("c", 2), ("d", None)]],
    )
    by_k = await documents.find(PROFILES, {}, sort=[("k", 1), ("_id", -1)])
    assert [one["_id"] for one in by_k] == ["d", "b", "c", "a"]
    first = await documents.find(PROFILES, {}, sort=[("k", -1), ("_id", 1)], limit=1, fields=["k", "in.a"])
    assert first == [{"_id": "a", "k": 2, "in": {"a": "a"}}]


async def test_counting_by_a_field(documents: Documents) -> None:
    """One count for each value among the matching documents."""
    rows = [{"_id": str(n), "s": s, "g": "x"} for n, s in enumerate(["done", "done", "failed"])]
    await documents.insert_many(PROFILES, [*rows, {"_id": "9", "s": "done", "g": "y"}])
    assert await documents.count_by(PROFILES, {"g": "x"}, "s") == {"done": 2, "failed": 1}


async def test_numbers_are_added_up(documents: Documents) -> None:
    """Those of matching documents; what is no number, or not there, adds nothing, and nothing is 0."""
    rows = [{"_id": str(n), "n": number, "g": "x"} for n, number in enumerate([2, 0.5, None])]
    await documents.insert_many(PROFILES, [*rows, {"_id": "8", "g": "x"}, {"_id": "9", "n": 100, "g": "y"}])
    assert await documents.sum_of(PROFILES, {"g": "x"}, "n") == 2.5
    assert await documents.sum_of(PROFILES, {"g": "z"}, "n") == 0


async def test_values_come_back_as_they_were_stored(documents: Documents) -> None:
    """Moments lose microseconds and their zone, tuples become lists; the caller's document stays its own."""
    moment = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=2)))
    document = {"_id": "v", "at": moment, "t": (1, "ü\0", None, b"\0"), "d": {"deep": [{"x": 1.5}]}, "big": 2**62}
    await documents.insert(VIDEOS, document)
    found = await documents.get(VIDEOS, "v")
    assert found == {
        "_id": "v",
        "at": datetime(2026, 5, 6, 5, 8, 9, 123000, tzinfo=UTC),
        "t": [1, "ü\0", None, b"\0"],
        "d": {"deep": [{"x": 1.5}]},
        "big": 2**62,
    }
    found["d"]["deep"].append("mine")
    document["d"] = "mine"
    again = await documents.get(VIDEOS, "v")
    assert again is not None
    assert again["d"] == {"deep": [{"x": 1.5}]}


@pytest.mark.parametrize("value", [2**63, {1: "a"}, object()], ids=["a huge number", "a number as a name", "an object"])
async def test_what_cannot_be_stored_is_refused(documents: Documents, value: Any) -> None:
    """What MongoDB has no form for is an error, not something else stored."""
    with pytest.raises((OverflowError, TypeError)):
        await documents.insert(VIDEOS, {"_id": "v", "x": value})
    assert await documents.get(VIDEOS, "v") is None


def _of(size: int, **more: Any) -> dict[str, Any]:
    """A document of exactly so many bytes in MongoDB, with a bit of everything."""
    document = {"_id": "large", "n": [1, 2**40, 1.5, None, True, {"at": datetime(2026, 1, 2, tzinfo=UTC)}], **more}
    return {**document, "text": "é" + "x" * (size - size_of({**document, "text": "é"}))}


WRITES: dict[str, Callable[[Documents, dict[str, Any]], Awaitable[Any]]] = {
    "insert": lambda documents, document: documents.insert("videos", document),
    "insert_many": lambda documents, document: documents.insert_many("videos", [document]),
    "replace": lambda documents, document: documents.replace("videos", document),
    "update": lambda documents, document: documents.update(
        "videos", {"_id": "large"}, {"$set": {"text": document["text"], "n": document["n"]}}, upsert=True
    ),
    "in a transaction": lambda documents, document: documents.transaction(
        lambda transaction: transaction.insert("videos", document)
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_a_document_has_a_largest_size(
    documents: Documents, write: Callable[[Documents, dict[str, Any]], Awaitable[Any]]
) -> None:
    """Up to it, it is stored; beyond, it is refused as what no retry mends, and nothing is left of it."""
    with pytest.raises(DocumentTooLargeError):
        await write(documents, _of(LARGEST_DOCUMENT + 1))
    assert await documents.get("videos", "large") is None
    await write(documents, _of(LARGEST_DOCUMENT))
    assert await documents.get("videos", "large") == _of(LARGEST_DOCUMENT)


async def test_a_document_does_not_grow_beyond_it(documents: Documents) -> None:
    """Neither by what is added to a list nor by what is set in many; it stays as it was."""
    document = _of(LARGEST_DOCUMENT - 20, gallery="g")
    await documents.insert("videos", document)
    change = {"$addToSet": {"n": {"$each": ["more than there is room for"]}}}
    for growing in (
        lambda: documents.update("videos", {"_id": "large"}, change),
        lambda: documents.update_many("videos", {"gallery": "g"}, change),
        lambda: documents.update_each("videos", {"large": change}),
    ):
        with pytest.raises(DocumentTooLargeError):
            await growing()
    assert await documents.get("videos", "large") == document


async def test_an_id_is_taken_once(documents: Documents) -> None:
    """A second insert under an `_id` is AlreadyExistsError; of several, those before it stay."""
    await documents.insert(VIDEOS, {"_id": "b", "n": 1})
    with pytest.raises(AlreadyExistsError):
        await documents.insert(VIDEOS, {"_id": "b", "n": 2})
    with pytest.raises(AlreadyExistsError):
        await documents.insert_many(VIDEOS, [{"_id": "a"}, {"_id": "b"}, {"_id": "c"}])
    assert [one["_id"] for one in await documents.find(VIDEOS, {}, sort=[("_id", 1)])] == ["a", "b"]
    assert await documents.get(VIDEOS, "b") == {"_id": "b", "n": 1}


async def test_a_unique_index_holds(documents: Documents) -> None:
    """A task of the same video and epoch under another id is AlreadyExistsError."""
    await documents.insert(TASKS, {"_id": "t1", "video_id": "v", "epoch": 1})
    with pytest.raises(AlreadyExistsError):
        await documents.insert(TASKS, {"_id": "t2", "video_id": "v", "epoch": 1})
    await documents.insert(TASKS, {"_id": "t2", "video_id": "v", "epoch": 2})


async def test_replace_update_many_and_delete(documents: Documents) -> None:
    """Replacing inserts or puts in place; many are changed, counted and deleted at once."""
    await documents.replace_many(PROFILES, [{"_id": "a", "g": 1}, {"_id": "b", "g": 1}])
    await documents.replace(PROFILES, {"_id": "a", "g": 2})
    assert await documents.get(PROFILES, "a") == {"_id": "a", "g": 2}
    assert await documents.update_many(PROFILES, {"g": {"$gt": 0}}, {"$set": {"h": 1}}) == 2
    assert await documents.update_many(PROFILES, {"h": 1}, {"$set": {"h": 1}}) == 2
    assert await documents.delete(PROFILES, {"g": 2}) == 1
    assert await documents.delete(PROFILES, {"g": 2}) == 0
    assert await documents.find(PROFILES, {}) == [{"_id": "b", "g": 1, "h": 1}]
    await documents.replace_many(PROFILES, [])
    await documents.insert_many(PROFILES, [])


async def test_updates_of_what_is_not_there(documents: Documents) -> None:
    """Nothing happens without `upsert`; with it, the filter's equalities and $setOnInsert make the document."""
    assert await documents.update(PROFILES, {"_id": "p", "s": 1}, {"$set": {"n": 1}}) is None
    made = await documents.update(
        PROFILES, {"_id": "p", "s": 1}, {"$set": {"n": 1}, "$setOnInsert": {"m": 2}}, upsert=True
    )
    assert made == {"_id": "p", "s": 1, "n": 1, "m": 2}
    with pytest.raises(AlreadyExistsError):
        await documents.update(PROFILES, {"_id": "p", "s": 2}, {"$set": {"n": 5}}, upsert=True)
    assert await documents.get(PROFILES, "p") == made


async def test_two_upserts_at_once_make_one_document(documents: Documents) -> None:
    """The first to arrive sets what is set on insert; none of them gets an error."""
    results = await asyncio.gather(
        *(documents.update(GALLERIES, {"_id": "g"}, {"$setOnInsert": {"by": n}}, upsert=True) for n in range(8))
    )
    assert len({one["by"] for one in results if one}) == 1
    assert await documents.count(GALLERIES, {}) == 1


async def test_compare_and_swap_lets_one_win(documents: Documents) -> None:
    """Of several that read the same version, one writes the next."""
    await documents.insert(GALLERIES, {"_id": "g", "version": 0})
    results = await asyncio.gather(
        *(documents.update(GALLERIES, {"_id": "g", "version": 0}, {"$set": {"version": 1, "by": n}}) for n in range(6))
    )
    assert sum(one is not None for one in results) == 1


# --- transactions -----------------------------------------------------------------------------------------------------


async def test_a_transaction_writes_all_or_nothing(documents: Documents) -> None:
    """Its writes are seen inside at once, outside only after it, and not at all after an exception."""
    await documents.insert(VIDEOS, {"_id": "old"})

    async def body(tx: Documents) -> str:
        await tx.insert(VIDEOS, {"_id": "new"})
        await tx.delete(VIDEOS, {"_id": "old"})
        assert await tx.get(VIDEOS, "new") is not None
        assert await tx.count(VIDEOS, {}) == 1
        assert await documents.get(VIDEOS, "new") is None
        assert await documents.get(VIDEOS, "old") is not None
        return "result"

    async def failing(tx: Documents) -> None:
        await body(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await documents.transaction(failing)
    assert [one["_id"] for one in await documents.find(VIDEOS, {})] == ["old"]
    assert await documents.transaction(body) == "result"
    assert [one["_id"] for one in await documents.find(VIDEOS, {})] == ["new"]


async def test_already_exists_in_a_transaction_undoes_it(documents: Documents) -> None:
    """A taken `_id` ends the transaction; what was written before it is gone; the body ran once."""
    await documents.insert(VIDEOS, {"_id": "taken"})
    runs = 0

    async def body(tx: Documents) -> None:
        nonlocal runs
        runs += 1
        await tx.insert(OUTBOX, {"_id": "event"})
        await tx.insert(VIDEOS, {"_id": "taken"})

    with pytest.raises(AlreadyExistsError):
        await documents.transaction(body)
    assert runs == 1
    assert await documents.count(OUTBOX, {}) == 0


async def test_a_write_conflict_runs_the_whole_body_again(documents: Documents) -> None:
    """Two that read and write one document: the later one runs again and sees what the first wrote."""
    await documents.insert(GALLERIES, {"_id": "g", "n": 0})
    read, runs = [asyncio.Event(), asyncio.Event()], [0, 0]

    async def body(tx: Documents, mine: int) -> None:
        runs[mine] += 1
        found = await tx.get(GALLERIES, "g")
        read[mine].set()
        await read[1 - mine].wait()  # both have read version 0 before either writes
        assert found is not None
        await tx.update(GALLERIES, {"_id": "g"}, {"$set": {"n": found["n"] + 1}})

    await asyncio.gather(*(documents.transaction(partial(body, mine=n)) for n in range(2)))
    assert await documents.get(GALLERIES, "g") == {"_id": "g", "n": 2}
    assert sum(runs) > 2


async def test_a_write_beside_the_transaction_conflicts_too(documents: Documents) -> None:
    """What changed since the transaction began is not overwritten: the body runs again on the new state."""
    await documents.insert(GALLERIES, {"_id": "g", "n": 0})
    runs = 0

    async def body(tx: Documents) -> None:
        nonlocal runs
        runs += 1
        found = await tx.get(GALLERIES, "g")
        assert found is not None
        if runs == 1:
            await documents.update(GALLERIES, {"_id": "g"}, {"$inc": {"n": 10}})
        await tx.update(GALLERIES, {"_id": "g"}, {"$set": {"n": found["n"] + 1}})

    await documents.transaction(body)
    assert runs == 2
    assert await documents.get(GALLERIES, "g") == {"_id": "g", "n": 11}


async def test_a_transaction_reads_one_moment(documents: Documents) -> None:
    """What is written beside it after its first read is not seen in it."""
    await documents.insert(VIDEOS, {"_id": "a"})

    async def body(tx: Documents) -> list[int]:
        before = await tx.count(VIDEOS, {})
        await documents.insert(VIDEOS, {"_id": "b"})
        return [before, await tx.count(VIDEOS, {})]

    assert await documents.transaction(body) == [1, 1]


async def test_two_inserts_of_one_id_in_two_transactions(documents: Documents) -> None:
    """The loser runs again and finds the winner's document: one that looks first never sees AlreadyExistsError."""
    met = [asyncio.Event(), asyncio.Event()]

    async def body(tx: Documents, mine: int) -> str:
        if (found := await tx.get(VIDEOS, "v")) is not None:
            return str(found["by"])
        met[mine].set()
        await met[1 - mine].wait()
        await tx.insert(VIDEOS, {"_id": "v", "by": str(mine)})
        return str(mine)

    results = await asyncio.gather(*(documents.transaction(partial(body, mine=n)) for n in range(2)))
    assert results[0] == results[1]


async def test_a_plain_write_waits_for_the_transaction_on_its_document(documents: Documents) -> None:
    """A write outside of transactions does not fail over an open one: it happens after it."""
    await documents.insert(GALLERIES, {"_id": "g", "n": 0})
    begun = asyncio.Event()

    async def body(tx: Documents) -> None:
        await tx.update(GALLERIES, {"_id": "g"}, {"$set": {"n": 1}})
        begun.set()
        await asyncio.sleep(0.1)

    async def beside() -> dict[str, Any] | None:
        await begun.wait()
        return await documents.update(GALLERIES, {"_id": "g"}, {"$inc": {"n": 10}})

    _, after = await asyncio.gather(documents.transaction(body), beside())
    assert after == {"_id": "g", "n": 11}


async def test_a_cancelled_transaction_leaves_nothing(documents: Documents) -> None:
    """A task that is cancelled inside undoes its writes and holds nothing up."""
    begun = asyncio.Event()

    async def body(tx: Documents) -> None:
        await tx.insert(VIDEOS, {"_id": "v"})
        begun.set()
        await asyncio.sleep(60)

    running = asyncio.ensure_future(documents.transaction(body))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await documents.insert(VIDEOS, {"_id": "v"})
    await documents.ping()


async def test_a_change_for_each_id(documents: Documents) -> None:
    """Every document gets its own change, absent ones are passed over, a transaction undoes all of them."""
    await documents.insert_many(PROFILES, [{"_id": "a", "n": 1}, {"_id": "b", "n": 1}])
    await documents.update_each(
        PROFILES, {"a": {"$set": {"n": 2}}, "none": {"$set": {"n": 9}}, "b": {"$inc": {"n": 5}}}
    )
    await documents.update_each(PROFILES, {})

    async def failing(tx: Documents) -> None:
        await tx.update_each(PROFILES, {"a": {"$set": {"n": 7}}, "b": {"$set": {"n": 7}}})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await documents.transaction(failing)
    assert await documents.find(PROFILES, {}, sort=[("_id", 1)]) == [{"_id": "a", "n": 2}, {"_id": "b", "n": 6}]


async def test_a_transaction_that_takes_too_long_is_no_outage(documents: Documents) -> None:
    """It is said so after the first time, and not tried for as long as MongoDB is waited for."""
    if isinstance(documents, MemoryDocuments):
        pytest.skip("memory has no such limit")
    runs = 0

    async def slow(view: Documents) -> None:
        nonlocal runs
        runs += 1
        await view.insert(VIDEOS, {"_id": "a"})
        await asyncio.sleep(6)
        await view.insert(VIDEOS, {"_id": "b"})

    with pytest.raises(TooLongError):
        await documents.transaction(slow)
    assert runs == 1
    assert await documents.count(VIDEOS, {}) == 0


# --- changes ----------------------------------------------------------------------------------------------------------


async def test_who_listens_hears_which_documents_change(documents: Documents) -> None:
    """Each by its id: those that are inserted, changed, replaced, removed, of one collection and from then on; what a
    transaction writes when it is over, and nothing of one that is undone."""
    await documents.insert(PROFILES, {"_id": "before"})

    async def written(inner: Documents) -> None:
        await inner.insert(PROFILES, {"_id": "d"})
        await inner.delete(PROFILES, {"_id": "c"})

    async def undone(inner: Documents) -> None:
        await inner.insert(PROFILES, {"_id": "never"})
        raise LookupError

    async with documents.changes(PROFILES) as ids:
        await documents.insert(VIDEOS, {"_id": "elsewhere"})
        await documents.insert(PROFILES, {"_id": "a"})
        await documents.update(PROFILES, {"_id": "before"}, {"$set": {"n": 1}})
        await documents.replace(PROFILES, {"_id": "b", "n": 1})
        await documents.delete(PROFILES, {"_id": "a"})
        await documents.insert(PROFILES, {"_id": "c"})
        with pytest.raises(LookupError):
            await documents.transaction(undone)
        await documents.transaction(written)
        async with asyncio.timeout(20):
            heard = [await anext(ids) for _ in range(7)]
    assert heard[:5] == ["a", "before", "b", "a", "c"]
    assert set(heard[5:]) == {"d", "c"}


async def test_several_may_listen_and_one_that_waits_may_leave(documents: Documents) -> None:
    """Each hears everything; what nobody waits for any more is in nobody's way."""
    async with documents.changes(PROFILES) as first:
        async with documents.changes(PROFILES) as second:
            waiting = asyncio.ensure_future(anext(second))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        await documents.insert(PROFILES, {"_id": "a"})
        async with asyncio.timeout(20):
            assert await anext(first) == "a"
