"""query-api: what is in MongoDB and S3, over HTTP. Only this module constructs adapters."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.web_calls import AiohttpCalls
from castlist.clock import now_utc
from castlist.contract.topics import GALLERY_COMMITS, PROFILE_EVENTS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.objects import Objects
from castlist.service.http_server import make_server
from castlist.service.openapi import Api, openapi
from castlist.service.operations import application
from castlist.service.periodic import in_background
from castlist.service.public_addresses import Network
from castlist.store.store import Store
from castlist.tasks.video_objects import AllowedObjects
from query_api.alerts.alerting import LEASE, Alerting
from query_api.alerts.lease import Lease
from query_api.alerts.sender import Sender
from query_api.alerts.watching import Watching
from query_api.command_outbox import CommandOutbox
from query_api.endpoints.alerts.gallery_events import GalleryEvents
from query_api.endpoints.alerts.watches import Watches
from query_api.endpoints.alerts.webhooks import Webhooks
from query_api.endpoints.galleries.appearance_tables import AppearanceTables
from query_api.endpoints.galleries.archives import Archives
from query_api.endpoints.galleries.change_history import Changes
from query_api.endpoints.galleries.galleries import Galleries
from query_api.endpoints.galleries.gallery_lifetime import GalleryLifetime
from query_api.endpoints.galleries.gallery_stats import StatsOfGalleries
from query_api.endpoints.people.corrections import Corrections
from query_api.endpoints.people.crops import Crops
from query_api.endpoints.people.known_people import KnownPeople
from query_api.endpoints.people.objections import Objections
from query_api.endpoints.people.profiles import Profiles
from query_api.endpoints.people.search import Search
from query_api.endpoints.videos.for_editors import ForEditors
from query_api.endpoints.videos.tasks import Tasks
from query_api.endpoints.videos.timelines import Timelines
from query_api.endpoints.videos.tracks import Tracks
from query_api.endpoints.videos.videos import Videos
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
        "alerts": "Hearing of what happens: watches on people, webhooks, and a gallery's events.",
        "galleries": "Namespaces of people: how far each is, its settings, and what a person should look at.",
    },
    endpoints=(
        *(Tasks, Profiles, KnownPeople, Search, Corrections, Changes, Videos, Galleries, Crops),
        *(Objections, Timelines, Tracks, StatsOfGalleries, GalleryLifetime),
        *(Watches, Webhooks, GalleryEvents, Archives, ForEditors, AppearanceTables),
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
    largest_archive: int = 2**30,
    feeds: RecordChanges | None = None,
    alert: Callable[[], None] = lambda: None,
    networks: Sequence[Network] = (),
) -> Sequence[object]:
    """What answers the operations of `API`. `allowed`: which objects may be shown. `alert` is called where there is
    something to tell of; `networks`: those where webhooks may go although they are not the world's."""
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
        Watches(model, alert),
        Webhooks(model, alert, networks),
        GalleryEvents(store, feeds or RecordChanges(store.feeds)),
        Archives(model, objects, allowed, commands, largest_archive),
        ForEditors(model),
        AppearanceTables(model),
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
        tasks, changes, feeds = (RecordChanges(table) for table in (store.tasks, store.changes, store.feeds))
        relay = OutboxRelay(store, publisher, now_utc, [GALLERY_COMMITS, PROFILE_EVENTS])
        calls = await stack.enter_async_context(AiohttpCalls(settings.callable_networks))
        lease, watching = Lease(store, LEASE, str(uuid.uuid4())), Watching(store, ReadModel(store), now_utc)
        sender = Sender(store, calls, now_utc, lambda: lease.held, settings.retry_policy)
        alerting = Alerting(store, lease, watching, sender, relay.wake)
        # Kafka is not among them: all is answered without it, and commands wait in MongoDB.
        ready = {"mongodb": documents.ping, "s3": objects.ping}
        search = await stack.enter_async_context(face_search(store, settings))
        commands = CommandOutbox(store, relay, changes)
        largest = settings.largest_picture_bytes, settings.largest_archive_bytes
        app = application(
            openapi(API),
            endpoints(
                *(store, objects, settings.announceable, commands, tasks, search, *largest),
                *(feeds, alerting.wake, settings.callable_networks),
            ),
            ready,
            settings.hosts,
            settings.origins,
        )
        # What is there now stays. Looked through again and again, it would cost every fortieth page 60 ms.
        gc.collect()
        gc.freeze()
        loops = relay.run(), tasks.run(), changes.run(), feeds.run(), alerting.run()
        await stack.enter_async_context(in_background(*loops))
        await make_server(app, settings.bind_host, settings.query_port).serve()
