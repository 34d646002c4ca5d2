"""query-api: what is in MongoDB and S3, over HTTP. Only this module constructs adapters."""

import asyncio
import contextlib
import gc
from contextlib import AsyncExitStack

from starlette.applications import Starlette

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.service.health import health_routes
from castlist.service.http_server import make_server
from castlist.service.operations import Answer, Operation, problem, routes
from castlist.service.problems import EXCEPTION_HANDLERS
from query_api import schemas
from query_api.command_outbox import Commands
from query_api.endpoints.crops import Crops
from query_api.endpoints.galleries import Galleries
from query_api.endpoints.profiles import Profiles
from query_api.endpoints.tasks import Tasks
from query_api.endpoints.videos import Videos
from query_api.http import parameters as q
from query_api.read_model import Reading
from query_api.settings import Settings

_ABOUT = "Who is in the videos of a gallery, when, and how far the work on each video is."
_GONE = {404: problem("There is none.")}
_INVALID = {422: problem("A query parameter or field is unknown or not valid.")}
_MOVED = {308: Answer("The id was merged into another profile.")}
_COMMANDED = {202: Answer("Accepted; it takes effect with the next commit.", schemas.Commanded), **_GONE, **_INVALID}


def _one(model: type) -> dict[int, Answer]:
    return {200: Answer("It.", model), **_GONE}


def _page(model: type) -> dict[int, Answer]:
    return {200: Answer("A page.", model), **_INVALID}


def operations(tasks: Tasks, profiles: Profiles, videos: Videos, galleries: Galleries, crops: Crops) -> list[Operation]:
    """What query-api answers to."""
    stream = {200: Answer("The task at every change.", media="text/event-stream"), **_GONE}
    file = {
        200: Answer("The file.", media="application/octet-stream"),
        206: Answer("The range of it.", media="application/octet-stream"),
        304: Answer("It has not changed."),
        416: problem("No such range."),
        **_GONE,
    }
    picture = {200: Answer("A JPEG.", media="image/jpeg"), **_GONE}
    settings = {"application/json": schemas.GallerySettingsChange}
    naming = {"application/json": schemas.ProfileChange}
    get, patch, delete = "GET", "PATCH", "DELETE"
    return [
        Operation(get, "/tasks", tasks.list_tasks, "Tasks", _page(schemas.TaskPage), q.TaskQuery),
        Operation(get, "/tasks/{task_id}", tasks.get_task, "A task", _one(schemas.Task)),
        Operation(get, "/tasks/{task_id}/events", tasks.task_events, "A task's changes, as they happen", stream),
        Operation(get, "/profiles", profiles.list_profiles, "People", _page(schemas.ProfilePage), q.ProfileQuery),
        Operation(get, "/profiles/{profile_id}", profiles.get_profile, "A person", _one(schemas.Profile) | _MOVED),
        Operation(
            patch, "/profiles/{profile_id}", profiles.rename_profile, "Name a person", _COMMANDED | _MOVED, body=naming
        ),
        Operation(
            get,
            "/profiles/{profile_id}/appearances",
            profiles.profile_appearances,
            "Every video a person is in",
            _page(schemas.AppearancePage) | _GONE | _MOVED,
            q.Paged,
        ),
        Operation(get, "/videos", videos.list_videos, "Videos", _page(schemas.VideoPage), q.VideoQuery),
        Operation(get, "/videos/{video_id}", videos.get_video, "A video", _one(schemas.Video)),
        Operation(delete, "/videos/{video_id}", videos.delete_video, "Delete a video", _COMMANDED),
        Operation(
            get,
            "/videos/{video_id}/profiles",
            videos.video_profiles,
            "Who is in a video",
            _page(schemas.ProfilePage) | _GONE,
            q.Paged,
        ),
        Operation(get, "/videos/{video_id}/content", videos.video_content, "The file", file),
        Operation(get, "/galleries", galleries.list_galleries, "Galleries", _page(schemas.GalleryPage), q.Paged),
        Operation(get, "/galleries/{gallery}", galleries.get_gallery, "A gallery", _one(schemas.Gallery)),
        Operation(
            get,
            "/galleries/{gallery}/suggestions",
            galleries.gallery_suggestions,
            "Profiles that may be one person",
            _one(schemas.Suggestions),
        ),
        Operation(
            get,
            "/galleries/{gallery}/settings",
            galleries.get_settings,
            "A gallery's settings",
            _one(schemas.GallerySettings),
        ),
        Operation(
            patch,
            "/galleries/{gallery}/settings",
            galleries.change_settings,
            "Change a gallery's settings",
            _COMMANDED,
            body=settings,
        ),
        Operation(get, "/crops/{path:path}", crops.get_crop, "A picture of a face", picture),
    ]


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.mongo_database)
        stack.callback(documents.close)
        publisher = KafkaPublisher(settings.kafka_bootstrap)
        stack.push_async_callback(publisher.close)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))
        reading, commands = Reading(documents), Commands(documents, publisher)
        served = operations(
            Tasks(reading),
            Profiles(reading, commands),
            Videos(reading, objects, commands),
            Galleries(reading, commands),
            Crops(objects),
        )
        api = routes("Castlist", "1", _ABOUT, served)
        # Kafka is not among them: everything but commands is answered without it, and those wait in the outbox.
        health = health_routes({"mongodb": documents.ping, "s3": objects.ping})
        app = Starlette(routes=[*api, *health], exception_handlers=EXCEPTION_HANDLERS)
        # What is there now stays. Looked through again and again, it would cost every fortieth page 60 ms.
        gc.collect()
        gc.freeze()
        publishing = asyncio.create_task(commands.run())
        try:
            await make_server(app, settings.bind_host, settings.query_port).serve()
        finally:
            publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await publishing
