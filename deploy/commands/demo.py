"""`demo`: the whole way on clips whose answer is known, from a stack that is not there yet to a contact sheet."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.commands.docker import Containers, temporary_containers
from deploy.commands.up import choose_ports, prepare, say
from deploy.config import Config
from deploy.environment import enter_environment
from deploy.errors import DeployError
from deploy.supervision.background import bound, ended_by_sigterm, launch, settings_of, temporary_stack
from deploy.supervision.home import Home
from deploy.supervision.state import stage_of
from deploy.supervision.supervisor import end_orphans

GALLERY = "demo"
SETTLING = 60.0
LABEL = 24


def demo(config: Config, keep: bool, docker: bool) -> int:
    """Show who is in the sample clips. 0 only when that is the right answer.

    `keep`: in the usual home on the usual ports, and it goes on running; otherwise nothing is left but the sheet.
    `docker`: in containers.
    """
    if docker:
        enter_environment(config)
    else:
        prepare(config)
    sheet = config.home / "demo.html"
    with ended_by_sigterm(), (_containers if docker else _stack)(config, keep) as urls:
        right = ask(config, urls, sheet)
        if keep:
            print(
                f"The stack goes on: upload at {urls['INGEST_URL']}, ask at {urls['QUERY_URL']}/docs; `down` stops it."
            )
    return 0 if right else 1


def ask(config: Config, urls: dict[str, str], sheet: Path) -> bool:
    """Put the clips through the stack at `urls`, show who is in them, and return whether that is right."""
    from deploy.commands.sample import (
        expected,
        make_clips,  # pictures and videos: below .venv only
    )

    _client(urls, "submit", "--gallery", GALLERY, "--watch", *map(str, make_clips(config.cache)))
    right = show(_settled_people(urls["QUERY_URL"]), expected())
    sheet.parent.mkdir(parents=True, exist_ok=True)
    _client(urls, "sheet", "--gallery", GALLERY, str(sheet), quiet=True)
    print(f"contact sheet: {sheet}")
    return right


def show(people: list[dict[str, Any]], expected: dict[str, set[str]]) -> bool:
    """Print who is where as a table, and return whether that is what the clips were made of.

    `people` are profiles as query-api gives them; a person is recognised by the clips they are in, each in others.
    """
    by_clips = {frozenset(clips): name for name, clips in expected.items()}
    rows = []
    for person in people:
        seconds = {appearance["video_name"]: appearance["seconds"] for appearance in person["appearances"]}
        rows.append((by_clips.get(frozenset(seconds), "not as in the clips"), seconds))
    clips = sorted({clip for where in expected.values() for clip in where})
    print(f"{'':<{LABEL}}" + "".join(f"{Path(clip).stem:>12}" for clip in clips))
    for name, seconds in sorted(rows, key=lambda row: row[0]):
        cells = (f"{seconds[clip]:.1f} s" if clip in seconds else "–" for clip in clips)
        print(f"{name:<{LABEL}}" + "".join(f"{cell:>12}" for cell in cells))
    right = sorted(name for name, _ in rows) == sorted(expected)
    print(f"right: {len(expected)} people, each in the clips they are in" if right else "wrong: the clips hold others")
    return right


@contextlib.contextmanager
def _stack(config: Config, keep: bool) -> Iterator[dict[str, str]]:
    """The settings that lead to a stack."""
    if not keep:
        with temporary_stack(config, "demo") as stack:
            yield settings_of(stack)
        return
    home = Home(config.home)
    if stage_of(home)[0] != "ready":
        home.make()
        home.lock().close()
        end_orphans(home)
        launch(choose_ports(config, home, say), home, [], left=True)
    yield settings_of(config)


@contextlib.contextmanager
def _containers(config: Config, keep: bool) -> Iterator[dict[str, str]]:
    """The same for containers."""
    if not keep:
        with temporary_containers("demo") as containers:
            yield containers.urls
        return
    kept = Containers(config.ports)
    kept.bring_up()
    yield kept.urls


def _client(urls: dict[str, str], *words: str, quiet: bool = False) -> None:
    """Run `castlist` on this stack. Raises `DeployError` with its last line when it fails."""
    command = [
        sys.executable,
        "-m",
        "castlist_client.cli",
        "--ingest",
        urls["INGEST_URL"],
        "--query",
        urls["QUERY_URL"],
    ]
    done = subprocess.run(bound([*command, *words]), stdin=subprocess.DEVNULL, text=True, capture_output=quiet)
    if done.returncode:
        lines = (done.stderr or "").strip().splitlines()
        raise DeployError(f"castlist {words[0]} failed: {lines[-1] if lines else 'its reason is above'}")


def _settled_people(query: str) -> list[dict[str, Any]]:
    """The gallery's profiles once nothing is pending in it any more."""
    until = time.monotonic() + SETTLING
    while not _get(f"{query}/galleries/{GALLERY}")["settled"]:
        if time.monotonic() > until:
            raise DeployError(f"the gallery did not settle within {SETTLING:.0f} s")
        time.sleep(0.1)
    profiles: list[dict[str, Any]] = _get(f"{query}/profiles?gallery={GALLERY}&limit=500")["items"]
    return profiles


def _get(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise DeployError(f"{url}: {error.code} {error.read(300).decode('utf-8', 'replace')}") from None
    except (OSError, ValueError) as error:
        raise DeployError(f"{url}: {error}") from None
