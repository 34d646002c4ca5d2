"""How the form of an upload is read while it streams in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from castlist.service.problems import Problem
from ingest.multipart_form import Form

TYPE = 'multipart/form-data; boundary="line"'


def field(name: str, value: str) -> bytes:
    return f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(data: bytes, name: str = "lobby.mp4") -> bytes:
    head = f'--line\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return head.encode() + b"Content-Type: video/mp4\r\n\r\n" + data + b"\r\n"


END = b"--line--\r\n"


async def read(body: bytes, step: int = 1 << 20, content_type: str = TYPE) -> tuple[Form, bytes]:
    """The form, read `step` bytes at a time, and its file."""

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    form = Form(content_type, stream())
    return form, b"".join([chunk async for chunk in form.file_chunks()])


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_the_file_comes_out_as_it_went_in_however_it_was_cut(step: int) -> None:
    """Also when it looks like a boundary in places; fields come before the file and after it."""
    data = b"\r\n--lin\r\n--lines\r\n\r\n" * 5 + bytes(range(256))
    form, out = await read(field("gallery", "cast") + file(data) + field("again", "true") + END, step)
    assert out == data
    assert (form.details.gallery, form.details.name, form.details.again) == ("cast", "lobby.mp4", True)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("lobby.mp4", "lobby.mp4"),
        ("вестибюль – 1.mp4", "вестибюль – 1.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\lobby.mp4", "lobby.mp4"),
        ("a\u202eb\x07c.mp4", "abc.mp4"),
        ("x" * 400, "x" * 255),
        ("", "unnamed"),
        ("/", "unnamed"),
    ],
)
async def test_names_are_text_only(sent: str, kept: str) -> None:
    """No paths, nothing that does not print, bounded; any script."""
    form, _ = await read(file(b"data", sent) + END)
    assert form.details.name == kept


async def test_a_name_that_is_given_stands_before_the_files_own() -> None:
    """A blank one does not."""
    given, _ = await read(file(b"data") + field("name", "Lobby") + END)
    blank, _ = await read(field("name", " ") + file(b"data") + END)
    assert (given.details.name, blank.details.name) == ("Lobby", "lobby.mp4")


async def test_recorded_at_is_an_instant() -> None:
    """With an offset it is converted; without one nobody knows when that was."""
    form, _ = await read(field("recorded_at", "2024-05-01T12:00:00+02:00") + file(b"data") + END)
    assert form.details.recorded_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    with pytest.raises(Problem) as refused:
        await read(field("recorded_at", "2024-05-01T12:00:00") + file(b"data") + END)
    assert [error.field for error in refused.value.errors] == ["recorded_at"]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b"", 400, []),
        (b"nonsense", 400, []),
        (file(b"data"), 400, []),
        (field("gallery", "cast") + END, 422, ["file"]),
        (file(b"data") + field("colour", "red") + END, 422, ["colour"]),
        (file(b"data") + file(b"data") + END, 422, ["file"]),
        (field("name", "a") + field("name", "b") + file(b"data") + END, 422, ["name"]),
        (field("name", "a" * 9000) + file(b"data") + END, 422, ["name"]),
        (file(b"data") + field("gallery", "No Such!") + END, 422, ["gallery"]),
        (file(b"data") + field("again", "perhaps") + END, 422, ["again"]),
        (file(b"data") + field("external_id", "") + END, 422, ["external_id"]),
        (file(b"data") + field("recorded_at", "0001-01-01T00:00:00+10:00") + END, 422, ["recorded_at"]),
        (b"--line\r\nContent-Type: video/mp4\r\n\r\ndata\r\n" + END, 422, [""]),
        (b"--line\r\n" + b"X-Long: 1\r\n" * 100 + b"\r\ndata\r\n" + END, 400, []),
    ],
)
async def test_what_is_no_such_form_is_refused(body: bytes, status: int, named: list[str]) -> None:
    """400 for what cannot be read, 422 with the field for what is not asked for."""
    with pytest.raises(Problem) as refused:
        await read(body)
    assert (refused.value.status, [error.field for error in refused.value.errors]) == (status, named)


async def test_a_wrong_field_before_the_file_is_refused_before_the_file_is_read() -> None:
    """Nobody waits for 20 GB to hear that the gallery's name is none."""
    form_end_missing = field("gallery", "No Such!") + file(b"data" * 1000)
    with pytest.raises(Problem) as refused:
        await read(form_end_missing, 64)
    assert refused.value.status == 422


async def test_a_body_without_a_boundary_is_refused() -> None:
    """The header has to name it."""
    with pytest.raises(Problem) as refused:
        await read(b"", content_type="multipart/form-data")
    assert refused.value.status == 400


@pytest.mark.parametrize("boundary", ["x" * 257, "x" * 70_000])
async def test_a_boundary_is_bounded(boundary: str) -> None:
    """A mistake of the client's, not of ours."""
    with pytest.raises(Problem) as refused:
        await read(b"--" + boundary.encode() + b"--", content_type=f"multipart/form-data; boundary={boundary}")
    assert refused.value.status == 400
