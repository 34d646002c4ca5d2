"""The product's own source, as text: which modules there are and what each imports."""

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("castlist", "castlist_client", "castlist_vision", "castlist_identity")
SERVICES = ("ingest", "frame_workers", "profile_aggregator", "query_api")
PACKAGES = (*LIBRARIES, *SERVICES, "deploy")


@functools.cache
def modules() -> Mapping[str, Path]:
    """Every module of the product by its full name; a package is its `__init__`."""
    found: dict[str, Path] = {}
    sources = [source for source in (*ROOT.glob("*/src/*"), *ROOT.glob("libs/*/src/*")) if source.name in PACKAGES]
    for source in (*sources, ROOT / "deploy"):
        for path in source.rglob("*.py"):
            steps = [source.name, *path.relative_to(source).with_suffix("").parts]
            found[".".join(steps[:-1] if steps[-1] == "__init__" else steps)] = path
    return found


@functools.cache
def tree(module: str) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(modules()[module].read_text("utf-8"))


@functools.cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, wherever in it: ours by the module's full name, of others at least the first part."""
    return frozenset(_imported(tree(module), modules()))


def _imported(source: ast.Module, ours: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in ours else node.module


def circles(links: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Groups of two and more that reach each other (Tarjan's strongly connected components), each sorted."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in sorted(links[name]):
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(links):
        if name not in number:
            visit(name)
    return found
