"""Profiles and their appearances."""

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.appearances import AppearancePage
from castlist.api.profiles import Profile, ProfilePage
from castlist.service.conditional import etag_of
from castlist.service.operations import operation
from castlist.service.request_parsing import NoQuery
from castlist.store.query import eq
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.profiles import ProfileRecord
from query_api.endpoints.named_resources import ensure_known, find_profile, no_profile
from query_api.endpoints.replies import MOVED, none, one, page
from query_api.http.parameters import Paged, ProfileQuery
from query_api.http.rendering import json_page, json_response
from query_api.profile_list import ProfileList
from query_api.read_model import NEWEST_FIRST, ReadModel


class Profiles:
    """/profiles …"""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._list = ProfileList(model.store)

    @operation(
        "GET",
        "/profiles",
        tag="people",
        summary="People",
        replies={**page("people", ProfilePage), **none("gallery")},
        query=ProfileQuery,
    )
    async def list_profiles(self, request: Request, query: ProfileQuery) -> Response:
        """List who is in a gallery, or in a video: each with the videos they were seen in, when, and a crop of each.

        Filters go together as one likes. Where they leave few of very many, a page may have fewer people than `limit`,
        or none, and `next_cursor` says where it goes on: only null is the end.
        """
        companion = await self._companion(query.companion)
        records, cursor = await self._list.page(query, companion)
        if not records:
            await ensure_known(self._model.store, query.gallery)
        return json_page(request, await self._model.profiles(records), cursor)

    @operation(
        "GET",
        "/profiles/{profile_id}",
        tag="people",
        summary="A person",
        replies={**one("profile", Profile), **MOVED},
    )
    async def get_profile(self, request: Request, _: NoQuery) -> Response:
        """Show one person. An id that was merged away leads to the profile that holds its people now, for ever."""
        record, view = await self._model.profile(request.path_params["profile_id"])
        if record is None or view is None:
            found = await find_profile(self._model, request)
            return found if isinstance(found, Response) else no_profile().response()
        answer = json_response(view)
        # What `If-Match` compares is the revision alone: an appearance that came is no conflict.
        answer.headers["ETag"] = f'"{record.revision}-{etag_of(bytes(answer.body))}"'
        return answer

    @operation(
        "GET",
        "/profiles/{profile_id}/appearances",
        tag="people",
        summary="Every video a person is in",
        replies={**page("appearances, the newest first", AppearancePage), **none("profile"), **MOVED},
        query=Paged,
    )
    async def profile_appearances(self, request: Request, query: Paged) -> Response:
        """List all appearances of a person; a profile itself shows the newest 100."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        where, table = eq(AppearanceRecord.profile_id, found.id), self._model.store.appearances
        records, cursor = await self._model.page(table, where, NEWEST_FIRST, query.limit, query.cursor)
        return json_page(request, await self._model.appearances(records), cursor)

    async def _companion(self, profile_id: str | None) -> ProfileRecord | None:
        """With whom those who are listed are to be, also by an id that was merged away; Problem 404."""
        if profile_id is None:
            return None
        holder = await self._model.holder(profile_id)
        if holder is None:
            raise no_profile()
        return holder
