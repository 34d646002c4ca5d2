"""Commands: what became of them."""

from starlette.requests import Request
from starlette.responses import Response

from castlist.api import resources
from castlist.service.operations import operation
from castlist.service.problems import Problem, document_of
from castlist.service.request_parsing import NoQuery
from castlist.store.records import CommandError
from castlist.store.store import Store
from query_api.endpoints.replies import one
from query_api.http.rendering import json_response, renderer

_command = renderer(resources.Command, "error")
_STATUS = {"not_found": 404}


class Commands:
    """/commands …"""

    def __init__(self, store: Store) -> None:
        self._store = store

    @operation(
        "GET",
        "/commands/{command_id}",
        tag="galleries",
        summary="A command",
        replies=one("command", resources.Command),
    )
    async def get_command(self, request: Request, _: NoQuery) -> Response:
        """Show whether a command was carried out, or why not. It is remembered for 90 days after that."""
        command = await self._store.commands.get(request.path_params["command_id"])
        if command is None:
            raise Problem(404, "There is no such command.")
        return json_response(_command(command, command.error and _problem(command.error)))


def _problem(error: CommandError) -> dict[str, object]:
    """As a request would have been answered that failed for this reason."""
    return document_of(_STATUS.get(error.code, 500), error.message)
