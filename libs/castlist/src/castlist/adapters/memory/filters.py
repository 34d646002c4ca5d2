"""Which documents a filter means: the part of MongoDB's language that `ports.Documents` names."""

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from castlist.ports.documents import Document, Where

_MISSING = object()


def matches(document: Document, where: Where) -> bool:
    """Whether `document` fulfils all of `where`, whose values have the form in which they are stored.

    ValueError for an operator that the port does not have.
    """
    return all(_holds(document, name, condition) for name, condition in where.items())


def _holds(document: Document, name: str, condition: Any) -> bool:
    if name == "$or":
        return any(matches(document, one) for one in condition)
    if name == "$and":
        return all(matches(document, one) for one in condition)
    if name.startswith("$"):
        raise ValueError(f"the port has no {name}")
    found = list(_values(document, name.split(".")))
    if isinstance(condition, dict) and any(key.startswith("$") for key in condition):
        return all(_operator(operator)(found, wanted) for operator, wanted in condition.items())
    return _equal(found, condition)


def _values(node: Any, path: Sequence[str]) -> Iterator[Any]:
    """What lies under a dotted path; lists of documents are looked through, as MongoDB does."""
    if not path:
        yield node
    elif isinstance(node, dict):
        if path[0] in node:
            yield from _values(node[path[0]], path[1:])
    elif isinstance(node, list):
        if path[0].isdigit() and int(path[0]) < len(node):
            yield from _values(node[int(path[0])], path[1:])
        for one in node:
            if isinstance(one, dict):
                yield from _values(one, path)


def value(document: Document, path: str) -> Any:
    """What lies under a dotted path; None if nothing does."""
    return next(_values(document, path.split(".")), None)


def _equal(found: list[Any], wanted: Any) -> bool:
    if wanted is None and (not found or None in found):
        return True
    return any(_same(one, wanted) for one in _spread(found))


def _spread(found: list[Any]) -> Iterator[Any]:
    """The values, and the elements of those that are lists."""
    for one in found:
        yield one
        if isinstance(one, list):
            yield from one


def _same(one: Any, other: Any) -> bool:
    return _rank(one) == _rank(other) and bool(one == other)


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    # Only values of one kind compare; a number is neither above nor below a text.
    return lambda found, wanted: any(_rank(one) == _rank(wanted) and test(one, wanted) for one in _spread(found))


_OPERATORS: dict[str, Callable[[list[Any], Any], bool]] = {
    "$in": lambda found, wanted: any(_equal(found, one) for one in wanted),
    "$nin": lambda found, wanted: not any(_equal(found, one) for one in wanted),
    "$ne": lambda found, wanted: not _equal(found, wanted),
    "$gt": _compare(lambda one, other: one > other),
    "$gte": _compare(lambda one, other: one >= other),
    "$lt": _compare(lambda one, other: one < other),
    "$lte": _compare(lambda one, other: one <= other),
    "$exists": lambda found, wanted: bool(found) == bool(wanted),
}


def _operator(name: str) -> Callable[[list[Any], Any], bool]:
    if name not in _OPERATORS:
        raise ValueError(f"the port has no {name}")
    return _OPERATORS[name]


def ordered(documents: list[Document], sort: Sequence[tuple[str, int]]) -> list[Document]:
    """`documents` by the fields of `sort`; what is missing comes first going up."""
    for name, direction in reversed(sort):
        key = functools.partial(_sort_key, path=name.split("."), lowest=direction > 0)
        documents = sorted(documents, key=key, reverse=direction < 0)
    return documents


def _sort_key(document: Document, path: Sequence[str], lowest: bool) -> tuple[int, Any]:
    found = [one for one in _spread(list(_values(document, path))) if not isinstance(one, list)]
    keys = [(_rank(one), one if _rank(one) else 0) for one in found] or [(0, 0)]
    return min(keys) if lowest else max(keys)


def _rank(value: Any) -> int:
    """MongoDB's order of kinds."""
    kinds: tuple[type | tuple[type, ...], ...] = (dict, list, bytes, bool, datetime)
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1
    if isinstance(value, str):
        return 2
    return next(rank for rank, kind in enumerate(kinds, 3) if isinstance(value, kind))
