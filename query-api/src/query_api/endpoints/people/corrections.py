"""Putting right what the machine got wrong: every answer is a change, which can be taken back."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from castlist.api.corrections import ManualPresence, ProfileSplit, ProfilesToMerge, Rejection
from castlist.api.profiles import ProfileChange
from castlist.api.suggestions import Answer
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
from castlist.store.records.profiles import ProfileRecord
from castlist.tasks.commands import Command
from query_api.command_outbox import COMMANDED, CommandOutbox, asked_revision, command_key
from query_api.endpoints.named_resources import find_profile, known_gallery
from query_api.endpoints.replies import MOVED, none
from query_api.http.parameters import DeletionQuery
from query_api.read_model import ReadModel

B = TypeVar("B", bound=BaseModel)
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
        body={"application/json": ProfileChange},
    )
    async def change_profile(self, request: Request, _: NoQuery) -> Response:
        """Give a person a name, notes, tags …, hide them, choose their picture; null clears a field."""
        return await self._correct(request, ChangeCard, ProfileChange, _card)

    @operation(
        "POST",
        "/profiles/{profile_id}/merge",
        tag="people",
        summary="Several profiles are one person",
        replies=_REPLIES,
        body={"application/json": ProfilesToMerge},
    )
    async def merge_profiles(self, request: Request, _: NoQuery) -> Response:
        """Make other profiles part of this one, for good."""
        return await self._correct(request, MergeProfiles, ProfilesToMerge, BaseModel.model_dump)

    @operation(
        "POST",
        "/profiles/{profile_id}/split",
        tag="people",
        summary="A profile is several people",
        replies=_REPLIES,
        body={"application/json": ProfileSplit},
    )
    async def split_profile(self, request: Request, _: NoQuery) -> Response:
        """Move appearances, or tracks, to a new profile or to another one, for good; `detail.into` says which."""
        return await self._correct(request, SplitProfile, ProfileSplit, _split)

    @operation(
        "POST",
        "/profiles/{profile_id}/reject",
        tag="people",
        summary="An appearance is not this person",
        replies=_REPLIES,
        body={"application/json": Rejection},
    )
    async def reject_appearance(self, request: Request, _: NoQuery) -> Response:
        """Take an appearance out of a profile for good: it is somebody else, or no face at all."""
        return await self._correct(request, RejectAppearance, Rejection, BaseModel.model_dump)

    @operation(
        "POST",
        "/profiles/{profile_id}/presences",
        tag="people",
        summary="A person is there although no face was found",
        replies=_REPLIES,
        body={"application/json": ManualPresence},
    )
    async def add_presence(self, request: Request, _: NoQuery) -> Response:
        """Say that a person is in a video, or in a span of it, where no face was found: an appearance that stays."""
        return await self._correct(request, AddPresence, ManualPresence, BaseModel.model_dump)

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
        return await self._decide(request, found, DeleteProfile, {"erase": query.erase})

    @operation(
        "POST",
        "/galleries/{gallery}/suggestions/{suggestion_id}",
        tag="galleries",
        summary="Answer a suggestion",
        replies={**COMMANDED, **none("suggestion")},
        body={"application/json": Answer},
    )
    async def answer_suggestion(self, request: Request, _: NoQuery) -> Response:
        """Say whether two profiles are the same person, or the appearances of one."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        suggestion = await self._model.store.suggestions.get(request.path_params["suggestion_id"])
        if suggestion is None or suggestion.gallery != gallery.id:
            raise Problem(404, "There is no such suggestion.")
        asked = await parse_body(Answer, request)
        command = AnswerSuggestion(
            event_id=command_key(request),
            occurred_at=now_utc(),
            gallery=gallery.id,
            suggestion_id=suggestion.id,
            answer=asked.answer,
        )
        return await self._commands.accept(command, request)

    async def _correct(
        self, request: Request, kind: type[Command], body: type[B], said: Callable[[B], Mapping[str, Any]]
    ) -> Response:
        """Have a decision about the profile carried out: `said` makes of the body what the command says."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        return await self._decide(request, found, kind, said(await parse_body(body, request)))

    async def _decide(
        self, request: Request, profile: ProfileRecord, kind: type[Command], said: Mapping[str, Any]
    ) -> Response:
        about = {"gallery": profile.gallery, "profile_id": profile.id, "if_revision": asked_revision(request)}
        command = kind(event_id=command_key(request), occurred_at=now_utc(), **about, **said)
        return await self._commands.accept(command, request)


def _card(asked: ProfileChange) -> dict[str, Any]:
    """The fields that are named; null clears one."""
    if not asked.model_fields_set:
        raise Problem(422, "The body names nothing to change.")
    card: dict[str, Any] = {name: getattr(asked, name) for name in asked.model_fields_set}
    if asked.birth_date is not None:
        card["birth_date"] = asked.birth_date.isoformat()
    if asked.cover is not None:
        card["cover"] = asked.cover.video_id
    known = {name: value for name, value in card.items() if value is not None}
    return {"card": Card(**known), "changed": tuple(sorted(card))}


def _split(asked: ProfileSplit) -> dict[str, Any]:
    if bool(asked.videos) == bool(asked.tracks):
        raise Problem(422, "Name either videos or tracks.")
    return {"videos": asked.videos, "track_ids": asked.tracks, "into": asked.into}
