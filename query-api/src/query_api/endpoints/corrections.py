"""Putting right what the machine got wrong: every answer is a change, which can be taken back."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from castlist.api import resources
from castlist.clock import now_utc
from castlist.contract.commands import (
    AddPresence,
    AnswerSuggestion,
    Card,
    ChangeCard,
    DeleteProfile,
    MergeProfiles,
    RejectAppearance,
    SplitProfile,
)
from castlist.service.operations import operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, parse_body
from castlist.store.records import ProfileRecord
from castlist.tasks.commands import Command
from query_api.command_outbox import COMMANDED, CommandOutbox, asked_revision, command_key
from query_api.endpoints.galleries import known_gallery
from query_api.endpoints.profiles import find_profile
from query_api.endpoints.replies import MOVED, none
from query_api.http.parameters import DeletionQuery
from query_api.read_model import ReadModel

_REPLIES = {**COMMANDED, **none("profile"), **MOVED}


class Corrections:
    """Corrections of /profiles and of suggestions."""

    def __init__(self, model: ReadModel, commands: CommandOutbox) -> None:
        self._model, self._commands = model, commands

    @operation(
        "PATCH",
        "/profiles/{profile_id}",
        tag="people",
        summary="Write a person's card",
        replies=_REPLIES,
        body={"application/json": resources.ProfileChange},
    )
    async def change_profile(self, request: Request, _: NoQuery) -> Response:
        """Give a person a name, notes, tags …, hide them, choose their picture; null clears a field."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        change = await parse_body(resources.ProfileChange, request)
        if not change.model_fields_set:
            raise Problem(422, "The body names nothing to change.")
        card: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
        if change.birth_date is not None:
            card["birth_date"] = change.birth_date.isoformat()
        if change.cover is not None:
            card["cover"] = change.cover.video_id
        known = {name: value for name, value in card.items() if value is not None}
        return await self._decide(request, found, ChangeCard, card=Card(**known), changed=tuple(sorted(card)))

    @operation(
        "POST",
        "/profiles/{profile_id}/merge",
        tag="people",
        summary="Several profiles are one person",
        replies=_REPLIES,
        body={"application/json": resources.ProfilesToMerge},
    )
    async def merge_profiles(self, request: Request, _: NoQuery) -> Response:
        """Make other profiles part of this one, for good."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        asked = await parse_body(resources.ProfilesToMerge, request)
        return await self._decide(request, found, MergeProfiles, profiles=tuple(asked.profiles))

    @operation(
        "POST",
        "/profiles/{profile_id}/split",
        tag="people",
        summary="A profile is several people",
        replies=_REPLIES,
        body={"application/json": resources.ProfileSplit},
    )
    async def split_profile(self, request: Request, _: NoQuery) -> Response:
        """Move appearances, or tracks, to a new profile or to another one, for good; `detail.into` says which."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        asked = await parse_body(resources.ProfileSplit, request)
        if bool(asked.videos) == bool(asked.tracks):
            raise Problem(422, "Name either videos or tracks.")
        return await self._decide(
            request, found, SplitProfile, videos=tuple(asked.videos), track_ids=tuple(asked.tracks), into=asked.into
        )

    @operation(
        "POST",
        "/profiles/{profile_id}/reject",
        tag="people",
        summary="An appearance is not this person",
        replies=_REPLIES,
        body={"application/json": resources.Rejection},
    )
    async def reject_appearance(self, request: Request, _: NoQuery) -> Response:
        """Take an appearance out of a profile for good: it is somebody else, or no face at all."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        asked = await parse_body(resources.Rejection, request)
        return await self._decide(request, found, RejectAppearance, video_id=asked.video_id, reason=asked.reason)

    @operation(
        "POST",
        "/profiles/{profile_id}/presences",
        tag="people",
        summary="A person is there although no face was found",
        replies=_REPLIES,
        body={"application/json": resources.ManualPresence},
    )
    async def add_presence(self, request: Request, _: NoQuery) -> Response:
        """Say that a person is in a video, or in a span of it, where no face was found: an appearance that stays."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        asked = await parse_body(resources.ManualPresence, request)
        return await self._decide(
            request,
            found,
            AddPresence,
            video_id=asked.video_id,
            start=asked.start,
            end=asked.end,
            box=asked.box,
        )

    @operation(
        "DELETE",
        "/profiles/{profile_id}",
        tag="people",
        summary="Delete a person",
        replies=_REPLIES,
        query=DeletionQuery,
    )
    async def delete_profile(self, request: Request, query: DeletionQuery) -> Response:
        """Take a profile away, with its card and appearances; those seen there are matched no more. Erased, encodings,
        crops and names are gone too, and the change has a receipt; that cannot be taken back."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        return await self._decide(request, found, DeleteProfile, erase=query.erase)

    @operation(
        "POST",
        "/galleries/{gallery}/suggestions/{suggestion_id}",
        tag="galleries",
        summary="Answer a suggestion",
        replies={**COMMANDED, **none("suggestion")},
        body={"application/json": resources.Answer},
    )
    async def answer_suggestion(self, request: Request, _: NoQuery) -> Response:
        """Say whether two profiles are the same person, or the appearances of one."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        suggestion = await self._model.store.suggestions.get(request.path_params["suggestion_id"])
        if suggestion is None or suggestion.gallery != gallery.id:
            raise Problem(404, "There is no such suggestion.")
        asked = await parse_body(resources.Answer, request)
        command = AnswerSuggestion(
            event_id=command_key(request),
            occurred_at=now_utc(),
            gallery=gallery.id,
            suggestion_id=suggestion.id,
            answer=asked.answer,
        )
        return await self._commands.accept(command, request)

    async def _decide(self, request: Request, profile: ProfileRecord, kind: type[Command], **said: Any) -> Response:
        about = {"gallery": profile.gallery, "profile_id": profile.id, "if_revision": asked_revision(request)}
        command = kind(event_id=command_key(request), occurred_at=now_utc(), **about, **said)
        return await self._commands.accept(command, request)
