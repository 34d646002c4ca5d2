"""Documents that note which queries are made of them, from where, and how MongoDB would answer each."""

import ast
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from castlist.ports.documents import Change, Document, Where
from castlist.store import store as tables
from castlist.store.collections import COLLECTIONS
from testkit.source import modules, tree

T = TypeVar("T")
Site = tuple[str, int]
"""A module's path, and a line in it."""
_ASKING = ("find", "find_parts", "ids", "count", "count_by", "sum_of", "update", "update_many", "delete")
_OURS = {str(path) for path in modules().values()}


@dataclass(frozen=True)
class Query:
    """What was asked of a collection. Changes and deletions look for their documents like any other query."""

    collection: str
    where: Where
    sort: Sequence[tuple[str, int]]
    fields: Sequence[str]
    limit: int
    site: Site

    def __str__(self) -> str:
        """Its shape: the same for all that differ in their values alone."""
        where = {name: sorted(value) if isinstance(value, Mapping) else "=" for name, value in self.where.items()}
        return f"{self.collection} {where}, sorted by {list(self.sort)}, at {shortened(self.site)}"

    def command(self) -> dict[str, Any]:
        """As MongoDB's `find`."""
        asked: dict[str, Any] = {"find": self.collection, "filter": dict(self.where), "limit": self.limit}
        if self.sort:
            asked["sort"] = dict(self.sort)
        if self.fields:
            asked["projection"] = dict.fromkeys(self.fields, 1)
        return asked


class RecordedQueries:
    """`documents`, noting every query that is not about one `_id`; the rest goes through as it is."""

    def __init__(self, documents: Any, queries: list[Query] | None = None) -> None:
        self._documents = documents
        self.queries: list[Query] = [] if queries is None else queries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    def _note(self, collection: str, where: Where, **more: Any) -> None:
        asked = {"sort": (), "fields": (), "limit": 0, **more}
        self.queries.append(Query(collection, where, site=_asked_from(), **asked))

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[Document]:
        self._note(collection, where, sort=sort, limit=limit, fields=fields)
        found: list[Document] = await self._documents.find(collection, where, sort=sort, limit=limit, fields=fields)
        return found

    async def count(self, collection: str, where: Where) -> int:
        self._note(collection, where)
        return int(await self._documents.count(collection, where))

    async def count_by(self, collection: str, where: Where, field: str) -> dict[Any, int]:
        self._note(collection, where)
        return dict(await self._documents.count_by(collection, where, field))

    async def sum_of(self, collection: str, where: Where, field: str) -> float:
        self._note(collection, where, fields=[field])
        return float(await self._documents.sum_of(collection, where, field))

    async def update(self, collection: str, where: Where, change: Change, *, upsert: bool = False) -> Document | None:
        self._note(collection, where)
        found: Document | None = await self._documents.update(collection, where, change, upsert=upsert)
        return found

    async def update_many(self, collection: str, where: Where, change: Change) -> int:
        self._note(collection, where)
        return int(await self._documents.update_many(collection, where, change))

    async def delete(self, collection: str, where: Where) -> int:
        self._note(collection, where)
        return int(await self._documents.delete(collection, where))

    async def transaction(self, body: Callable[[Any], Awaitable[T]]) -> T:
        result: T = await self._documents.transaction(lambda inner: body(RecordedQueries(inner, self.queries)))
        return result


def _asked_from() -> Site:
    """The innermost line of ours outside of the store; where several are asked at once, that which made this one."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if _is_ours(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    task = asyncio.current_task()
    made = getattr(task.get_coro(), "cr_origin", None) if task is not None else None
    return next(((path, line) for path, line, _ in made or () if _is_ours(path)), ("a test", 0))


def _is_ours(path: str) -> bool:
    return path in _OURS and path != tables.__file__


def call_sites(packages: Sequence[str]) -> Iterator[tuple[str, range]]:
    """Each place in these packages that queries a table by its name: (path, lines)."""
    names = {collection.name for collection in COLLECTIONS}
    for module, path in modules().items():
        if module.split(".")[0] in packages:
            for node in ast.walk(tree(module)):
                match node:
                    case ast.Call(func=ast.Attribute(attr=method, value=ast.Attribute(attr=name))) if (
                        method in _ASKING and name in names
                    ):
                        yield str(path), range(node.lineno, (node.end_lineno or node.lineno) + 1)


def shortened(site: Site) -> str:
    """A place, to be read."""
    return f"{Path(site[0]).parent.name}/{Path(site[0]).name}:{site[1]}"


# --- how MongoDB answers one ------------------------------------------------------------------------------------------


def stages(plan: Any) -> Iterator[Mapping[str, Any]]:
    """The stages of a plan as `explain` gives it, outermost first."""
    if isinstance(plan, Mapping):
        if "stage" in plan:
            yield plan
        for part in ("queryPlan", "inputStage", "inputStages", "shards", "thenStage", "elseStage"):
            yield from stages(plan.get(part))
    elif isinstance(plan, list):
        for one in plan:
            yield from stages(one)


def reads_all(planner: Mapping[str, Any], query: Query) -> bool:
    """Whether each plan looks at everything in the collection, or at a whole index to find some of it.

    Of a collection with a handful of documents the planner takes any of its candidates; one good one is enough.
    """
    return all(_reads_all(plan, query) for plan in (planner["winningPlan"], *planner["rejectedPlans"]))


def _reads_all(plan: Any, query: Query) -> bool:
    found = list(stages(plan))
    if any(stage["stage"] == "COLLSCAN" for stage in found):
        return True
    whole = [stage for stage in found if stage["stage"] == "IXSCAN" and not _bounded(stage)]
    return bool(whole) and bool(query.where)


def _bounded(scan: Mapping[str, Any]) -> bool:
    """Whether an index is read in part."""
    everything = ("[MinKey, MaxKey]", "[MaxKey, MinKey]")
    return not all(bound in everything for bounds in scan["indexBounds"].values() for bound in bounds or [""])
