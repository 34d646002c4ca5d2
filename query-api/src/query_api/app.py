"""query-api: what is in MongoDB and S3, over HTTP. Only this module constructs adapters."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract.topics import GALLERY_COMMITS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.objects import Objects
from castlist.service.http_server import make_server
from castlist.service.openapi import Api, openapi
from castlist.service.operations import application
from castlist.service.periodic import in_background
from castlist.store.store import Store
from castlist.tasks.video_objects import AllowedObjects
from query_api.command_outbox import CommandOutbox
from query_api.endpoints.change_history import Changes
from query_api.endpoints.corrections import Corrections
from query_api.endpoints.crops import Crops
from query_api.endpoints.galleries import Galleries
from query_api.endpoints.gallery_lifetime import GalleryLifetime
from query_api.endpoints.gallery_stats import StatsOfGalleries
from query_api.endpoints.known_people import KnownPeople
from query_api.endpoints.objections import Objections
from query_api.endpoints.profiles import Profiles
from query_api.endpoints.search import Search
from query_api.endpoints.tasks import Tasks
from query_api.endpoints.timelines import Timelines
from query_api.endpoints.tracks import Tracks
from query_api.endpoints.videos import Videos
from query_api.read_model import ReadModel
from query_api.record_changes import RecordChanges
from query_api.settings import Settings

if TYPE_CHECKING:
    from query_api.search.face_search import FaceSearch

_NEEDED_TO_SEARCH = ("castlist_vision", "castlist_identity", "dlib", "psutil", "python_multipart")

API = Api(
    title="Castlist",
    about="Who is in the videos of a gallery, when, and how far the work on each video is.",
    tags={
        "tasks": "How far the work on each video is.",
        "people": "Who is in the videos: profiles, their appearances, their pictures.",
        "videos": "The videos, and who is in each.",
        "changes": "What people decided by hand: who, when, what became of it, and taking it back.",
        "galleries": "Namespaces of people: how far each is, its settings, and what a person should look at.",
    },
    endpoints=(
        *(Tasks, Profiles, KnownPeople, Search, Corrections, Changes, Videos, Galleries, Crops),
        *(Objections, Timelines, Tracks, StatsOfGalleries, GalleryLifetime),
    ),
)


def endpoints(
    store: Store,
    objects: Objects,
    allowed: AllowedObjects,
    commands: CommandOutbox,
    tasks: RecordChanges,
    search: "FaceSearch | None" = None,
    largest_picture: int = 0,
) -> Sequence[object]:
    """What answers the operations of `API`. `allowed`: which objects may be shown."""
    model = ReadModel(store)
    return (
        Tasks(model, tasks),
        Profiles(model),
        KnownPeople(model, objects, commands, search, largest_picture),
        Search(model, search, largest_picture),
        Corrections(model, commands),
        Changes(model, commands),
        Videos(model, objects, allowed, commands),
        Galleries(model, commands),
        Crops(objects),
        Objections(model, commands, search, largest_picture),
        Timelines(model),
        Tracks(model),
        StatsOfGalleries(store),
        GalleryLifetime(model, commands),
    )


@asynccontextmanager
async def face_search(store: Store, settings: Settings) -> AsyncIterator["FaceSearch | None"]:
    """What finds people by a picture, while inside; None where the extra `search` is not installed."""
    if any(find_spec(package) is None for package in _NEEDED_TO_SEARCH):
        yield None
        return
    from castlist.children.child import Child, command
    from query_api.search.face_search import FaceSearch
    from query_api.search.gallery_indexes import GalleryIndexes
    from query_api.search.picture_children import PictureChildren

    options = {"cache": str(settings.castlist_cache), "log_level": settings.log_level}
    started_by = command("query_api.search.child_main", "picture", **options)
    children = [Child(started_by, lambda _: None) for _ in range(settings.search_children)]
    indexes = GalleryIndexes(store, settings.search_index_bytes)
    try:
        yield FaceSearch(ReadModel(store), PictureChildren(children), indexes)
    finally:
        await asyncio.gather(*(child.close() for child in children))


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.database)
        stack.callback(documents.close)
        publisher = KafkaPublisher(settings.kafka_bootstrap, settings.castlist_prefix)
        stack.push_async_callback(publisher.close)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))

        store = Store(documents)
        tasks, changes = RecordChanges(store.tasks), RecordChanges(store.changes)
        relay = OutboxRelay(store, publisher, now_utc, [GALLERY_COMMITS])
        # Kafka is not among them: all is answered without it, and commands wait in MongoDB.
        ready = {"mongodb": documents.ping, "s3": objects.ping}
        search = await stack.enter_async_context(face_search(store, settings))
        commands, largest = CommandOutbox(store, relay, changes), settings.largest_picture_bytes
        app = application(
            openapi(API),
            endpoints(store, objects, settings.announceable, commands, tasks, search, largest),
            ready,
            settings.hosts,
            settings.origins,
        )
        # What is there now stays. Looked through again and again, it would cost every fortieth page 60 ms.
        gc.collect()
        gc.freeze()
        await stack.enter_async_context(in_background(relay.run(), tasks.run(), changes.run()))
        await make_server(app, settings.bind_host, settings.query_port).serve()
