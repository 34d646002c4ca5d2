"""Replies that several operations have in common."""

from pydantic import BaseModel

from castlist.service.operations import Reply, problem

INVALID = {422: problem("A query parameter or field is unknown or not valid.")}
MOVED = {308: Reply("The id was merged into another profile: the answer is there.")}


def one(what: str, model: type[BaseModel], meaning: str | None = None) -> dict[int, Reply]:
    """The resource, or something about it, or that there is none."""
    return {200: Reply(meaning or f"The {what} as it is now.", model), **none(what)}


def none(what: str) -> dict[int, Reply]:
    """That there is none."""
    return {404: problem(f"There is no such {what}.")}


def page(what: str, model: type[BaseModel]) -> dict[int, Reply]:
    """A page of a list."""
    return {200: Reply(f"A page of {what}.", model), **INVALID}
