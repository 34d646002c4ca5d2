"""Commands on a gallery: accepted here, carried out by the aggregator, answered once they are."""

import asyncio
import re
import uuid
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.change_history import ERASURES, Change
from castlist.clock import now_utc
from castlist.contract.errors import PermanentError
from castlist.contract.ids import derived
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.operations import Reply, problem
from castlist.service.problems import Problem, document_of
from castlist.store.records.change_history import ChangeRecord, CommandError
from castlist.store.store import Store
from castlist.tasks.commands import ERROR_STATUS, Command, stage
from castlist.tasks.galleries import GalleryGoingError
from query_api.http.rendering import Json, json_response, renderer
from query_api.record_changes import RecordChanges

PATIENCE = 5.0
"""Seconds in which most commands are carried out: so long the answer waits for it."""
COMMANDED = {
    200: Reply("It is done; the change says what became of it.", Change),
    202: Reply("It is accepted and takes longer: `GET /changes/{id}` follows it.", Change),
    409: problem("It contradicts another decision, which the answer names, or comes too late."),
    412: problem("The profile was changed since, by another decision."),
    422: problem("The body, or a field of it, is not valid, or the key was used for another request."),
}
_change = renderer(Change, "error")
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
_ETAG = re.compile(r'^(?:W/)?"(\d{1,15})(?:-[^"]*)?"$')


def change_view(change: ChangeRecord) -> Json:
    """A change as shown."""
    return _change(change, change.error and _problem(change.error))


def command_key(request: Request) -> str:
    """The id of the command that a request asks for: that of its `Idempotency-Key`, or a new one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return str(uuid.uuid4())
    if not _KEY.match(key):
        raise Problem(422, "An Idempotency-Key has up to 255 visible ASCII characters.")
    return derived("idempotency", key)


def asked_revision(request: Request) -> int | None:
    """The profile's revision that a request is about, by its `If-Match`; None where it is about any."""
    tag = request.headers.get("if-match", "*").strip()
    if tag == "*":
        return None
    if (match := _ETAG.match(tag)) is None:
        raise Problem(412, "If-Match is no ETag of this profile.")
    return int(match[1])


class CommandOutbox:
    """Where endpoints leave their commands."""

    def __init__(self, store: Store, relay: OutboxRelay, changes: RecordChanges, patience: float = PATIENCE) -> None:
        self._store, self._relay, self._changes, self._patience = store, relay, changes, patience

    async def accept(self, command: Command, request: Request) -> Response:
        """Journal the command, so that whatever becomes of Kafka it will have an outcome, and wait for that a while.

        Problem if it failed.
        """
        await self.journal(command)
        return await self.answer(command.event_id, request)

    async def journal(self, command: Command, uploads: Iterable[str] = ()) -> None:
        """Accept the command, and with it objects that were written for it. Problem 422 where its id is that of another
        one."""
        try:
            await stage(self._store, command, now_utc(), announce=True, uploads=uploads)
        except GalleryGoingError as going:
            raise Problem(409, f"{going}.") from None
        except PermanentError:
            raise Problem(422, "This Idempotency-Key was used for another request.") from None
        self._relay.wake()

    async def knows(self, id: str) -> bool:
        """Whether a command of this id was accepted."""
        return await self._store.changes.get(id) is not None

    async def answer(self, id: str, request: Request) -> Response:
        """What became of a command that was accepted, or that it is pending still: at once where the request prefers
        `respond-async` (RFC 7240)."""
        patience = 0.0 if "respond-async" in request.headers.get("prefer", "") else self._patience
        with self._changes.followed(id) as changed:
            change = await self._settled(id, changed, patience)
        answer = json_response(change_view(change), 200 if _is_done(change) else 202)
        if change.error is not None:
            error = change.error
            answer = Problem(_status(error), error.message, **_named(error), change=id).response()
        answer.headers["Location"] = f"/changes/{id}"
        return answer

    async def _settled(self, id: str, changed: asyncio.Event, patience: float) -> ChangeRecord:
        """The change once it is applied or has failed, or as it is when patience ends."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            changed.clear()
            change = await self._store.changes.get(id)
            assert change is not None
            if _is_done(change):
                return change
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return change


def _is_done(change: ChangeRecord) -> bool:
    """Whether nothing more becomes of it: an erasure ends with its receipt."""
    if change.status == "applied" and change.kind in ERASURES:
        return change.receipt is not None
    return change.status != "pending"


def _problem(error: CommandError) -> Json:
    """As a request would have been answered that failed for this reason."""
    return document_of(_status(error), error.message) | _named(error)


def _status(error: CommandError) -> int:
    return ERROR_STATUS.get(error.code, 500)


def _named(error: CommandError) -> dict[str, Any]:
    return {"changes": list(error.changes)} if error.changes else {}
