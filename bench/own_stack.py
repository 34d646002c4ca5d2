"""A stack of a bench's own: fresh, in a home of its own on free ports, gone afterwards."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(ROOT), str(ROOT / "tests")]  # `deploy`, and what the tests use to make clips and look into topics

from deploy.config import load_config, read_dotenv  # noqa: E402
from deploy.errors import DeployError  # noqa: E402
from deploy.supervision.background import ended_by_sigterm, settings_of, temporary_stack  # noqa: E402
from deploy.supervision.home import Home  # noqa: E402
from testkit.running_stack import ADDRESSES, RunningStack  # noqa: E402

_ELSEWHERE = (*ADDRESSES, "S3_ACCESS_KEY", "S3_SECRET_KEY", "QUERY_URL")


@contextlib.contextmanager
def own_stack(purpose: str, workers: int) -> Iterator[RunningStack]:
    """A stack with so many slots while inside, named by the environment. Ctrl-C and SIGTERM end it.

    What its supervisor tells goes to stderr.

    Exits with 2, and the reason on stderr, where it cannot be started.
    """
    for name in _ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["WORKERS"] = str(workers)
    with ended_by_sigterm(), contextlib.ExitStack() as stack:
        try:
            config = load_config().without_given_servers()
            with contextlib.redirect_stdout(sys.stderr):
                running = stack.enter_context(temporary_stack(config, f"bench-{purpose}"))
        except DeployError as error:
            print(f"bench: a stack of its own cannot be started: {error}", file=sys.stderr)
            sys.exit(2)
        os.environ.update(read_dotenv(Home(running.home).env))
        yield RunningStack.of(running.home, settings_of(running))


@contextlib.contextmanager
def servers(purpose: str) -> Iterator[None]:
    """Kafka, MongoDB and S3 while inside, named by the environment: those it names already, or a stack of its own.

    `. .castlist/env` names those of a stack that runs.
    """
    missing = [name for name in ADDRESSES if not os.environ.get(name)]
    if not missing:
        yield
        return
    print(
        f"bench: {', '.join(missing)} not set: starting a stack of its own. To use one that runs "
        "(`python3 deploy up`), first `. .castlist/env`.",
        file=sys.stderr,
    )
    with own_stack(purpose, 1):
        yield
