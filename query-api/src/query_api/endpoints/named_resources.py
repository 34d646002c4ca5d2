"""What a request names, or the answer that it is not there."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from castlist.service.problems import Problem
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks.galleries import is_shown
from query_api.read_model import ReadModel


async def video_in_path(model: ReadModel, request: Request) -> VideoRecord:
    """The video; Problem 404."""
    video = await model.store.videos.get(request.path_params["video_id"])
    if video is None:
        raise Problem(404, "There is no such video.")
    return video


async def known_gallery(store: Store, gallery: str) -> GalleryRecord:
    """The gallery; Problem 404 if there is none of that name, or it was deleted."""
    record = await store.galleries.get(gallery)
    if record is None or not is_shown(record):
        raise Problem(404, f"There is no gallery {gallery}.")
    return record


async def ensure_known(store: Store, gallery: str | None) -> None:
    """Where a list is empty: Problem 404 if the gallery that was asked for, if one was, does not exist."""
    if gallery is not None:
        await known_gallery(store, gallery)


async def find_profile(model: ReadModel, request: Request) -> ProfileRecord | Response:
    """The profile that the path names, or the way to the one that holds its people now; Problem 404."""
    profile_id = request.path_params["profile_id"]
    record = await model.store.profiles.get(profile_id)
    if record is not None:
        return record
    successor = await model.successor(profile_id)
    if successor is None:
        raise no_profile()
    below = request.url.path.removeprefix(f"/profiles/{profile_id}")
    asked = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/profiles/{successor}{below}{asked}", 308)


def no_profile() -> Problem:
    """That there is none of that id, and no other that holds its people."""
    return Problem(404, "There is no such profile.")
