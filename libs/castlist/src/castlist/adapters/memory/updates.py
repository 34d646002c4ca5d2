"""What an update does to a document: the part of MongoDB's language that `ports.Documents` names."""

from collections.abc import Callable
from typing import Any

from castlist.adapters.memory.filters import matches
from castlist.adapters.memory.stored_values import copied, stored
from castlist.ports.documents import Change, Document, Where


def changed(document: Document, change: Change, *, inserting: bool = False) -> Document:
    """`document` after `change`. ValueError for an operator that the port does not have."""
    result: Document = copied(document)
    for operator, fields in change.items():
        if operator == "$setOnInsert" and not inserting:
            continue
        if operator not in _OPERATORS:
            raise ValueError(f"the port has no {operator}")
        for path, operand in fields.items():
            parent, name = _parent(result, path, create=operator not in ("$unset", "$pull"))
            if parent is not None:
                _OPERATORS[operator](parent, name, stored(operand))
    if result.get("_id") != document.get("_id"):
        raise ValueError("a document's _id does not change")
    return result


def founded(where: Where) -> Document:
    """What an upsert begins with: the fields that the filter says are equal to something."""
    begun: Document = {}
    for path, condition in where.items():
        if not path.startswith("$") and not (
            isinstance(condition, dict) and any(key.startswith("$") for key in condition)
        ):
            parent, name = _parent(begun, path, create=True)
            parent[name] = stored(condition)
    if "_id" not in begun:
        raise ValueError("an upsert says which _id it means")
    return begun


def _parent(document: Document, path: str, *, create: bool) -> tuple[Any, Any]:
    node: Any = document
    *steps, last = path.split(".")
    for step in steps:
        if isinstance(node, list):
            node = node[int(step)]
        elif step in node or create:
            node = node.setdefault(step, {})
        else:
            return None, last
    return node, int(last) if isinstance(node, list) else last


def _set(parent: Any, name: Any, value: Any) -> None:
    parent[name] = value


def _unset(parent: Any, name: Any, _: Any) -> None:
    parent.pop(name, None)


def _inc(parent: Any, name: Any, by: Any) -> None:
    parent[name] = stored(parent.get(name, 0) + by)


def _max(parent: Any, name: Any, value: Any) -> None:
    if name not in parent or parent[name] is None or value > parent[name]:
        parent[name] = value


def _min(parent: Any, name: Any, value: Any) -> None:
    if name not in parent or (parent[name] is not None and value < parent[name]):
        parent[name] = value


def _each(value: Any) -> list[Any]:
    return list(value["$each"]) if isinstance(value, dict) and "$each" in value else [value]


def _push(parent: Any, name: Any, value: Any) -> None:
    parent.setdefault(name, []).extend(_each(value))


def _add_to_set(parent: Any, name: Any, value: Any) -> None:
    there = parent.setdefault(name, [])
    for one in _each(value):
        if one not in there:
            there.append(one)


def _pull(parent: Any, name: Any, condition: Any) -> None:
    def goes(one: Any) -> bool:
        if isinstance(condition, dict) and not any(key.startswith("$") for key in condition):
            return isinstance(one, dict) and matches(one, condition)
        return matches({"it": one}, {"it": condition})

    if name in parent:
        parent[name] = [one for one in parent[name] if not goes(one)]


_OPERATORS: dict[str, Callable[[Any, Any, Any], None]] = {
    "$set": _set,
    "$setOnInsert": _set,
    "$unset": _unset,
    "$inc": _inc,
    "$max": _max,
    "$min": _min,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
}
