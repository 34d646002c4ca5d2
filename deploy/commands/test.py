"""`test`: style, types, and every test on a fresh stack of its own, on each Python that is supported and here."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

from deploy.commands.docker import temporary_containers
from deploy.commands.pythons import SUPPORTED, find_python, running_version
from deploy.commands.up import prepare
from deploy.config import ROOT, Config
from deploy.environment import MEMBERS, ensure_environment, enter_environment
from deploy.supervision.background import bound, ended_by_sigterm, settings_of, temporary_stack

TYPED = [*(f"{member}/src" for member in MEMBERS), "deploy", "docs", "tests"]
STATIC = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy", *TYPED],
    "mypy bench": ["mypy", "bench"],  # by itself: its modules are named like packages of ours
}
# What runs at the same time: tests of the stack's own services, which kill them; those with services of their own; and
# those that need servers at most.
SERVICES = ["-m", "services", "tests"]
OWN_SERVICES = ["-m", "not services", "tests/integration"]
UNITS = ["tests/unit", "tests/contract", "tests/media"]
Lane = Callable[[int | None], list[str]]
_RUNNING: set["subprocess.Popen[bytes]"] = set()
_STOPPING = threading.Event()


def test(config: Config, faults: bool, arguments: list[str]) -> int:
    """Run the checks; 0 only when all of them pass.

    With `arguments` pytest alone runs, with them. `faults`: its long tests of kills and outages too.
    """
    prepare(config)
    failed = []
    if not arguments:
        failed = [name for name, words in STATIC.items() if _run(name, sys.executable, words, {})]
    # A stack that the environment points to is not for tests that kill and delete.
    for name in ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "QUERY_URL"):
        os.environ.pop(name, None)
    os.environ["WORKERS"] = "2"
    os.environ["WEBHOOK_NETWORKS"] = "127.0.0.1"
    with ended_by_sigterm(), temporary_stack(config.without_given_servers(), "test") as stack:
        failures = stack.home / "failed-tests"
        env = {
            **settings_of(stack),
            "CASTLIST_TEST_FAILED": str(failures),
            "CASTLIST_TEST_STACK": "1",
            "CASTLIST_TEST_HOME": str(stack.home),
            **({"CASTLIST_FAULTS": "1"} if faults else {}),
        }
        failed_tests = _all_tests(config, faults, env) if not arguments else _pytest(arguments, env)
        if failed_tests:
            failed += failed_tests
            logs = config.home / "test-logs"
            shutil.rmtree(logs, ignore_errors=True)
            shutil.copytree(stack.home / "logs", logs)
            print(f"the stack's logs are in {logs}", file=sys.stderr)
        if failures.exists():
            print(f"tests that failed:\n{failures.read_text()}", end="", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def test_containers(config: Config, arguments: list[str]) -> int:
    """The end-to-end tests that need no more than the two APIs, against containers of their own; 0 when all pass."""
    enter_environment(config)
    with ended_by_sigterm(), temporary_containers("test") as containers:
        env = {**containers.urls, "CASTLIST_TEST_APIS": "1"}
        return 1 if _pytest(arguments or ["tests/e2e"], env) else 0


def _all_tests(config: Config, faults: bool, env: dict[str, str]) -> list[str]:
    """All lanes at once, or one after the other where faults take the servers away; the names of what failed."""
    lanes: list[Lane] = [partial(_pytest, words, env) for words in (SERVICES, OWN_SERVICES, UNITS)]
    lanes.append(partial(_other_pythons, config, env))
    if faults:
        return [name for lane in lanes for name in lane(None)]
    first, *others = lanes
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(others)))
        running = [pool.submit(lane, stack.enter_context(_shown_afterwards())) for lane in others]
        try:
            return [*first(None), *(name for lane in running for name in lane.result())]
        except BaseException:
            _STOPPING.set()
            for process in list(_RUNNING):
                process.terminate()
            raise


def _other_pythons(config: Config, env: dict[str, str], output: int | None) -> list[str]:
    """A sample of the units on each other Python that is supported; those that are not here are named."""
    found = {version: find_python(version) for version in SUPPORTED if version != running_version()}
    if missing := [version for version, base in found.items() if base is None]:
        print(f"not on this machine, so not tested: Python {', '.join(missing)}", flush=True)
    failed = []
    for version, base in found.items():
        if base is not None:
            python = ensure_environment(config, config.home / "environments" / version, base)
            name, sample = f"pytest on Python {version}", {**env, "CASTLIST_TEST_SAMPLE": "1"}
            if _run(name, str(python), ["pytest", "-q", "tests/unit"], sample, output):
                failed.append(name)
    return failed


def _pytest(arguments: list[str], env: dict[str, str], output: int | None = None) -> list[str]:
    name = f"pytest {' '.join(arguments)}"
    return [name] if _run(name, sys.executable, ["pytest", *arguments], env, output) else []


@contextmanager
def _shown_afterwards() -> Iterator[int]:
    """Where output goes that is shown in the end."""
    with tempfile.TemporaryFile() as file:
        try:
            yield file.fileno()
        finally:
            file.seek(0)
            sys.stdout.flush()
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()


def _run(name: str, python: str, words: list[str], env: dict[str, str], output: int | None = None) -> int:
    if _STOPPING.is_set():
        return 1
    started = time.monotonic()
    _say(f"── {name}", output)
    running = subprocess.Popen(
        bound([python, "-m", *words]), cwd=ROOT, env={**os.environ, **env}, stdout=output, stderr=output
    )
    _RUNNING.add(running)
    try:
        code = running.wait()
    except KeyboardInterrupt:
        # Ctrl-C has reached it as well; it gets the time to clean up.
        running.terminate()
        running.wait()
        raise
    finally:
        _RUNNING.discard(running)
    verdict = "passed" if code == 0 else f"failed ({code})"
    _say(f"── {name}: {verdict} in {time.monotonic() - started:.0f} s", output)
    return code


def _say(line: str, output: int | None) -> None:
    print(line, flush=True)
    if output is not None:
        os.write(output, f"{line}\n".encode())
