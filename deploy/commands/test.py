"""`test`: style, types, and every test on a fresh stack of its own."""

import os
import shutil
import subprocess
import sys
import time

from deploy.commands.up import prepare
from deploy.config import ROOT, Config
from deploy.environment import MEMBERS
from deploy.supervision.background import bound, ended_by_sigterm, settings_of, temporary_stack

TYPED = [*(f"{member}/src" for member in MEMBERS), "deploy", "docs", "tests"]
STATIC = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy", *TYPED],
    "mypy bench": ["mypy", "bench"],  # by itself: its modules are named like packages of ours
}


def test(config: Config, faults: bool, arguments: list[str]) -> int:
    """Run the checks; 0 only when all of them pass.

    With `arguments` pytest alone runs, with them. `faults`: its long tests of kills and outages too.
    """
    prepare(config)
    failed = []
    if not arguments:
        failed = [name for name, words in STATIC.items() if _run(name, words, {})]
    # A stack that the environment points to is not for tests that kill and delete.
    for name in ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "QUERY_URL"):
        os.environ.pop(name, None)
    own = config.without_given_servers()
    os.environ["WORKERS"] = "2"
    with ended_by_sigterm(), temporary_stack(own, "test") as stack:
        env = {
            **settings_of(stack),
            "CASTLIST_TEST_STACK": "1",
            "CASTLIST_TEST_HOME": str(stack.home),
            **({"CASTLIST_FAULTS": "1"} if faults else {}),
        }
        if _run("pytest", ["pytest", *arguments], env):
            failed.append("pytest")
            logs = config.home / "test-logs"
            shutil.rmtree(logs, ignore_errors=True)
            shutil.copytree(stack.home / "logs", logs)
            print(f"the stack's logs are in {logs}", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, words: list[str], env: dict[str, str]) -> int:
    started = time.monotonic()
    print(f"── {name}", flush=True)
    running = subprocess.Popen(bound([sys.executable, "-m", *words]), cwd=ROOT, env={**os.environ, **env})
    try:
        code = running.wait()
    except KeyboardInterrupt:
        # Ctrl-C has reached it as well; it gets the time to clean up.
        running.terminate()
        running.wait()
        raise
    print(
        f"── {name}: {'passed' if code == 0 else f'failed ({code})'} in {time.monotonic() - started:.0f} s", flush=True
    )
    return code
