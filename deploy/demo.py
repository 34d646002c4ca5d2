"""`demo`: the whole way on clips whose answer is known, from a stack that is not there yet to a contact sheet."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.background import ended_by_sigterm, launch, temporary_stack
from deploy.config import ROOT, Config
from deploy.errors import DeployError
from deploy.home import Home
from deploy.stack import public_addresses
from deploy.state import stage_of
from deploy.supervisor import end_orphans
from deploy.up import prepare, require_ports

GALLERY = "demo"
PATIENCE = 240.0


def demo(config: Config, keep: bool) -> int:
    """Show who is in the sample clips. 0 only when that is the right answer.

    `keep`: in the usual home on the usual ports, and it goes on running; otherwise nothing is left but the sheet.
    """
    prepare(config)
    from deploy.sample import expected, make_clips

    clips = make_clips(config.cache)
    with ended_by_sigterm(), _stack(config, keep) as stack:
        urls = public_addresses(stack)
        tasks = {clip.name: _submit(urls["INGEST_URL"], clip) for clip in clips}
        _watch(urls["QUERY_URL"], tasks)
        people = _people(urls["QUERY_URL"])
        right = _show(people, expected())
        sheet = _sheet(stack, urls)
        if sheet:
            print(f"contact sheet: {sheet}")
        if keep:
            print(f"the stack goes on: upload at {urls['INGEST_URL']}, ask at {urls['QUERY_URL']}; `down` stops it")
    return 0 if right else 1


@contextlib.contextmanager
def _stack(config: Config, keep: bool) -> Iterator[Config]:
    if not keep:
        with temporary_stack(config, "demo") as stack:
            yield stack
        return
    home = Home(config.home)
    if stage_of(home)[0] != "ready":
        home.make()
        end_orphans(home)
        require_ports(config)
        launch(config, home, [], bound=False)
    yield config


def _submit(ingest: str, clip: Path) -> str:
    """Upload one clip; returns its task. The same clip again is answered with the task it had."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="gallery"\r\n\r\n{GALLERY}\r\n'.encode(),
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{clip.name}"\r\n'.encode(),
        b"Content-Type: video/mp4\r\n\r\n",
        clip.read_bytes(),
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    answer = _ask(f"{ingest}/videos", b"".join(parts), f"multipart/form-data; boundary={boundary}")
    return str(answer["task_id"])


def _watch(query: str, tasks: dict[str, str]) -> None:
    """Show the tasks' progress until all are done and the gallery has settled."""
    until = time.monotonic() + PATIENCE
    terminal = sys.stdout.isatty()
    shown = ""
    while True:
        states = {name: _ask(f"{query}/tasks/{task}") for name, task in tasks.items()}
        line = "  ".join(f"{Path(name).stem} {state['progress']:4.0%}" for name, state in states.items())
        if line != shown and terminal:
            print(f"\r{line}", end="", flush=True)
        shown = line
        wrong = [(name, state) for name, state in states.items() if state["status"] in ("failed", "cancelled")]
        if wrong:
            name, state = wrong[0]
            raise DeployError(f"{name}: {state['status']}: {(state['error'] or {}).get('message', 'no reason given')}")
        done = all(state["status"] == "done" for state in states.values())
        if done and _ask(f"{query}/galleries/{GALLERY}")["settled"]:
            print("" if terminal else line)
            return
        if time.monotonic() > until:
            raise DeployError(f"the sample was not done after {PATIENCE:.0f} s: {line}")
        time.sleep(0.2)


def _people(query: str) -> list[dict[str, Any]]:
    profiles: list[dict[str, Any]] = _ask(f"{query}/profiles?gallery={GALLERY}&limit=500")["items"]
    return profiles


def _show(people: list[dict[str, Any]], expected: dict[str, set[str]]) -> bool:
    """Print who is where as a table, and whether that is what the clips were made of."""
    found = [{appearance["video_name"] for appearance in person["appearances"]} for person in people]
    by_clips = {frozenset(clips): name for name, clips in expected.items()}
    names = [by_clips.get(frozenset(clips), "nobody of the sample") for clips in found]
    clips = sorted({clip for where in expected.values() for clip in where})
    print(f"{'person':<22}" + "".join(f"{Path(clip).stem:>12}" for clip in clips))
    for name, person in zip(names, people, strict=True):
        seconds = {appearance["video_name"]: appearance["seconds"] for appearance in person["appearances"]}
        cells = (f"{seconds[clip]:.1f} s" if clip in seconds else "–" for clip in clips)
        print(f"{name:<22}" + "".join(f"{cell:>12}" for cell in cells))
    right = sorted(names) == sorted(expected)
    print(
        f"right: {len(expected)} people, each in the clips they are in"
        if right
        else "wrong: that is not who is in them"
    )
    return right


def _sheet(stack: Config, urls: dict[str, str]) -> Path | None:
    """Have the client write the contact sheet; it stays when the stack goes."""
    out = (stack.cache if not stack.home.is_relative_to(ROOT) else stack.home) / "demo" / "sheet.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "castlist.cli", "--query", urls["QUERY_URL"], "sheet", "--gallery", GALLERY, str(out)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    return out if done.returncode == 0 else None


def _ask(url: str, body: bytes | None = None, kind: str = "application/json") -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": kind} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise DeployError(f"{url}: {error.code} {error.read(300).decode('utf-8', 'replace')}") from None
    except (OSError, ValueError) as error:
        raise DeployError(f"{url}: {error}") from None
