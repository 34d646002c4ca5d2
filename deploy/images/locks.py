"""`python -m deploy.images.locks`: which part of `requirements.lock` goes into which image, to `deploy/locks/images/`.

An image takes what its service asks for, all the way down, in the versions and with the hashes of the lock.
"""

import re
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.config import ROOT

FOLDER = ROOT / "deploy" / "locks" / "images"
BASE = "dlib"
"""The image below those that look at pictures: what it has they need not have again."""
IMAGES = {
    BASE: ("face-recognition", "face-recognition-models", "setuptools"),
    "ingest": ("castlist-ingest",),
    "profile-aggregator": ("castlist-profile-aggregator",),
    "query-api": ("castlist-query-api",),
    "query-api-search": ("castlist-query-api[search]",),
    "frame-workers": ("castlist-frame-workers",),
}
ON_BASE = ("query-api-search", "frame-workers")
COMPILED = {"dlib-bin"}
"""Wheels in whose place the base has what it compiled itself."""
_PYTHON = "3.11"
"""The images'."""
_SHARED = "# Written by `make lock`: the part of requirements.lock that goes into this image.\n"


def image_locks() -> dict[Path, str]:
    """What each file has to hold, from the lock and from what the installed packages ask for."""
    entries = _entries((ROOT / "requirements.lock").read_text())
    needed = {name: _needed(roots) & entries.keys() - COMPILED for name, roots in IMAGES.items()}
    for name in ON_BASE:
        needed[name] -= needed[BASE]
    return {
        FOLDER / f"{name}.txt": _SHARED + "".join(entries[package] for package in sorted(packages))
        for name, packages in needed.items()
    }


def _entries(lock: str) -> dict[str, str]:
    """Each package's lines; some have two versions, for different Pythons."""
    entries: dict[str, str] = {}
    for entry in re.findall(r"^\S.*?(?<!\\)\n", lock, re.MULTILINE | re.DOTALL):
        name = canonicalize_name(entry.partition("==")[0])
        entries[name] = entries.get(name, "") + entry
    return entries


def _needed(roots: tuple[str, ...]) -> set[str]:
    """The names of `roots`, and of all that they ask for on the images' Python."""
    open_ends, seen = [Requirement(root) for root in roots], set[tuple[str, frozenset[str]]]()
    while open_ends:
        asked = open_ends.pop()
        name, extras = canonicalize_name(asked.name), frozenset(asked.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        open_ends += [further for further in map(Requirement, _stated(name)) if _applies(further, extras)]
    return {name for name, _ in seen}


def _stated(name: str) -> Sequence[str]:
    """What an installed package asks for; the workspace's word on it goes before its own."""
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
    for told in workspace["dependency-metadata"]:
        if canonicalize_name(told["name"]) == name:
            return [str(one) for one in told["requires-dist"]]
    try:
        return requires(name) or ()
    except PackageNotFoundError:
        return ()


def _applies(asked: Requirement, extras: frozenset[str]) -> bool:
    python = {"python_version": _PYTHON, "python_full_version": f"{_PYTHON}.9"}
    return asked.marker is None or any(asked.marker.evaluate({**python, "extra": one}) for one in ("", *extras))


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in image_locks().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
