"""Ids, all derived: a redo of any step draws the same ones, so that doing a thing twice changes nothing."""

import re
import uuid

# The root of every derived id. Changing it would orphan everything that was ever stored.
_NAMESPACE = uuid.UUID("6f1c1f4e-5b0a-5e0e-9d0c-6d1f4a5c7e21")

# No colon: the ids below are joined with it. Not `.` or `..`: they are steps of paths, here and in URLs.
ID_PATTERN = r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,127}|\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}|\.\.[A-Za-z0-9._-]{1,126})$"
# Names only: an access point's ARN, say, would have us speak to other servers, and two dots are a step upwards.
BUCKET_PATTERN = r"^[a-z0-9](\.?[a-z0-9_-])+$"
GALLERY_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
PERSON_PATTERN = ID_PATTERN.removesuffix("$") + r":(0|[1-9][0-9]{0,15}):[0-9]{1,16}$"
TRACK_PATTERN = ID_PATTERN.removesuffix("$") + r":[1-9][0-9]{0,15}:[0-9]{1,9}:[0-9]{1,9}$"
OWN_UPLOADS = "videos/"
"""Objects under this prefix of our bucket came through ingest; others belong to the system that announced them."""
CROPS = "crops/"
"""Objects under this prefix of our bucket were cut out of videos."""
ARCHIVES = "archives/"
"""Objects under this prefix of our bucket are galleries that are being imported."""


def derived(*parts: str | int) -> str:
    """A UUID (as text) that depends on `parts` alone."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(map(str, parts))))


def uploaded_video_id(gallery: str, sha256: str) -> str:
    """The video that these bytes are in this gallery: two uploads at once meet in one id."""
    return derived("upload", gallery, sha256)


def task_id(video_id: str, epoch: int) -> str:
    """The task of one run over a video; other systems can compute it too."""
    return derived("task", video_id, epoch)


def run_key(video_id: str, epoch: int) -> str:
    """`video:epoch`: one run over one video."""
    return f"{video_id}:{epoch}"


def video_and_epoch(run: str) -> tuple[str, int]:
    """Of which video and epoch a run is."""
    video_id, _, epoch = run.rpartition(":")
    return video_id, int(epoch)


def cancel_key(video_id: str, event: str) -> str:
    """`video:event`: one order to stop the work on a video. Of two systems both may call theirs the same."""
    return f"{video_id}:{event}"


def chunk_key(video_id: str, epoch: int, chunk: int) -> str:
    """`video:epoch:chunk`: one unit of work."""
    return f"{video_id}:{epoch}:{chunk}"


def plan_key(video_id: str, epoch: int) -> str:
    """`video:epoch:plan`: the planning of one run, as a unit of work."""
    return f"{video_id}:{epoch}:plan"


def result_key(video_id: str, epoch: int, chunk: int, digest: str, part: int) -> str:
    """`video:epoch:chunk:digest:part`: one part of a result; without the digest where there is none."""
    return ":".join([chunk_key(video_id, epoch, chunk), *([digest] if digest else []), str(part)])


def digest_in(result: str) -> str:
    """The digest in the key of a part of a result; empty where there is none."""
    _, _, _, *digest, _ = result.split(":")
    return digest[0] if digest else ""


def person_key(video_id: str, epoch: int, n: int) -> str:
    """`video:epoch:n`: the n-th person found by one run over one video."""
    return f"{video_id}:{epoch}:{n}"


BY_HAND = 0
"""Where a run has its epoch: of somebody whom no run has found."""


def presence_key(video_id: str, change: str) -> str:
    """`video:0:n`: somebody who is in a video because a person said so."""
    return person_key(video_id, BY_HAND, uuid.uuid5(_NAMESPACE, change).int % 10**15)


ENROLLED = "enrolled-"
_ENROLMENT = re.compile(ENROLLED + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def enrolment_id(change: str) -> str:
    """`enrolled-…`: what stands in the place of a video for the pictures with which a change has enrolled somebody."""
    return f"{ENROLLED}{derived('enrolment', change)}"


def is_enrolment(video_id: str) -> bool:
    """Whether this stands for pictures, and is no video: no video may be called so."""
    return _ENROLMENT.fullmatch(video_id) is not None


def is_by_hand(person: str) -> bool:
    """Whether no run has found this person."""
    return person.rsplit(":", 2)[1] == str(BY_HAND)


def video_of_person(key: str) -> str:
    """The video in which a person was found."""
    return key.rsplit(":", 2)[0]


def track_key(video_id: str, epoch: int, chunk: int, track: int) -> str:
    """`video:epoch:chunk:track`: one face followed through one chunk of a run."""
    return f"{chunk_key(video_id, epoch, chunk)}:{track}"


def ledger_key(gallery: str, video_id: str, epoch: int) -> str:
    """`gallery:video:epoch`: says that a run's people were committed to a gallery."""
    return f"{gallery}:{video_id}:{epoch}"


def command_ledger_key(gallery: str, event: str) -> str:
    """`gallery:command:event`: says that a command was carried out."""
    return f"{gallery}:command:{event}"


def appearance_key(profile_id: str, video_id: str) -> str:
    """`profile:video`."""
    return f"{profile_id}:{video_id}"


def event_id(event: str, *parts: str | int) -> str:
    """The id of an event about `parts`: publishing it again gives the same id, which consumers drop."""
    return derived("event", event, *parts)


def upload_key(nonce: str) -> str:
    """Where an upload goes in the bucket; its hash is not known before it ends. Names users gave never become paths."""
    return f"{OWN_UPLOADS}{nonce}"


def crops_prefix(video_id: str, epoch: int) -> str:
    """Everything one run cut out of its video."""
    return f"{CROPS}{video_id}/{epoch}/"


def crop_key(video_id: str, epoch: int, chunk: int, track: int, digest: str = "") -> str:
    """Where the crop of one track lies in the bucket: results that differ do not write over each other's. Without a
    digest: where earlier versions put it."""
    result = f"{chunk}-{digest}" if digest else f"{chunk}"
    return f"{crops_prefix(video_id, epoch)}{result}-{track}.jpg"


def picture_key(change: str, n: int) -> str:
    """Where the crop of the n-th picture lies with which a change has enrolled somebody."""
    return crop_key(enrolment_id(change), BY_HAND, 0, n)
