"""Who may import what: the rules that keep the way of a video visible in the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("ingest", "frame_workers", "profile_aggregator", "query_api")
OURS = ("castlist", *SERVICES)
# Which module of ours may know a library that speaks to a server.
ADAPTER_OF = {
    "motor": "castlist.mongo",
    "pymongo": "castlist.mongo",
    "bson": "castlist.mongo",
    "aiobotocore": "castlist.s3",
    "botocore": "castlist.s3",
    "aiokafka": "castlist.kafka",
    "faust": "profile_aggregator.app",
}
ADAPTERS = {
    "castlist.mongo.connect",
    "castlist.mongo.MongoDocuments",
    "castlist.s3.connect",
    "castlist.s3.S3Objects",
    "castlist.kafka.KafkaPublisher",
    "castlist.kafka.subscribe",
    "castlist.kafka.listen",
}
PURE = {
    "castlist": "asyncapi codec events ids outbox ports schema tasks topics wording",
    "frame_workers": "best changes cnn crop cuts detect follow likeness picture plan track",
    "profile_aggregator": "appearances arrival calibration completion difference distance domain gallery identities "
    "linkage neighbours partition people suggestions together touched",
    "ingest": "sniff",
    "query_api": "schemas",
}
# Servers, processes, threads, clocks and chance.
IMPURE = {
    *ADAPTER_OF,
    *("aiohttp", "asyncio", "concurrent", "ctypes", "faust", "fcntl", "httpx", "mode", "multiprocessing", "random"),
    *("requests", "secrets", "signal", "socket", "subprocess", "threading", "time", "urllib", "uvicorn"),
}


def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package in OURS:
        for source in ROOT.glob(f"*/src/{package}"):
            for path in source.rglob("*.py"):
                steps = [package, *path.relative_to(source).with_suffix("").parts]
                found[".".join(steps[:-1] if steps[-1] == "__init__" else steps)] = path
    return found


MODULES = _modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
PURE_MODULES = [f"{package}.{name}" for package, names in PURE.items() for name in names.split()]


def _imported(module: str, tree: ast.Module) -> Iterator[str]:
    """What a module imports: our modules by their full name, of others at least the first part of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


IMPORTS = {name: set(_imported(name, tree)) for name, tree in TREES.items()}


def _libraries(module: str) -> set[str]:
    return {name.split(".")[0] for name in IMPORTS[module]} - set(OURS)


def test_every_service_was_looked_at() -> None:
    """The rules below hold for something: each package has modules, and its app is one of them."""
    assert {f"{service}.app" for service in SERVICES} <= set(MODULES)
    assert "castlist.events" in IMPORTS["castlist.topics"]


@pytest.mark.parametrize("package", OURS)
def test_services_import_castlist_and_never_each_other(package: str) -> None:
    """What two services share is in castlist, which knows none of them."""
    allowed = {package, "castlist"}
    for module, imported in IMPORTS.items():
        if module.split(".")[0] == package:
            others = {name for name in imported if name.split(".")[0] in OURS} - set(MODULES)
            assert not others, f"{module} imports {others}, which is not there"
            strangers = {name for name in imported if name.split(".")[0] in set(OURS) - allowed}
            assert not strangers, f"{module} imports {strangers}"


@pytest.mark.parametrize("library", ADAPTER_OF)
def test_a_servers_library_is_known_to_one_module(library: str) -> None:
    """Swapping a driver is a change of one file."""
    assert {module for module in MODULES if library in _libraries(module)} == {ADAPTER_OF[library]}


@pytest.mark.parametrize("module", PURE_MODULES)
def test_pure_stages_reach_no_server_process_or_clock(module: str) -> None:
    """Neither themselves nor through anything of ours that they import; files and time are their callers' business."""
    reached, ahead = set[str](), [module]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += IMPORTS[name] & set(MODULES)
    impure = {f"{name} imports {library}" for name in reached for library in _libraries(name) & IMPURE}
    assert not impure, f"{module} reaches: {sorted(impure)}"


def test_only_apps_construct_adapters() -> None:
    """A service's app.py says what it speaks to; everything else gets ports. `castlist.admin` prepares the servers."""
    found = {
        module for module in MODULES if module not in ADAPTER_OF.values() or module.endswith(".app")
        for name in _called(TREES[module]) if name in ADAPTERS
    }  # fmt: skip
    assert found == {*(f"{service}.app" for service in SERVICES), "castlist.admin"}


def _called(tree: ast.Module) -> Iterator[str]:
    """The full names of what is called, as far as imports tell."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            yield f"{known.get(first, first)}{'.' if rest else ''}{rest}"
