"""Names that were retired stay retired: one thing has one name (docs/glossary.md)."""

import io
import re
import tokenize
from pathlib import Path

import pytest

from testkit.source import ROOT

MODULES = re.findall(
    r"\w+",
    """
    announcer answers arrival best board burying cache calls changes chunk chunks cnn consuming cuts detect difference
    distance encoder_onnx fair follow forms identities likeness linkage log logging matching multipart neighbours page
    plan planning pulse reading reporting responses running schema schemas sheet sniff sparse sweeper together touched
    track trials views wire wiring wording worker workshop writes
    """,
)
NAMES = re.findall(
    r"\w+",
    """
    After AlreadyExists Announcer Arrival Burial ChangeFinder ChildLost Chunks Collected Commanded CropView
    DetectSettings Ended FaceFollower FieldError GalleryState Garbled GaveUp JobBug Likeness LimitsExceeded Loaded
    MatchSettings Matcher NoVideoStream NotAVideo NotFound ObjectChanged ObjectMissing Poison Portion Pulse Reading
    Refused Running Stale Standing Stopped Succession TaskSettings Todo Together TooDense TooLarge Trials Unavailable
    Undecodable Unreachable Worked Workshop Writes attempt_key buried bury chunk_planned chunks_again crop_event
    crops_of for_ever for_portion give_up heirs ledger_entry member_of next_portion obey outlast person_document
    recluster_key reconcile_for_ever retune succession sweep_for_ever todo_of votes waiting_commands work_chunk
    """,
)
FOLDERS = ("libs", "ingest", "frame-workers", "profile-aggregator", "query-api", "deploy", "tests")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def identifiers(path: Path) -> set[str]:
    """Every name in a module; words in comments and texts are not names."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_name_is_used(path: Path) -> None:
    """Neither for a class, a function or a variable, nor for a module."""
    assert identifiers(path).isdisjoint(NAMES)
    assert path.stem not in MODULES
