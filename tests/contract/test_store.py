"""`Store`: records, in memory and in MongoDB, and documents that another version of Castlist wrote."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from castlist.contract.bounds import LARGEST_DOCUMENT
from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings, GallerySettings, StoredObject
from castlist.ports.documents import Documents
from castlist.ports.errors import AlreadyExistsError, DocumentTooLargeError
from castlist.store import pending
from castlist.store.collections import COLLECTIONS
from castlist.store.query import (
    ANY,
    Change,
    Where,
    above,
    add,
    add_each,
    ascending,
    at_least,
    below,
    descending,
    eq,
    insert_as,
    name_of,
    ne,
    not_of_kind,
    of_kind,
    one_of,
    plain,
    raise_to,
    set_once,
    set_to,
    with_id,
    with_ids,
    within,
)
from castlist.store.records.appearances import AppearanceRecord, ShownAppearance
from castlist.store.records.collection import Collection
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.pending import PendingCommand, PendingRecluster, PendingRecord, PendingVideo
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.record import Record
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import CommittedEpoch, VideoName, VideoRecord
from castlist.store.store import Store, Table
from testkit.any_event import models

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
TASK = TaskRecord(
    id="t", video_id="v", video_name="one", gallery="g", epoch=1, status="queued", created_at=NOW, updated_at=NOW
)
PROFILE = ProfileRecord(id="p", gallery="g", name=None, created_at=NOW, updated_at=NOW, video_count=0)
VIDEO = VideoRecord(
    id="v",
    gallery="g",
    name="one",
    bytes=1,
    sha256=None,
    object=StoredObject(bucket="castlist", key="videos/one"),
    recorded_at=None,
    external_id=None,
    created_at=NOW,
    latest_epoch=1,
    latest_task_id="t",
)

KINDS: list[tuple[Collection[Any], type[Record]]] = [
    (collection, kind) for collection in COLLECTIONS for kind in get_args(collection.kinds) or (collection.record,)
]
each_kind = pytest.mark.parametrize(("collection", "kind"), KINDS, ids=[kind.__name__ for _, kind in KINDS])


def table_of(store: Store, collection: Collection[Any]) -> Table[Any]:
    """That of a collection; the store calls it as MongoDB does."""
    table: Table[Any] = getattr(store, collection.name)
    return table


# --- records as documents ---------------------------------------------------------------------------------------------


@each_kind
async def test_any_record_comes_back_as_it_was(store: Store, collection: Collection[Any], kind: type[Record]) -> None:
    """Each kind of each collection, whatever its fields hold: inserted, put in another's place, got, found and made by
    an upsert."""
    table = table_of(store, collection)
    for record in some(kind):
        await table.insert(record)
        assert await table.get(record.id) == record
        assert await table.find(with_id(record.id)) == [record]
        await table.replace_many([record])
        assert await table.get(record.id) == record
        await table.delete(with_id(record.id))
        assert await table.upsert(record.id, insert_as(record)) == record
        await table.delete(with_id(record.id))


async def test_a_record_that_is_too_large_is_named(store: Store) -> None:
    """By its collection and its id, whichever way it comes."""
    large = msgspec.structs.replace(TASK, video_name="x" * LARGEST_DOCUMENT)
    for write in (
        lambda: store.tasks.insert(large),
        lambda: store.tasks.insert_many([large]),
        lambda: store.tasks.replace(large),
        lambda: store.tasks.replace_many([large]),
        lambda: store.tasks.upsert("t", insert_as(large)),
    ):
        with pytest.raises(DocumentTooLargeError, match=r"tasks .*\bt\b"):
            await write()
    assert await store.tasks.count() == 0


def some(kind: type[Record], count: int = 8) -> list[Any]:
    """Some records of a kind, the simplest first."""
    found: list[Any] = []

    @settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(models(kind))
    def collect(record: Any) -> None:
        found.append(record)

    collect()
    return found


@each_kind
async def test_fields_of_a_newer_version_are_passed_over(
    documents: Documents, store: Store, collection: Collection[Any], kind: type[Record]
) -> None:
    """A document that has more than its record, at the top and in each object inside, reads as that record."""
    for record in some(kind, 3):
        document = plain(record)
        for node in objects_in(document):
            node["of_the_future"] = {"nested": [1, None]}
        await documents.replace(collection.name, document)
        assert await table_of(store, collection).get(record.id) == record
        await table_of(store, collection).delete(with_id(record.id))  # the next may have its unique key


DATA = ("faces_skipped", "command", "detail", "card", "receipt")


def objects_in(node: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document, but for those whose keys are data."""
    for name, value in list(node.items()) if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list | tuple) and name not in (
            "faces_skipped",
            "command",
            "detail",
            "card",
            "receipt",
        ):
            yield from objects_in(value)
    if isinstance(node, dict):
        yield node


async def test_fields_of_a_newer_version_stay_when_a_record_is_changed(documents: Documents, store: Store) -> None:
    """A change names the fields it is about: what an older version does not know is there afterwards."""
    await documents.insert("tasks", {**plain(TASK), "of_the_future": 1, "progress": 0.5})
    changed = await store.tasks.update(with_id("t"), set_to(TaskRecord.status, "processing"))
    assert changed == msgspec.structs.replace(TASK, status="processing", progress=0.5)
    await store.tasks.update_many(ANY, set_to(TaskRecord.chunks_done, 1))
    await store.tasks.update_each({"t": set_to(TaskRecord.announced, 1)})
    await store.tasks.upsert("t", add(TaskRecord.announced, 1) & insert_as(PROFILE))
    assert await documents.get("tasks", "t") == {
        **plain(TASK),
        "of_the_future": 1,
        "progress": 0.5,
        "status": "processing",
        "chunks_done": 1,
        "announced": 2,
        "warnings": [],
    }


@each_kind
async def test_fields_that_came_later_may_be_missing(
    documents: Documents, store: Store, collection: Collection[Any], kind: type[Record]
) -> None:
    """A document of before, without any of the fields that have a default, reads with those defaults."""
    later = {field.encode_name for field in msgspec.structs.fields(kind) if not field.required}
    for record in some(kind, 3):
        await documents.replace(
            collection.name, {name: value for name, value in plain(record).items() if name not in later}
        )
        found = await table_of(store, collection).get(record.id)
        defaults = {field.name: default_of(field) for field in msgspec.structs.fields(kind) if not field.required}
        assert found == msgspec.structs.replace(record, **defaults)
        await table_of(store, collection).delete(with_id(record.id))


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    """What stands for a field that is not there."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


async def test_values_inside_records_may_be_older_too(documents: Documents, store: Store) -> None:
    """Settings without the fields that came later have their defaults."""
    await documents.insert("tasks", {**plain(TASK), "settings": {"detector": "cnn"}})
    found = await store.tasks.get("t")
    assert found is not None
    assert found.settings == AnalysisSettings(detector="cnn")


@pytest.mark.parametrize("spoiled", [{"epoch": "1"}, {"status": "unheard-of"}, {"video_id": None}], ids=str)
async def test_what_is_no_such_record_is_an_error(documents: Documents, store: Store, spoiled: dict[str, Any]) -> None:
    """A value of another type, or of none that is known, is not passed on."""
    await documents.insert("tasks", {**plain(TASK), **spoiled})
    with pytest.raises(msgspec.ValidationError):
        await store.tasks.get("t")
    with pytest.raises(msgspec.ValidationError):
        await store.tasks.find()


# --- what is pending: records of several kinds ------------------------------------------------------------------------

WAITING = (
    PendingVideo(id="v:1", gallery="g", created_at=NOW, video_id="v", epoch=1, people=1),
    PendingCommand(id="command:c", gallery="g", created_at=NOW, name="RenameProfile", command={"profile_id": "p"}),
    PendingRecluster(id="recluster::g", gallery="g", created_at=NOW, after=None, keys=("v:1:0",)),
    PendingRecluster(id="recluster::h", gallery="h", created_at=NOW, after="v:1:0", keys=()),
)


async def test_what_is_pending_is_read_as_what_it_is(store: Store) -> None:
    """One collection, three kinds: each comes back as its own, by their ids in order."""
    await store.pending.insert_many(WAITING)
    found = await store.pending.find(eq(PendingRecord.gallery, "g"), sort=[ascending(PendingRecord.id)])
    assert found == sorted(WAITING[:3], key=lambda one: one.id)
    assert await store.pending.get("v:1") == WAITING[0]
    assert set(await store.pending.ids(not_of_kind(PendingRecluster))) == {"v:1", "command:c"}
    assert set(await store.pending.ids(pending.ALL_RECLUSTERS)) == {"recluster::g", "recluster::h"}
    assert [one.id for one in await store.pending.find(of_kind(PendingCommand))] == ["command:c"]


async def test_a_kind_of_pending_that_is_not_known_is_an_error(documents: Documents, store: Store) -> None:
    """Work that a newer version has left is not taken for something else, and does not go unseen."""
    await documents.insert("pending", {"_id": "x", "kind": "of_the_future", "gallery": "g", "created_at": NOW})
    with pytest.raises(msgspec.ValidationError):
        await store.pending.find()
    assert await store.pending.count(eq(PendingRecord.gallery, "g")) == 1


# --- parts ------------------------------------------------------------------------------------------------------------

PARTS = [
    kind
    for kind in Record.__subclasses__()
    if kind.__module__.startswith("castlist.store.records.")
    and kind not in (PendingRecord, *(kind for _, kind in KINDS))
]


async def test_of_a_part_nothing_else_is_read(documents: Documents, store: Store) -> None:
    """What is broken, or large, in the rest of a record does not matter to who reads a part of it."""
    await documents.insert("videos", {"_id": "v", "name": "one", "object": "nonsense"})
    await documents.insert("videos", {"_id": "w", "name": "two", "committed_epoch": 3})
    order = [descending(VideoRecord.name)]
    assert await store.videos.find_parts(VideoName, sort=order) == [
        VideoName(id="w", name="two"),
        VideoName(id="v", name="one"),
    ]
    assert await store.videos.find_parts(CommittedEpoch, with_id("v")) == [CommittedEpoch(id="v")]
    assert await store.videos.find_parts(CommittedEpoch, sort=order, limit=1) == [
        CommittedEpoch(id="w", committed_epoch=3)
    ]


@pytest.mark.parametrize("part", PARTS, ids=lambda kind: kind.__name__)
async def test_a_part_says_what_its_record_says(store: Store, part: type[Record]) -> None:
    """Each part names fields of a record, with the types and the defaults that they have there."""
    names = set(part.__struct_fields__)
    wholes = [(collection, kind) for collection, kind in KINDS if is_part(part, kind)]
    assert wholes, "no record has these fields"
    for collection, kind in wholes:
        for record in some(kind, 3):
            await table_of(store, collection).replace(record)
            (found,) = await table_of(store, collection).find_parts(part, with_id(record.id))
            assert found == part(**{name: getattr(record, name) for name in names})
            await table_of(store, collection).delete(with_id(record.id))


async def test_what_is_shown_of_an_appearance_is_what_is_stored(documents: Documents, store: Store) -> None:
    """It is passed on as it is, so its parts are not typed."""
    for appearance in some(AppearanceRecord, 3):
        await store.appearances.replace(appearance)
        (found,) = await store.appearances.find_parts(ShownAppearance, with_id(appearance.id))
        stored = await documents.get("appearances", appearance.id)
        assert stored is not None
        assert {**stored, **plain(found)} == stored


def is_part(part: type[Record], whole: type[Record]) -> bool:
    """Whether each field of the part is declared alike in the whole."""
    own, others = ({f.name: (f.type, f.default) for f in msgspec.structs.fields(kind)} for kind in (part, whole))
    return own.items() <= others.items()


# --- queries and changes ----------------------------------------------------------------------------------------------


def task(id: str, **values: Any) -> TaskRecord:
    """A task; its epoch tells it from the others of its video."""
    return msgspec.structs.replace(TASK, id=id, epoch=ord(id), **values)


TASKS = (
    task("a", progress=0.1, chunks_planned=1, warnings=("w",)),
    task("b", progress=0.2, status="failed", error=TaskError("internal", "A bug."), updated_at=LATER),
    task("c", progress=0.3, status="done", finished_at=LATER, settings=AnalysisSettings(detector="cnn")),
)
QUERIES: list[tuple[Where, str]] = [
    (ANY, "abc"),
    (with_id("b"), "b"),
    (with_ids(["a", "c", "x"]), "ac"),
    (with_ids([]), ""),
    (eq(TaskRecord.id, "a"), "a"),
    (eq(TaskRecord.status, "failed"), "b"),
    (eq(TaskRecord.error, None), "ac"),
    (eq(TaskRecord.error, TaskError("internal", "A bug.")), "b"),
    (eq(TaskRecord.settings, AnalysisSettings(detector="cnn")), "c"),
    (eq(TaskRecord.updated_at, LATER), "b"),
    (eq(TaskRecord.warnings, ("w",)), "a"),
    (ne(TaskRecord.status, "failed"), "ac"),
    (ne(TaskRecord.finished_at, None), "c"),
    (one_of(TaskRecord.status, ["queued", "done"]), "ac"),
    (one_of(TaskRecord.status, []), ""),
    (below(TaskRecord.progress, 0.2), "a"),
    (below(TaskRecord.updated_at, LATER), "ac"),
    (above(TaskRecord.progress, 0.2), "c"),
    (above(TaskRecord.id, "a"), "bc"),
    (at_least(TaskRecord.progress, 0.2), "bc"),
    (within(TaskRecord.progress, 0.1, 0.3), "ab"),
    (ANY & eq(TaskRecord.status, "done"), "c"),
    (eq(TaskRecord.error, None) & above(TaskRecord.progress, 0.1), "c"),
    (at_least(TaskRecord.progress, 0.1) & below(TaskRecord.progress, 0.3), "ab"),
    (above(TaskRecord.id, "a") & below(TaskRecord.id, "c") & ne(TaskRecord.id, "x"), "b"),
    (eq(TaskRecord.status, "done") & eq(TaskRecord.status, "failed"), ""),
]


@pytest.mark.parametrize(("where", "expected"), QUERIES, ids=str)
async def test_queries_find_what_they_say(store: Store, where: Where, expected: str) -> None:
    """Each way to say which records are meant, two and three of them together, also on one field."""
    await store.tasks.insert_many(TASKS)
    order = [ascending(TaskRecord.id)]
    assert [found.id for found in await store.tasks.find(where, sort=order)] == list(expected)
    assert sorted(await store.tasks.ids(where)) == list(expected)
    assert await store.tasks.count(where) == len(expected)
    assert await store.tasks.delete(where) == len(expected)
    assert await store.tasks.count() == 3 - len(expected)


async def test_order_limit_and_counts(store: Store) -> None:
    """Later fields break ties, a limit counts after sorting, one count for each value that some record has."""
    await store.tasks.insert_many(TASKS)
    latest = [descending(TaskRecord.updated_at), ascending(TaskRecord.id)]
    assert [found.id for found in await store.tasks.find(sort=latest)] == ["b", "a", "c"]
    assert [found.id for found in await store.tasks.find(sort=latest, limit=2)] == ["b", "a"]
    assert await store.tasks.count_by(ANY, TaskRecord.status) == {"queued": 1, "failed": 1, "done": 1}
    assert await store.tasks.count_by(eq(TaskRecord.error, None), TaskRecord.error) == {None: 2}


CHANGES: list[tuple[Change, dict[str, Any]]] = [
    (set_to(TaskRecord.status, "failed"), {"status": "failed"}),
    (set_to(TaskRecord.error, TaskError("internal", "A bug.")), {"error": TaskError("internal", "A bug.")}),
    (set_to(TaskRecord.settings, AnalysisSettings()), {"settings": AnalysisSettings()}),
    (set_to(TaskRecord.started_at, LATER) & set_to(TaskRecord.started_at, None), {}),
    (set_to(TaskRecord.status, "done") & set_to(TaskRecord.progress, 1.0), {"status": "done", "progress": 1.0}),
    (set_to(TaskRecord.progress, 1.0) & add(TaskRecord.announced, 2), {"progress": 1.0, "announced": 2}),
    (set_once(TaskRecord.status, "failed"), {}),
    (insert_as(msgspec.structs.replace(TASK, status="failed")), {}),
    (set_to(TaskRecord.progress, 0.5) & set_once(TaskRecord.status, "failed"), {"progress": 0.5}),
    (add(TaskRecord.chunks_done, 3), {"chunks_done": 3}),
    (add(TaskRecord.chunks_done, -1), {"chunks_done": -1}),
    (raise_to(TaskRecord.progress, 0.5), {"progress": 0.5}),
    (raise_to(TaskRecord.epoch, 0), {}),
    (raise_to(TaskRecord.chunks_planned, 4), {"chunks_planned": 4}),
    (raise_to(TaskRecord.updated_at, LATER), {"updated_at": LATER}),
    (add_each(TaskRecord.warnings, ["a", "b", "a"]), {"warnings": ("a", "b")}),
    (add_each(TaskRecord.warnings, []), {}),
]


@pytest.mark.parametrize(("change", "values"), CHANGES, ids=str)
async def test_changes_change_what_they_say(store: Store, change: Change, values: dict[str, Any]) -> None:
    """Each way to change a record, and two together; the record as it is afterwards comes back."""
    await store.tasks.insert(TASK)
    expected = msgspec.structs.replace(TASK, **values)
    assert await store.tasks.update(with_id("t"), change) == expected
    assert await store.tasks.get("t") == expected


async def test_what_is_set_once_is_set_by_the_update_that_makes_the_record(store: Store) -> None:
    """An upsert begins with it, and later ones leave it; an update without `upsert` begins nothing."""
    change = set_once(GalleryRecord.created_at, NOW) & set_to(GalleryRecord.distance, 0.5)
    assert await store.galleries.update(with_id("g"), change) is None
    begun = await store.galleries.upsert("g", change & set_once(GalleryRecord.version, 0))
    assert begun == GalleryRecord(id="g", version=0, created_at=NOW, distance=0.5)
    later = set_once(GalleryRecord.created_at, LATER) & set_to(GalleryRecord.settings, GallerySettings(detector="cnn"))
    assert await store.galleries.upsert("g", later) == msgspec.structs.replace(
        begun, settings=GallerySettings(detector="cnn")
    )


async def test_several_records_are_changed_at_once(store: Store) -> None:
    """Those that match, all alike, and counted; or each in its own way, passing over those that are not there."""
    await store.tasks.insert_many(TASKS)
    assert await store.tasks.update_many(eq(TaskRecord.error, None), set_to(TaskRecord.chunks_done, 5)) == 2
    await store.tasks.update_each(
        {"a": add(TaskRecord.chunks_done, 1), "b": add(TaskRecord.chunks_done, 2), "x": add(TaskRecord.chunks_done, 3)}
    )
    found = await store.tasks.find(sort=[ascending(TaskRecord.id)])
    assert [(one.id, one.chunks_done) for one in found] == [("a", 6), ("b", 2), ("c", 5)]


@pytest.mark.parametrize(
    "member", ["status", TASK.status, TaskRecord, TaskRecord.__init__, vars(Box)["left"], None, []], ids=str
)
def test_what_is_no_field_of_a_record_is_refused(member: Any) -> None:
    """A name, a value, a record, a method, or a field of something else: TypeError, and no query for nothing."""
    for use in (name_of, ascending, descending):
        with pytest.raises(TypeError):
            use(member)
    for said in (eq, ne, below, above, at_least, set_to, set_once, raise_to):
        with pytest.raises(TypeError):
            said(member, 1)


def test_a_field_is_called_as_in_mongodb() -> None:
    """`id` is `_id` there, in every record; the others keep their names."""
    assert {name_of(collection.record.id) for collection in COLLECTIONS} == {"_id"}
    assert name_of(TaskRecord.chunks_planned) == "chunks_planned"


# --- transactions -----------------------------------------------------------------------------------------------------


async def test_a_transaction_is_a_store_of_its_own(store: Store) -> None:
    """Over several tables: seen inside at once, outside only after it, and not at all after an exception."""

    async def body(transaction: Store) -> str:
        await transaction.videos.insert(VIDEO)
        await transaction.tasks.insert(TASK)
        changed = await transaction.tasks.update(with_id("t"), set_to(TaskRecord.progress, 0.5))
        assert changed == await transaction.tasks.get("t")
        assert await store.tasks.get("t") is None
        return "result"

    async def failing(transaction: Store) -> None:
        await body(transaction)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.transaction(failing)
    assert await store.videos.count() == await store.tasks.count() == 0
    assert await store.transaction(body) == "result"
    assert await store.videos.get("v") == VIDEO
    assert await store.tasks.get("t") == msgspec.structs.replace(TASK, progress=0.5)


async def test_an_id_or_another_unique_key_is_taken_once(store: Store) -> None:
    """AlreadyExistsError for a second record under an id, and for a second task of one run."""
    await store.tasks.insert(TASK)
    with pytest.raises(AlreadyExistsError):
        await store.tasks.insert(TASK)
    with pytest.raises(AlreadyExistsError):
        await store.tasks.insert_many([msgspec.structs.replace(TASK, id="another")])
    assert await store.tasks.find() == [TASK]
