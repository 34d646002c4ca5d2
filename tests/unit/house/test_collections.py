"""The declarations of MongoDB's collections are true."""

import ast
import re
from collections.abc import Iterator

import pytest

from castlist.adapters.memory import MemoryDocuments
from castlist.store.collections import COLLECTIONS
from castlist.store.store import Store, Table
from testkit.source import SERVICES, modules, tree

BY_NAME = {collection.name: collection for collection in COLLECTIONS}
WRITES = {name for name in vars(Table) if name.startswith(("insert", "update", "upsert", "replace", "delete"))}


def uses(service: str) -> Iterator[tuple[str, str, str]]:
    """(module, collection, method) of each use of a table in a service's own modules."""
    for module in modules():
        if module.split(".")[0] == service:
            for node in ast.walk(tree(module)):
                match node:
                    case ast.Attribute(attr=method, value=ast.Attribute(attr=name, value=owner)) if (
                        name in BY_NAME and method in vars(Table) and _is_store(owner)
                    ):
                        yield module, name, method


def _is_store(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("store", "_store", "transaction")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_touches_what_it_is_declared_to_touch(service: str) -> None:
    """It writes what it owns or is named as a writer of, and reads nothing it is not named for."""
    who, found = service.replace("_", "-"), list(uses(service))
    assert found
    for module, name, method in found:
        declared = BY_NAME[name]
        writes = (declared.owner, *declared.writers)
        assert who in (writes if method in WRITES else (*writes, *declared.readers)), f"{module}: {name}.{method}"


def test_each_collection_has_a_table_and_each_table_a_collection() -> None:
    """Under the collection's name."""
    tables = {name for name, value in vars(Store(MemoryDocuments())).items() if isinstance(value, Table)}
    assert tables == BY_NAME.keys()
    assert len(BY_NAME) == len(COLLECTIONS)


def test_what_is_kept_for_days_is_removed_after_them() -> None:
    """By an index of MongoDB's, and what has one is declared to be."""
    for collection in COLLECTIONS:
        ends = {
            index.options["expireAfterSeconds"] for index in collection.indexes if "expireAfterSeconds" in index.options
        }
        assert ends == {int(days) * 24 * 3600 for days in re.findall(r"(\d+) days", collection.kept)}, collection.name
