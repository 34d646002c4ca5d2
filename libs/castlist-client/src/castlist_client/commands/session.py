"""What all commands of the command line have in common: where the services are, --json, and how a command ends."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from castlist_client.addresses import ingest_url, query_url, settings
from castlist_client.client import Client, ClientError, NotFoundError, RequestRefusedError, UnreachableError
from castlist_client.display.formatting import printable

OK, FAILED, USAGE, UNREACHABLE, CANCELLED, INTERRUPTED = 0, 1, 2, 3, 4, 130
_WIDTH_OF_A_PIPE = 160
_PATIENCE = 5.0
_OF_STATUS = {"failed": FAILED, "refused": FAILED, "cancelled": CANCELLED}

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
Body = Callable[..., Coroutine[Any, Any, int]]


@dataclass(frozen=True)
class Session:
    """What the options common to all commands say."""

    ingest: str | None = None
    query: str | None = None
    key: str | None = None
    patience: float | None = None
    json: bool = False

    @property
    def progress(self) -> Console:
        """For everything that is not the result."""
        return Console(stderr=True, highlight=False)

    def client(self) -> Client:
        """On the named services, or those of this machine's settings."""
        given = settings()
        patience = _PATIENCE if self.patience is None else self.patience
        return Client(self.ingest or ingest_url(given), self.query or query_url(given), key=self.key, patience=patience)

    def show(self, document: Any, text: str | Table | None = None) -> None:
        """The result: `document` under --json, else `text`."""
        if self.json:
            # In ASCII: any terminal has it, and a path keeps bytes that are no letters.
            click.echo(json.dumps(document, indent=1))
        elif isinstance(text, str):
            click.echo(text)
        elif text is not None:
            Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE).print(text)


def exit_code(statuses: list[str]) -> int:
    """The worst of them: failed before cancelled before all well."""
    codes = {_OF_STATUS.get(status, OK) for status in statuses}
    return next((code for code in (FAILED, CANCELLED) if code in codes), OK)


def connection(environment: bool) -> Option:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        def names(variable: str) -> str | None:
            return variable if environment else None

        for option in (
            click.option("--json", is_flag=True, help="One JSON document on stdout."),
            click.option(
                "--patience",
                type=click.FloatRange(min=0),
                metavar="SECONDS",
                help="Wait for a service that is away.  [5]",
            ),
            click.option("--key", envvar=names("CASTLIST_API_KEY"), help="API key.  [env: CASTLIST_API_KEY]"),
            click.option("--query", envvar=names("QUERY_URL"), metavar="URL", help="query-api.  [env: QUERY_URL]"),
            click.option("--ingest", envvar=names("INGEST_URL"), metavar="URL", help="ingest.  [env: INGEST_URL]"),
        ):
            command = option(command)
        return command

    return add


def command_of(group: click.Group | None) -> Callable[[Body], click.Command]:
    """Make commands, of a group or to be added to one, out of coroutines that return the exit code; the common options
    may follow their names too."""

    def command(body: Body) -> click.Command:
        @wraps(body)
        def run(**options: Any) -> None:
            common = {field.name: options.pop(field.name) for field in fields(Session)}
            given = {name: value for name, value in common.items() if value is not None and value is not False}
            session = replace(click.get_current_context().obj, **given)
            sys.exit(_run(session, body(session, **options)))

        make = click.command if group is None else group.command
        return make(body.__name__.rstrip("_").replace("_", "-"))(connection(environment=False)(run))

    return command


def _run(session: Session, body: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(body)
    except KeyboardInterrupt:
        return _wrong(session, INTERRUPTED, "interrupted")
    except UnreachableError as error:
        return _wrong(session, UNREACHABLE, str(error))
    except RequestRefusedError as error:
        usage = isinstance(error, NotFoundError) or error.status in (401, 403, 422)
        return _wrong(session, USAGE if usage else FAILED, str(error), status=error.status, type=error.type)
    except (ClientError, ValidationError) as error:
        return _wrong(session, FAILED, str(error))
    except OSError as error:
        return _wrong(session, USAGE, str(error))


def _wrong(session: Session, code: int, message: str, **more: Any) -> int:
    if session.json:
        session.show({"error": {"message": message, **more}})
    else:
        session.progress.print(printable(message), style="red", markup=False)
    return code
