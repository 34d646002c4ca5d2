"""HTTP as the services read it: uvicorn's protocol, with bounds on what a client may send and on how long it may take.

uvicorn takes heads of any size, waits for them for ever, and reads on behind an answer for as long as bytes come.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from castlist.service.problems import Problem

HEAD_BYTES = 32 * 1024
HEAD_FIELDS = 100
HEAD_SECONDS = 10.0
MOST_HALF_OPEN = 128
"""Connections that may wait for the rest of a head; with one more, the one that has waited longest is closed."""


class HeadTooLargeError(Exception):
    """Ends the parsing of a request."""


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    _unused = 0
    """bytes that came since anything was made of them: a head, a piece of a body, a request"""
    _in_body = False
    _too_large = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unused > HEAD_BYTES:
            self._too_large = True
            self.send_400_response("")
        elif self._deadline is None and self._is_owed():
            self._start_clock()

    def _is_owed(self) -> bool:
        """Whether a head has begun, or a body goes on whose request was answered already."""
        return self.cycle is not None and self.cycle.response_complete if self._in_body else self._unused > 0

    # --- what the parser finds ----------------------------------------------------------------------------------------

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES or len(self.headers) > HEAD_FIELDS:
            self._too_large = True
            raise HeadTooLargeError
        self._in_body = True
        self._came_to_something()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._came_to_something()
        super().on_message_complete()

    def _came_to_something(self) -> None:
        self._unused = 0
        self._stop_clock()

    # --- what comes of the rest ---------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, unless an answer is being sent, and close the connection."""
        if self._too_large:
            self._refuse(Problem(431, f"A head is up to {HEAD_BYTES} bytes in up to {HEAD_FIELDS} fields."))
        else:
            self._refuse(Problem(400, "This is not HTTP."))

    def _start_clock(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._late)
        if len(self.connections) > MOST_HALF_OPEN:
            waiting: list[Any] = [one for one in self.connections if getattr(one, "_deadline", None)]
            if len(waiting) > MOST_HALF_OPEN:
                min(waiting, key=lambda one: one._deadline.when()).transport.close()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._refuse(Problem(408, f"The request did not come within {HEAD_SECONDS:g} s."))

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or (self.cycle.response_complete and not self._in_body):
            answer = problem.response()
            head = [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
            status = STATUS_LINE[problem.status]
            self.transport.write(b"".join([status, *head, b"connection: close\r\n\r\n", bytes(answer.body)]))
        self.transport.close()
