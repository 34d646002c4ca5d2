"""An id for each request: the client's own, or a new one; told in the answer and on every line that is logged."""

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from castlist.service.json_logging import about

HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class RequestIds:
    """An ASGI application before `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        id = given if _SANE.fullmatch(given) else uuid.uuid4().hex.encode()

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, id)]
            await send(message)

        with about(request=id.decode()):
            await self._app(scope, receive, tell)
