"""The two services as an async client: put videos in, follow their tasks, read who is where.

    async with Client() as castlist:
        accepted = await castlist.submit(Path("lobby.mp4"), gallery="newsroom")
        async for task in castlist.watch(accepted.task_id):
            print(task.status, task.progress)

Every call may be repeated without harm, and is while a server is away. What is left raises `UnreachableError`,
and what a service refuses `RequestRefusedError` (`NotFoundError`).
"""

from castlist_client.operations.alerts import AlertCalls, GalleryEvent
from castlist_client.operations.corrections import CorrectionCalls
from castlist_client.operations.galleries import GalleryCalls
from castlist_client.operations.people import ForeignAddressError, PeopleCalls
from castlist_client.operations.taking_along import ArchiveCalls
from castlist_client.operations.transport import ClientError, NotFoundError, RequestRefusedError, UnreachableError
from castlist_client.operations.videos import Submitted, VideoCalls

__all__ = [
    "Client",
    "ClientError",
    "ForeignAddressError",
    "GalleryEvent",
    "NotFoundError",
    "RequestRefusedError",
    "Submitted",
    "UnreachableError",
]


class Client(VideoCalls, PeopleCalls, GalleryCalls, CorrectionCalls, ArchiveCalls, AlertCalls):
    """Both services, for as long as the block is open. `patience` is how long a call is repeated, in seconds."""
