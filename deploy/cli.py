"""The commands of `python3 deploy` and their options."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from deploy.config import Config, load_config, load_dotenv
from deploy.errors import DeployError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 it could not be done (one line says why), 2 wrong usage, 130 Ctrl-C."""
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    if rest and given.command != "test":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    given.rest = rest
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        load_dotenv()
        return _run(given)
    except DeployError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _run(given: argparse.Namespace) -> int:
    # Commands are imported when they are asked for: below .venv some of what they import is not there yet.
    config = load_config()
    from deploy.commands import down, logs, status, up

    if getattr(given, "workers", None):
        os.environ["WORKERS"] = str(given.workers)

    docker = getattr(given, "docker", False)
    if docker and given.command not in ("demo", "test"):
        return _run_docker(config, given)
    match given.command:
        case "down":
            return down.down(config)
        case "status":
            return status.status(config, given.json)
        case "logs":
            return logs.logs(config, given.name, given.follow, given.lines)
        case "fetch":
            up.prepare(config)
            return 0
        case "demo":
            from deploy.commands import demo

            return demo.demo(config, given.keep, docker)
        case "test":
            from deploy.commands import test

            return test.test_containers(config, given.rest) if docker else test.test(config, given.faults, given.rest)
        case _:
            return up.up(config, given.detach, given.servers_only)


def _run_docker(config: Config, given: argparse.Namespace) -> int:
    from deploy.commands import docker

    match given.command:
        case "down":
            return docker.down(config)
        case "status":
            return docker.status(config, given.json)
        case "logs":
            return docker.logs(config, given.name, given.follow, given.lines)
        case _:
            return docker.up(config, given.detach)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 deploy", description="Castlist's local stack.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _up_options(parser)
    up = commands.add_parser("up", help="bring the stack up (the default)", argument_default=argparse.SUPPRESS)
    _up_options(up)  # without defaults: they would undo what is given before `up`
    commands.add_parser("fetch", help="have everything here that a stack needs, without starting one")
    down = commands.add_parser("down", help="stop the stack")
    status = commands.add_parser("status", help="say what runs")
    status.add_argument("--json", action="store_true")
    logs = commands.add_parser("logs", help="show the logs")
    logs.add_argument("name", nargs="?", help="of one process (default: of all)")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--lines", type=int, default=50)
    demo = commands.add_parser("demo", help="find the people in sample clips whose answer is known")
    demo.add_argument("--keep", action="store_true", help="leave the stack up afterwards")
    demo.add_argument("--workers", type=int, metavar="N", help="worker slots (default: one a core)")
    test = commands.add_parser(
        "test",
        help="check style and types, run the tests on a fresh stack; what else is given goes to pytest",
        allow_abbrev=False,
    )
    test.add_argument("--faults", action="store_true", help="the long tests of kills and outages too")
    for command in (down, status, logs, demo, test):
        command.add_argument("--docker", action="store_true", help="of the containers")
    return parser


def _up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="return when the stack is ready")
    parser.add_argument("--workers", type=int, metavar="N", help="worker slots (default: one a core)")
    parser.add_argument("--docker", action="store_true", help="the compose file instead")
    parser.add_argument("--servers-only", action="store_true", help="Kafka, MongoDB and S3 without Castlist's services")
