"""The operations of ingest."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from castlist.contract.ids import event_id, uploaded_video_id
from castlist.ports.documents import Document, Documents
from castlist.ports.errors import ObjectMissing, Unavailable
from castlist.ports.objects import Objects
from castlist.service.metrics import UPLOADS
from castlist.service.operations import Answer, NoQuery, Operation, problem
from castlist.service.problems import FieldError, Problem
from castlist.store.collections import TASKS
from ingest.acceptance import Acceptance, Accepted
from ingest.announcer import Announcer
from ingest.multipart_form import Form
from ingest.settings import Settings
from ingest.upload_stream import Uploads
from ingest.video_details import Announcement, Details, TaskCancelled, VideoAccepted, clean_name, valid

_JSON_LIMIT = 64 * 1024
_DRAINED = 64 * 1024 * 1024
_FORM_AROUND_FILE = 1024 * 1024


@dataclass(frozen=True)
class Ingest:
    """What the endpoints work with."""

    settings: Settings
    documents: Documents
    objects: Objects
    uploads: Uploads
    acceptance: Acceptance
    announcer: Announcer

    # --- POST /videos -------------------------------------------------------------------------------------------------

    async def post_video(self, request: Request, _: NoQuery) -> Response:
        """Either an upload or the announcement of an object."""
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        try:
            if kind == "multipart/form-data":
                accepted = await self._upload(request)
            elif kind == "application/json":
                accepted = await self._announce(request)
            else:
                raise Problem(415, "Send multipart/form-data with a file, or application/json with an object.")
        except Problem as refused:
            UPLOADS.labels("refused").inc()
            await _drain(request)
            return refused.response()
        except Unavailable:
            UPLOADS.labels("unavailable").inc()
            await _drain(request)
            raise
        except asyncio.CancelledError:  # a shutdown does that to requests that take long
            UPLOADS.labels("unavailable").inc()
            raise Unavailable("ingest is about to stop") from None
        except ClientDisconnect:
            UPLOADS.labels("disconnected").inc()
            return Response(status_code=400)
        UPLOADS.labels("duplicate" if accepted.duplicate else "accepted").inc()
        return self._answer(accepted)

    async def _upload(self, request: Request) -> Accepted:
        most = self.settings.max_upload_bytes
        if int(request.headers.get("content-length", 0)) > most + _FORM_AROUND_FILE:
            raise Problem(413, f"The file is larger than {most} bytes.")
        body = _patiently(request.stream(), self.settings.upload_idle_seconds)
        form = Form(request.headers["content-type"], body)
        received = await self.uploads.receive(form.file_chunks())
        key, details = received.object.key, form.details
        await self.uploads.meant_for(key, uploaded_video_id(details.gallery, received.sha256))
        accepted = await self.acceptance.uploaded(received, self.settings.s3_bucket, details)
        await self.uploads.settle(key, kept=accepted.video["object"]["key"] == key)
        return accepted

    async def _announce(self, request: Request) -> Accepted:
        body = b""
        async for chunk in _patiently(request.stream(), self.settings.upload_idle_seconds):
            body += chunk
            if len(body) > _JSON_LIMIT:
                raise Problem(413, "The body is too large.")
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Problem(400, f"The body is not JSON: {error}") from None
        told = valid(Announcement, given)
        try:
            info = await self.objects.head(told.object.key, bucket=told.object.bucket)
        except ObjectMissing:
            missing = FieldError(field="object", message="there is no such object in S3")
            raise Problem(422, "The object is not there.", errors=[missing]) from None
        if told.name is None:
            told = told.model_copy(update={"name": clean_name(told.object.key)})
        return await self.acceptance.announced(told.object.bucket, info, told, told.video_id)

    def _answer(self, accepted: Accepted) -> Response:
        video, task = accepted.video, accepted.task
        body = VideoAccepted(
            video_id=video["_id"],
            task_id=task["_id"],
            gallery=video["gallery"],
            name=video["name"],
            bytes=video["bytes"],
            sha256=video["sha256"],
            status=task["status"],
            duplicate=accepted.duplicate,
        )
        self.announcer.tell(event_id("VideoUploaded", video["_id"], task["epoch"]))
        location = f"{self.settings.public_query_url}/tasks/{task['_id']}"
        return JSONResponse(body.model_dump(mode="json"), 202 if accepted.created else 200, {"Location": location})

    # --- tasks --------------------------------------------------------------------------------------------------------

    async def cancel_task(self, request: Request, _: NoQuery) -> Response:
        """Stop the work on a task."""
        task, event = await self.acceptance.cancel(await self._task(request))
        self.announcer.tell(event.event_id)
        return JSONResponse(
            TaskCancelled(id=task["_id"], video_id=task["video_id"], status="cancelled").model_dump(), 202
        )

    async def retry_task(self, request: Request, _: NoQuery) -> Response:
        """A new task after one that failed or was cancelled."""
        return self._answer(await self.acceptance.retry(await self._task(request)))

    async def get_task(self, request: Request, _: NoQuery) -> Response:
        """Tasks are shown by query-api."""
        return RedirectResponse(f"{self.settings.public_query_url}/tasks/{request.path_params['task_id']}", 307)

    async def _task(self, request: Request) -> Document:
        task = await self.documents.get(TASKS, request.path_params["task_id"])
        if task is None:
            raise Problem(404, "There is no such task.")
        return task

    # --- the list -----------------------------------------------------------------------------------------------------

    def operations(self) -> list[Operation]:
        """What ingest answers to."""
        refused = {
            400: problem("The body cannot be read."),
            408: problem("The body paused for too long."),
            409: problem("The id stands for another object or gallery."),
            413: problem("Larger than this installation takes."),
            415: problem("Not a video, by its first bytes."),
            422: problem("A field is missing, unknown or not valid."),
            503: problem("S3 or MongoDB is away; try again after Retry-After."),
        }
        accepted = {
            202: Answer("Accepted: the object is in S3, its event is on its way.", VideoAccepted),
            200: Answer("The same video as before, with its latest task.", VideoAccepted),
        }
        gone = {404: problem("No such task.")}
        return [
            Operation(
                "POST",
                "/videos",
                self.post_video,
                "Upload a video, or announce one that is in S3",
                accepted | refused,
                body={"multipart/form-data": _form_schema(), "application/json": Announcement},
            ),
            Operation(
                "POST",
                "/tasks/{task_id}/cancel",
                self.cancel_task,
                "Stop the work on a task",
                {202: Answer("It is cancelled.", TaskCancelled), 409: problem("It is done or failed."), **gone},
            ),
            Operation(
                "POST",
                "/tasks/{task_id}/retry",
                self.retry_task,
                "Run a failed or cancelled task's video again",
                accepted | {409: problem("It is done."), **gone},
            ),
            Operation(
                "GET",
                "/tasks/{task_id}",
                self.get_task,
                "A task, at query-api",
                {307: Answer("Where query-api shows it.")},
            ),
        ]


async def _patiently(body: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """`body`, unless it pauses for so long; what we take to store its chunks does not count."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(body, None)
        except TimeoutError:
            raise Problem(408, f"Nothing came for {seconds:g} s.") from None
        if chunk is None:
            return
        yield chunk


def _form_schema() -> dict[str, object]:
    schema = Details.model_json_schema()
    properties = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    return {"type": "object", "required": ["file"], "properties": properties, "additionalProperties": False}


async def _drain(request: Request) -> None:
    """Read on for a while, so that a client that is still sending gets to see the answer."""
    with contextlib.suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(5):
            left = _DRAINED
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
