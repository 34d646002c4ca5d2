"""What happens in a gallery, as it happens."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.store import Store
from query_api.alerts.feed_numbering import number_up_to_now
from query_api.alerts.feed_reading import last_place
from query_api.alerts.feed_stream import place_in, stream
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import none
from query_api.record_changes import RecordChanges

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class GalleryEvents:
    """/galleries/{gallery}/events"""

    def __init__(self, store: Store, feeds: RecordChanges, comment_every: float = 15.0) -> None:
        self._store, self._feeds, self._comment_every = store, feeds, comment_every

    @operation(
        "GET",
        "/galleries/{gallery}/events",
        tag="alerts",
        summary="What happens in a gallery, as it happens",
        replies={
            200: Reply("Events of `profile.events`, each under its name, as they happen.", media="text/event-stream"),
            422: problem("`Last-Event-ID` is no id of an event of this stream."),
            **none("gallery"),
        },
    )
    async def gallery_events(self, request: Request, _: NoQuery) -> Response:
        """Follow a gallery by server-sent events, from now on, or behind the event that `Last-Event-ID` names.

        An event `missed` says that something in between is kept no longer; what happened in the last seven days is.
        """
        gallery = await known_gallery(self._store, request.path_params["gallery"])
        if (told := request.headers.get("last-event-id")) is None:
            passed = await number_up_to_now(self._store, gallery.id)
        else:
            place = place_in(told)
            if place is None or place > await last_place(self._store, gallery.id):
                raise Problem(422, "Last-Event-ID is no id of an event of this stream.")
            passed = place
        events = stream(self._store, self._feeds, gallery.id, passed, self._comment_every)
        return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)
