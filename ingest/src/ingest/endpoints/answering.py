"""How what was accepted is answered, by uploads and by retries alike."""

from starlette.responses import JSONResponse, Response

from castlist.api.videos import VideoAccepted
from castlist.service.operations import Reply
from ingest.acceptance import Accepted

ACCEPTED = {
    202: Reply("A new task: the object is in S3, and its event is on its way to Kafka.", VideoAccepted),
    200: Reply("The same video as before, with its latest task.", VideoAccepted),
}


def video_accepted(accepted: Accepted, query_url: str) -> Response:
    """202 where a task was made, with where query-api shows it."""
    video, task = accepted.video, accepted.task
    body = VideoAccepted(
        video_id=video.id,
        task_id=task.id,
        gallery=video.gallery,
        name=video.name,
        bytes=video.bytes,
        sha256=video.sha256,
        status=task.status,
        duplicate=accepted.duplicate,
    )
    location = {"Location": f"{query_url}/tasks/{task.id}"}
    return JSONResponse(body.model_dump(mode="json"), 202 if accepted.created else 200, location)
