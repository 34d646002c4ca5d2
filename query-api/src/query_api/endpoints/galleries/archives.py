"""A gallery taken along: out as one archive, and in again, here or elsewhere."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from castlist.api.problems import ProblemField
from castlist.archive.archive_format import MEDIA_TYPE
from castlist.clock import now_utc
from castlist.contract.commands import ImportGallery
from castlist.contract.ids import GALLERY_PATTERN
from castlist.contract.values import Bucket, ObjectKey
from castlist.ports.errors import ObjectMissingError
from castlist.ports.objects import Objects
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import FORM_SECONDS, NoQuery, Query, drain, parse_body, patiently
from castlist.tasks.commands import unfailed_id
from castlist.tasks.galleries import GalleryGoingError, ensure_gallery
from castlist.tasks.video_objects import AllowedObjects
from query_api.command_outbox import COMMANDED, CommandOutbox
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import INVALID, none
from query_api.export.archive_stream import ArchiveStream
from query_api.export.gallery_facts import Facts, GalleryFacts
from query_api.export.received_archives import ReceivedArchive, ReceivedArchives
from query_api.http.ranges import asked_part
from query_api.read_model import ReadModel


class ExportQuery(Query):
    """What of the videos goes along."""

    videos: Annotated[
        Literal["reference", "include"], Field(description="only where their files lie, or the files themselves, too")
    ] = "reference"


class ArchiveObject(BaseModel):
    """Where an archive lies in S3."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: Bucket
    key: ObjectKey


class ArchiveInS3(BaseModel):
    """An archive that is in S3 already."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"object": {"bucket": "moving", "key": "newsroom.tar"}}},
    )

    object: ArchiveObject


class Archives:
    """/galleries/…/export, /galleries/…/import"""

    def __init__(
        self,
        model: ReadModel,
        objects: Objects,
        allowed: AllowedObjects,
        commands: CommandOutbox,
        largest: int,
    ) -> None:
        self._model, self._objects, self._allowed, self._commands = model, objects, allowed, commands
        self._facts = GalleryFacts(model.store, objects, allowed)
        self._received = ReceivedArchives(objects, largest)

    @operation(
        "GET",
        "/galleries/{gallery}/export",
        tag="galleries",
        summary="Take a gallery along",
        replies={
            200: Reply("The whole archive, a tar.", media=MEDIA_TYPE),
            206: Reply("The range of the archive that was asked for.", media=MEDIA_TYPE),
            304: Reply("The gallery has not changed."),
            416: problem("The archive has no such range."),
            503: problem("The gallery changes too often to be read just now; try again after Retry-After."),
            **none("gallery"),
            **INVALID,
        },
        query=ExportQuery,
    )
    async def export_gallery(self, request: Request, query: ExportQuery) -> Response:
        """Send everything that is known of a gallery, as one archive: people with their names and cards, videos,
        decisions, changes, encodings and crops, at one version of the gallery.

        Who was cut off asks for the rest with `Range` and `If-Range`: as long as the gallery has not changed, the bytes
        are the same.
        """
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        facts = await self._facts.read(gallery, query.videos == "include")
        try:
            stream, etag = ArchiveStream(facts, self._objects), f'"{facts.tag}"'
            part = asked_part(request.headers, stream.size, etag)
            headers = part.headers | {
                "Accept-Ranges": "bytes",
                "ETag": etag,
                "Cache-Control": "private, no-cache",
                "Content-Disposition": f'attachment; filename="{gallery.id}.castlist.tar"',
            }
        except BaseException:
            facts.close()
            raise
        if request.method == "HEAD" or part.start == part.end:
            facts.close()
            return Response(status_code=part.status, headers=headers, media_type=MEDIA_TYPE)
        blocks = _closing(facts, stream.part(part.start, part.end))
        return StreamingResponse(blocks, part.status, headers, media_type=MEDIA_TYPE)

    @operation(
        "POST",
        "/galleries/{gallery}/import",
        tag="galleries",
        summary="Import an archive",
        replies={
            **COMMANDED,
            400: problem("The archive was cut off on its way."),
            408: problem("The archive paused for too long."),
            409: problem("The gallery is not empty, or an id of the archive is taken; nothing was imported."),
            413: problem("The archive is larger than this installation takes."),
            415: problem("Send the archive itself, or JSON that says where it lies."),
            422: problem("It is no archive, is cut off, was changed, or is of a newer version; nothing was imported."),
            503: problem("S3 or MongoDB is away; try again after Retry-After."),
        },
        body={MEDIA_TYPE: {"type": "string", "format": "binary"}, "application/json": ArchiveInS3},
    )
    async def import_gallery(self, request: Request, _: NoQuery) -> Response:
        """Take an archive into a gallery where nothing is yet; a gallery comes to be by it.

        From another installation everything keeps its id. From another gallery of this one everything gets a new id,
        derived from this gallery and the old one, and the change's `detail.ids` says which. The same archive twice is
        imported once.
        """
        gallery = request.path_params["gallery"]
        if not re.fullmatch(GALLERY_PATTERN, gallery):
            await drain(request)
            raise Problem(422, "This is no name for a gallery.")
        try:
            archive = await self._receive(request)
        except Problem:
            await drain(request)
            raise
        except ClientDisconnect:
            return Problem(400, "The archive was cut off on its way.").response()
        id = await self._import(gallery, archive)
        return await self._commands.answer(id, request)

    async def _receive(self, request: Request) -> ReceivedArchive:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind.startswith("multipart/"):
            raise Problem(
                415, "Send the archive itself as the body, or JSON that says where it lies.", kind="no-archive"
            )
        if kind == "application/json":
            named = (await parse_body(ArchiveInS3, request)).object
            return await self._copied(named)
        return await self._received.receive(patiently(request.stream(), FORM_SECONDS))

    async def _copied(self, named: ArchiveObject) -> ReceivedArchive:
        """What others have put into S3 they can take away again, while half of it is imported."""
        if not self._allowed.announceable(named.bucket, named.key):
            field = ProblemField(field="object", message="may not be read")
            raise Problem(422, self._allowed.refusal(named.bucket), errors=[field])
        try:
            info = await self._objects.head(named.key, bucket=named.bucket)
            blocks = self._objects.read(named.key, bucket=named.bucket, etag=info.etag)
            return await self._received.receive(blocks)
        except ObjectMissingError:
            missing = ProblemField(field="object", message="there is no such object in S3")
            raise Problem(422, "The object is not there.", errors=[missing]) from None

    async def _import(self, gallery: str, archive: ReceivedArchive) -> str:
        """Ask for it, unless it was asked for before and has not failed; the id of the change.

        A gallery that was deleted since, and has begun anew, takes the same archive once more.
        """
        try:
            await ensure_gallery(self._model.store, gallery, now_utc())
        except GalleryGoingError as going:
            await self._received.discard(archive)
            raise Problem(409, f"{going}.") from None
        begun = (await known_gallery(self._model.store, gallery)).created_at.isoformat()
        id = await unfailed_id(self._model.store, "import", gallery, begun, archive.sha256)
        if await self._commands.knows(id):
            await self._received.discard(archive)
            return id
        command = ImportGallery(
            event_id=id, occurred_at=now_utc(), gallery=gallery, object=archive.object, sha256=archive.sha256
        )
        try:
            await self._commands.journal(command)
        except Problem:
            await self._received.discard(archive)
            if not await self._commands.knows(id):
                raise
            # It came twice at once, and the other one is imported.
        return id


async def _closing(facts: Facts, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with contextlib.closing(facts):
        async for block in blocks:
            yield block
