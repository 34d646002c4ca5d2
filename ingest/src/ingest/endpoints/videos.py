"""Putting videos in: uploaded, or announced where they are in S3 already."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from castlist.api.problems import ProblemField
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import ObjectMissingError, UnavailableError
from castlist.ports.objects import Objects
from castlist.service.metrics import UPLOADS
from castlist.service.operations import operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, drain, patiently, read_body
from ingest.acceptance import Acceptance, Accepted
from ingest.endpoints.answering import ACCEPTED, video_accepted
from ingest.multipart_form import Form
from ingest.settings import Settings
from ingest.upload_stream import Uploads
from ingest.video_details import Announcement, Details, clean_name, valid

_FORM_AROUND_FILE = 1024 * 1024
_REFUSED = {
    400: problem("The body cannot be read."),
    408: problem("The body paused for too long."),
    409: problem("The id stands for another object or gallery."),
    413: problem("The file is larger than this installation takes."),
    415: problem("The file is not a video, by its first bytes."),
    422: problem("A field is missing, unknown or not valid."),
    503: problem("S3 or MongoDB is away; try again after Retry-After."),
}


def _form_schema() -> dict[str, Any]:
    schema = Details.model_json_schema()
    properties = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    return {
        "type": "object",
        "required": ["file"],
        "properties": properties,
        "additionalProperties": False,
        "example": {"file": "(the bytes of lobby.mp4)", "gallery": "newsroom"},
    }


@dataclass(frozen=True)
class Videos:
    """/videos"""

    settings: Settings
    objects: Objects
    uploads: Uploads
    acceptance: Acceptance
    relay: OutboxRelay

    @operation(
        "POST",
        "/videos",
        tag="videos",
        summary="Upload a video, or announce one that is in S3",
        replies={**ACCEPTED, **_REFUSED},
        body={"multipart/form-data": _form_schema(), "application/json": Announcement},
    )
    async def post_video(self, request: Request, _: NoQuery) -> Response:
        """Put a video in. The answer comes when its object is in S3 and its task is recorded; the work on it follows.

        The same bytes in the same gallery are the same video, also when two arrive at once; `again` starts a new task
        on it, as does an upload whose latest task failed or was cancelled.
        """
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
            await drain(request)
            return refused.response()
        except UnavailableError:
            UPLOADS.labels("unavailable").inc()
            await drain(request)
            raise
        except asyncio.CancelledError:  # a shutdown does that to requests that take long
            UPLOADS.labels("unavailable").inc()
            raise UnavailableError("ingest is about to stop") from None
        except ClientDisconnect:
            UPLOADS.labels("disconnected").inc()
            return Response(status_code=400)
        UPLOADS.labels("duplicate" if accepted.duplicate else "accepted").inc()
        self.relay.wake()
        return video_accepted(accepted, self.settings.public_query_url)

    async def _upload(self, request: Request) -> Accepted:
        most = self.settings.max_upload_bytes
        if int(request.headers.get("content-length", 0)) > most + _FORM_AROUND_FILE:
            raise Problem(413, f"The file is larger than {most} bytes.")
        body = patiently(request.stream(), self.settings.upload_idle_seconds)
        form = Form(request.headers["content-type"], body)
        received = await self.uploads.receive(form.file_chunks())
        # Where this fails only the sweep may remove the object: whether its transaction was committed may be unknown.
        accepted = await self.acceptance.uploaded(received, self.settings.bucket, form.details)
        if accepted.video.object.key != received.object.key:
            await self.uploads.discard(received.object.key)
        return accepted

    async def _announce(self, request: Request) -> Accepted:
        try:
            given = json.loads(await read_body(request))
        except (ValueError, RecursionError) as error:
            raise Problem(400, f"The body is not JSON: {error}") from None
        announced = valid(Announcement, given)
        bucket, key = announced.object.bucket, announced.object.key
        if not self.settings.announceable.announceable(bucket, key):
            refusal = self.settings.announceable.refusal(bucket)
            raise Problem(422, refusal, errors=[ProblemField(field="object", message="may not be announced")])
        try:
            info = await self.objects.head(key, bucket=bucket)
        except ObjectMissingError:
            missing = ProblemField(field="object", message="there is no such object in S3")
            raise Problem(422, "The object is not there.", errors=[missing]) from None
        if announced.name is None:
            announced = announced.model_copy(update={"name": clean_name(key)})
        return await self.acceptance.announced(bucket, info, announced, announced.video_id)
