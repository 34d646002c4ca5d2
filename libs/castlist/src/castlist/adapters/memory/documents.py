"""Documents in memory, with snapshot transactions that conflict as MongoDB's do."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from castlist.adapters.memory.filters import matches, ordered, value
from castlist.adapters.memory.stored_values import copied, size_of, stored
from castlist.adapters.memory.updates import changed, founded
from castlist.contract.bounds import LARGEST_DOCUMENT
from castlist.ports.documents import Change, Document, Documents, Where
from castlist.ports.errors import AlreadyExistsError, DocumentTooLargeError, UnavailableError
from castlist.store.collections import COLLECTIONS

T = TypeVar("T")
_PATIENCE = 1000
_UNIQUE = {
    collection.name: [index.keys for index in collection.indexes if index.options.get("unique")]
    for collection in COLLECTIONS
}
_Table = dict[str, Document]
_Place = tuple[str, str]


class _Conflict(Exception):
    """Another transaction wrote what this one wants to write: run its body again."""


class _Transaction:
    """A snapshot, what was changed in it, and whether it is over."""

    def __init__(self, tables: dict[str, _Table]) -> None:
        # Documents are replaced and never changed in place, so a snapshot is a copy of the tables alone.
        self.before = {name: dict(table) for name, table in tables.items()}
        self.tables = {name: dict(table) for name, table in tables.items()}
        self.written: set[_Place] = set()
        self.failed = False
        self.over = asyncio.Event()


class MemoryDocuments(Documents):
    """`Documents` in dictionaries. The unique indexes of `castlist.store.collections` hold here too."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._owners: dict[_Place, _Transaction] = {}
        self._transaction: _Transaction | None = None
        self._listeners: defaultdict[str, list[asyncio.Queue[str]]] = defaultdict(list)

    async def get(self, collection: str, id: str) -> Document | None:
        await self._turn()
        found = self._table(collection).get(id)
        return None if found is None else copied(found)

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[Document]:
        await self._turn()
        found = ordered(self._matching(collection, where), sort)[: limit or None]
        return [copied(_projected(one, fields)) for one in found]

    async def count(self, collection: str, where: Where) -> int:
        await self._turn()
        return len(self._matching(collection, where))

    async def count_by(self, collection: str, where: Where, field: str) -> dict[Any, int]:
        await self._turn()
        return dict(Counter(value(one, field) for one in self._matching(collection, where)))

    async def sum_of(self, collection: str, where: Where, field: str) -> float:
        await self._turn()
        return float(sum(value(one, field) or 0 for one in self._matching(collection, where)))

    async def insert(self, collection: str, document: Document) -> None:
        await self._turn()
        await self._free(collection, document["_id"])
        if document["_id"] in self._table(collection):
            self._refuse(f"{collection} has {document['_id']} already")
        self._write(collection, document["_id"], stored(document))

    async def insert_many(self, collection: str, documents: Sequence[Document]) -> None:
        for document in documents:
            await self.insert(collection, document)

    async def update(self, collection: str, where: Where, change: Change, *, upsert: bool = False) -> Document | None:
        await self._turn()
        where = stored(dict(where))
        while found := self._matching(collection, where):
            id = found[0]["_id"]
            await self._free(collection, id)
            if (current := self._table(collection).get(id)) is not None and matches(current, where):
                return self._write(collection, id, changed(current, change))
        if not upsert:
            return None
        begun = founded(where)
        await self._free(collection, begun["_id"])
        if begun["_id"] in self._table(collection):
            self._refuse(f"{collection} has {begun['_id']} already, and not as asked for")
        return self._write(collection, begun["_id"], changed(begun, change, inserting=True))

    async def update_many(self, collection: str, where: Where, change: Change) -> int:
        await self._turn()
        where, count = stored(dict(where)), 0
        for found in self._matching(collection, where):
            await self._free(collection, found["_id"])
            current = self._table(collection).get(found["_id"])
            if current is not None and matches(current, where):
                self._write(collection, found["_id"], changed(current, change))
                count += 1
        return count

    async def update_each(self, collection: str, changes: Mapping[str, Change]) -> None:
        for id, change in changes.items():
            await self.update(collection, {"_id": id}, change)

    async def replace(self, collection: str, document: Document) -> None:
        await self._turn()
        await self._free(collection, document["_id"])
        self._write(collection, document["_id"], stored(document))

    async def replace_many(self, collection: str, documents: Sequence[Document]) -> None:
        for document in documents:
            await self.replace(collection, document)

    async def delete(self, collection: str, where: Where) -> int:
        await self._turn()
        count = 0
        for found in self._matching(collection, where):
            await self._free(collection, found["_id"])
            if found["_id"] in self._table(collection):
                self._write(collection, found["_id"], None)
                count += 1
        return count

    async def transaction(self, body: Callable[[Documents], Awaitable[T]]) -> T:
        if self._transaction is not None:
            raise ValueError("transactions are not nested")
        for _ in range(_PATIENCE):
            view = MemoryDocuments()
            view._owners, view._transaction = self._owners, _Transaction(self._tables)
            try:
                result = await body(view)
                self._commit(view._transaction)
                return result
            except _Conflict:
                pass
            finally:
                self._end(view._transaction)
            await asyncio.sleep(0)
        raise UnavailableError("the transaction kept conflicting")

    @asynccontextmanager
    async def changes(self, collection: str) -> AsyncIterator[AsyncIterator[str]]:
        await self._turn()
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners[collection].append(queue)
        try:
            yield _all_of(queue)
        finally:
            self._listeners[collection].remove(queue)

    async def ping(self) -> None:
        await self._turn()

    async def _turn(self) -> None:
        await asyncio.sleep(0)  # a real one answers later, too: others run meanwhile
        if self._transaction is not None and self._transaction.failed:
            raise _Conflict

    def _table(self, collection: str) -> _Table:
        tables = self._tables if self._transaction is None else self._transaction.tables
        return tables.setdefault(collection, {})

    def _matching(self, collection: str, where: Where) -> list[Document]:
        table, wanted = self._table(collection), stored(dict(where))
        if isinstance(id := wanted.get("_id"), str):
            candidates = [table[id]] if id in table else []
            del wanted["_id"]
        else:
            candidates = list(table.values())
        return [document for document in candidates if matches(document, wanted)]

    async def _free(self, collection: str, id: str) -> None:
        """Outside of transactions: wait for the one that holds the document. In one: it conflicts."""
        place = (collection, id)
        if self._transaction is None:
            while place in self._owners:
                await self._owners[place].over.wait()
            return
        if self._owners.get(place, self._transaction) is not self._transaction:
            self._transaction.failed = True
            raise _Conflict

    def _write(self, collection: str, id: str, document: Document | None) -> Document:
        if document is not None and (size := size_of(document)) > LARGEST_DOCUMENT:
            raise DocumentTooLargeError(f"{size} bytes")
        for keys in _UNIQUE.get(collection, ()):
            if document is not None:
                where = {name: document.get(name) for name, _ in keys}
                for other in self._table(collection).values():
                    if other["_id"] != id and all(other.get(name) == value for name, value in where.items()):
                        self._refuse(f"{collection} has another document with {where}")
        if self._transaction is not None:
            self._owners[collection, id] = self._transaction
            self._transaction.written.add((collection, id))
        self._tell(collection, id)
        if document is None:
            del self._table(collection)[id]
            return {}
        self._table(collection)[id] = document
        return dict(copied(document))

    def _refuse(self, reason: str) -> None:
        if self._transaction is not None:
            self._transaction.failed = True
        raise AlreadyExistsError(reason)

    def _commit(self, transaction: _Transaction) -> None:
        if transaction.failed:
            raise _Conflict
        for collection, id in transaction.written:
            if self._table(collection).get(id) is not transaction.before.get(collection, {}).get(id):
                raise _Conflict
        tables = {name: dict(table) for name, table in self._tables.items()}
        for collection, id in transaction.written:
            self._table(collection).pop(id, None)
        try:
            for collection, id in transaction.written:
                if (document := transaction.tables[collection].get(id)) is not None:
                    self._write(collection, id, document)
        except AlreadyExistsError:
            self._tables.update(tables)
            raise _Conflict from None
        for collection, id in transaction.written:
            if id not in self._table(collection):
                self._tell(collection, id)

    def _tell(self, collection: str, id: str) -> None:
        for listener in self._listeners[collection]:
            listener.put_nowait(id)

    def _end(self, transaction: _Transaction) -> None:
        for place in transaction.written:
            if self._owners.get(place) is transaction:
                del self._owners[place]
        transaction.over.set()


async def _all_of(queue: asyncio.Queue[str]) -> AsyncIterator[str]:
    while True:
        yield await queue.get()


def _projected(document: Document, fields: Sequence[str]) -> Document:
    if not fields:
        return document
    result: Document = {"_id": document["_id"]}
    for field in fields:
        node, kept, *steps = document, result, *field.split(".")
        for step in steps[:-1]:
            if not isinstance(node.get(step), dict):
                break
            node, kept = node[step], kept.setdefault(step, {})
        else:
            if steps[-1] in node:
                kept[steps[-1]] = node[steps[-1]]
    return result
