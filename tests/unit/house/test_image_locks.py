"""Each image has the packages that its service needs, and `deploy/locks/images` says what the lock says."""

import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from deploy.images.locks import BASE, COMPILED, FOLDER, ON_BASE, image_locks
from testkit.source import PACKAGES, imports, modules

SERVICE = {
    "ingest": "ingest.__main__",
    "profile-aggregator": "profile_aggregator.__main__",
    "query-api-search": "query_api.__main__",
    "frame-workers": "frame_workers.__main__",
}


def test_the_files_are_what_the_lock_and_the_packages_come_to() -> None:
    """`make lock` writes them anew."""
    assert {path: path.read_text() for path in sorted(FOLDER.iterdir())} == image_locks()


@pytest.mark.parametrize("image", SERVICE)
def test_what_a_service_imports_is_in_its_image(image: str) -> None:
    """Everything that is loaded with it, over all modules of ours."""
    there = packages_of(image) | (packages_of(BASE) | COMPILED if image in ON_BASE else set())
    provided = packages_distributions()
    loaded = {name for module in loaded_with(SERVICE[image]) for name in imports(module)}
    others = {name.partition(".")[0] for name in loaded} - set(PACKAGES) - sys.stdlib_module_names
    assert len(others) > 5
    for name in others:
        assert {canonicalize_name(one) for one in provided[name]} & there, f"{image} lacks {name}"


def packages_of(image: str) -> set[str]:
    """The names in its file."""
    lines = (FOLDER / f"{image}.txt").read_text().splitlines()
    return {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}


def loaded_with(first: str) -> Iterator[str]:
    """A module, and all of ours that it leads to; what is imported for its packages too."""
    open_ends, seen = [first], set[str]()
    while open_ends:
        module = open_ends.pop()
        if module in seen or module not in modules():
            continue
        seen.add(module)
        yield module
        steps = module.split(".")
        open_ends += [*imports(module), *(".".join(steps[:count]) for count in range(1, len(steps)))]
