"""A receiver of webhooks on loopback: a real HTTP server, in threads of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Receiver:
    """What came in, in that order. `answers`: the statuses of the next ones, then 200. `secret`: of what is to come."""

    url: str = ""
    secret: str = ""
    answers: list[int] = field(default_factory=list)
    away: threading.Event = field(default_factory=threading.Event)
    """while it is set, connections are cut off without an answer"""
    received: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """status that was answered, path, body"""

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The data of what was answered with 200, each once."""
        told = {body["data"]["event_id"]: body["data"] for status, _, body in self.received if status == 200}
        return list(told.values())


@contextmanager
def receiver() -> Iterator[Receiver]:
    """It checks each signature; a wrong one is answered with 401, which no test expects."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.away.is_set():
                self.close_connection = True
                return
            status = found.answers.pop(0) if found.answers else 200
            try:
                message = Webhook(found.secret).verify(body, dict(self.headers))
            except Exception:
                status, message = 401, json.loads(body)
            found.received.append((status, self.path, message))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
