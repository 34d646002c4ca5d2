"""Who may import what: the walls between libraries, services and rooms."""

import ast
import sys
from collections.abc import Iterator

import pytest

from testkit.source import LIBRARIES, PACKAGES, SERVICES, circles, imports, modules, tree

# What each of our packages may import of the others.
MAY_IMPORT: dict[str, set[str]] = {
    "castlist": set(),
    "castlist_client": {"castlist"},
    "castlist_vision": {"castlist"},
    "castlist_identity": {"castlist"},
    "ingest": {"castlist"},
    "frame_workers": {"castlist", "castlist_vision"},
    "profile_aggregator": {"castlist", "castlist_identity"},
    "query_api": {"castlist", "castlist_vision", "castlist_identity"},
    "deploy": set(),
}
# Which module or package of ours may know a library that speaks to a server.
ADAPTER_OF = {
    "motor": "castlist.adapters.mongo",
    "pymongo": "castlist.adapters.mongo",
    "bson": "castlist.adapters.mongo",
    "aiobotocore": "castlist.adapters.s3",
    "botocore": "castlist.adapters.s3",
    "aiokafka": "castlist.adapters.kafka",
    "aiohttp": "castlist.adapters",
    "faust": "profile_aggregator.stream.faust_app",
}
ADAPTERS = {
    "castlist.adapters.mongo.connect",
    "castlist.adapters.mongo.MongoDocuments",
    "castlist.adapters.s3.connect",
    "castlist.adapters.s3.S3Objects",
    "castlist.adapters.kafka.publisher.KafkaPublisher",
    "castlist.adapters.kafka.observer.KafkaObserver",
    "castlist.adapters.kafka.subscription.subscribe",
    "castlist.adapters.kafka.subscription.listen",
    "castlist.adapters.web_calls.AiohttpCalls",
}
# Rooms whose modules reach no server, process, thread, clock or chance.
PURE_ROOMS = (
    "castlist.contract",
    "castlist.media",
    "castlist.api",
    "castlist.ports",
    "castlist.store",
    "castlist.tasks",
    "castlist_vision",
    "castlist_identity",
    "castlist_client.display.formatting",
    "frame_workers.handlers.chunk_events",
    "castlist.children.messages",
    "frame_workers.slots.protocol",
    "profile_aggregator.videos.completion",
    "profile_aggregator.videos.conversions",
    "profile_aggregator.commits.commit_documents",
    "profile_aggregator.corrections.corrections",
    "profile_aggregator.corrections.undoing",
    "query_api.http.cursors",
    "query_api.http.ranges",
)
# Servers, processes, threads, clocks and chance.
IMPURE = {
    *ADAPTER_OF,
    *("asyncio", "concurrent", "ctypes", "fcntl", "httpx", "httpx2", "mode", "multiprocessing", "psutil"),
    *("random", "requests", "secrets", "signal", "socket", "subprocess", "threading", "time", "urllib", "uvicorn"),
}
# Rooms of identity, and which each may import: what is further down knows nothing of what is built on it.
IDENTITY_ROOMS = {
    "clustering": {"domain"},
    "videos": {"domain", "clustering"},
    "nearest": {"domain", "clustering"},
    "matching": {"domain", "clustering", "nearest"},
    "decisions": {"domain"},
    "galleries": {"domain", "clustering", "nearest", "matching", "decisions"},
    "search": {"domain", "nearest", "matching"},
}
# The base of castlist is importable with pydantic alone; `vectors` is the extra of that name.
BASE_ROOMS = ("castlist.contract", "castlist.media", "castlist.api", "castlist.ports")
EXTRA = {"castlist.contract.vectors": {"numpy"}}
# The client's part of castlist.
CLIENT_MAY_KNOW = ("castlist.contract", "castlist.media", "castlist.api", "castlist.retry")


def _in_room(room: str) -> list[str]:
    return [name for name in modules() if name == room or name.startswith(f"{room}.")]


def _package(module: str) -> str:
    return module.split(".")[0]


def _libraries(module: str) -> set[str]:
    """What it imports that is not ours."""
    return {_package(name) for name in imports(module)} - set(PACKAGES)


def _reached(module: str) -> set[str]:
    """Every module of ours that importing this one loads, itself and the packages on the way among them."""
    reached, ahead = set[str](), [module]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += [found for found in imports(name) if found in modules()]
            parts = name.split(".")
            ahead += [".".join(parts[:n]) for n in range(1, len(parts))]
    return reached


def test_every_package_was_looked_at() -> None:
    """The rules below hold for something: each package has modules, and what they import was seen."""
    assert {f"{service}.app" for service in SERVICES} <= set(modules())
    assert {_package(name) for name in modules()} == set(PACKAGES) == set(MAY_IMPORT)
    assert "castlist.contract.events" in imports("castlist.contract.topics")


@pytest.mark.parametrize("package", PACKAGES)
def test_services_import_libraries_and_never_each_other(package: str) -> None:
    """What two services share is in a library; no library knows a service, and `deploy` knows none of them."""
    for module in modules():
        if _package(module) == package:
            ours = {name for name in imports(module) if _package(name) in PACKAGES}
            absent = ours - set(modules())
            assert not absent, f"{module} imports {absent}, which is not there"
            strangers = {name for name in ours if _package(name) not in {package, *MAY_IMPORT[package]}}
            assert not strangers, f"{module} imports {strangers}"


@pytest.mark.parametrize("room", IDENTITY_ROOMS)
def test_a_room_of_identity_knows_what_it_is_built_on_alone(room: str) -> None:
    """What is within a video knows no gallery, and how things cluster is known without either."""
    there = _in_room(f"castlist_identity.{room}")
    assert len(there) > 1
    for module in there:
        rooms = {name.split(".")[1] for name in imports(module) if name.startswith("castlist_identity.")}
        assert rooms <= {room, *IDENTITY_ROOMS[room]}, f"{module} imports {rooms}"


@pytest.mark.parametrize("library", ADAPTER_OF)
def test_a_servers_library_is_known_in_one_place(library: str) -> None:
    """Swapping a driver is a change of one module, or of one package. (`deploy` asks mongod for its set by itself.)"""
    users = {name for name in modules() if library in _libraries(name)} - {"deploy.servers.mongod"}
    assert users
    assert users <= set(_in_room(ADAPTER_OF[library]))


def test_pure_rooms_are_there() -> None:
    """A room that was renamed does not escape its rule."""
    assert all(_in_room(room) for room in PURE_ROOMS)


@pytest.mark.parametrize("module", [module for room in PURE_ROOMS for module in _in_room(room)])
def test_pure_rooms_reach_no_server_process_or_clock(module: str) -> None:
    """Neither themselves nor through anything of ours that they import; time is their callers' business."""
    impure = {f"{name} imports {library}" for name in _reached(module) for library in _libraries(name) & IMPURE}
    assert not impure, f"{module} reaches: {sorted(impure)}"


@pytest.mark.parametrize("module", [module for room in BASE_ROOMS for module in _in_room(room)])
def test_the_base_of_castlist_needs_pydantic_alone(module: str) -> None:
    """The contract, the resources and the ports can be used without installing a driver or numpy."""
    needed = {library for name in _reached(module) for library in _libraries(name)} - set(sys.stdlib_module_names)
    assert needed <= {"pydantic", "annotated_types", *EXTRA.get(module, set())}


def test_the_client_knows_the_contract_and_no_driver() -> None:
    """Whoever installs the client gets none of the servers' libraries."""
    for module in _in_room("castlist_client"):
        ours = {name for name in imports(module) if _package(name) == "castlist"}
        assert all(name.startswith(CLIENT_MAY_KNOW) for name in ours), f"{module} imports {ours}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Neither at the top nor later, inside a function: each module can be read without the ones that use it."""
    links = {name: frozenset(imports(name) & set(modules())) - {name} for name in modules()}
    assert circles(links) == []


def test_only_apps_construct_adapters() -> None:
    """A service's app.py says what it speaks to; everything else gets ports. `castlist.admin` prepares the servers."""
    adapters = {name for room in ADAPTER_OF.values() for name in _in_room(room)}
    found = {
        module for module in modules() if module not in adapters
        for name in _called(tree(module)) if name in ADAPTERS
    }  # fmt: skip
    assert found == {*(f"{service}.app" for service in SERVICES), "castlist.admin"}


def _called(source: ast.Module) -> Iterator[str]:
    """The full names of what is called, as far as imports tell."""
    known: dict[str, str] = {}
    for node in ast.walk(source):
        if isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(source):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            yield f"{known.get(first, first)}{'.' if rest else ''}{rest}"


def test_libraries_hold_no_service() -> None:
    """A library's folder holds one package, which its name says."""
    assert {_package(name) for name, path in modules().items() if "libs" in path.parts} == set(LIBRARIES)
