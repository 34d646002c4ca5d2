"""What the path of a request names, or the answer that it is not there."""

from starlette.requests import Request

from castlist.service.problems import Problem
from castlist.store.records.videos import VideoRecord
from query_api.read_model import ReadModel


async def video_in_path(model: ReadModel, request: Request) -> VideoRecord:
    """The video; Problem 404."""
    video = await model.store.videos.get(request.path_params["video_id"])
    if video is None:
        raise Problem(404, "There is no such video.")
    return video
