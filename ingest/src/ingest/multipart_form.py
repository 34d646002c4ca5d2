"""The form of an upload as it streams in: its small fields, and the bytes of its one file, never kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from castlist.api.problems import ProblemField
from castlist.service.problems import Problem
from ingest.video_details import Details, clean_name, valid

FILE = "file"
_KNOWN = (FILE, *Details.model_fields)
_MAX_FIELD = 8 * 1024
_UNNAMED = "unnamed"


@dataclass
class _Part:
    name: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


class Form:
    """Iterate `file_chunks` to its end, then `details` are complete: fields may come before the file and after it.

    Problem 400 for what is no form, 422 for fields that are unknown, repeated, too long or missing.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise Problem(400, "The multipart body names no boundary.")
        self._body = body
        self._ready: list[bytes] = []
        self._part = _Part()
        self._header = (bytearray(), bytearray())
        # It bounds the length and the number of a part's headers by itself.
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._headers_done,
                    "on_part_data": lambda data, start, end: self._data(data[start:end]),
                    "on_part_end": self._end,
                    "on_end": self._end_all,
                },
            )
        except FormParserError as error:
            raise Problem(400, f"The multipart body cannot be read: {error}") from None
        self._whole = False
        self._fields: dict[str, str] = {}
        self._file_name: str | None = None

    @property
    def details(self) -> Details:
        """What the fields say so far; the file's name is the video's unless it is given another."""
        given = dict(self._fields)
        given["name"] = str(clean_name(given.get("name", "")) or clean_name(self._file_name or "") or _UNNAMED)
        return valid(Details, given)

    async def file_chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes, as they arrive."""
        async for data in self._body:
            try:
                self._parser.write(data)
            except MultipartParseError as error:
                raise Problem(400, f"The multipart body cannot be read: {error}") from None
            ready, self._ready = self._ready, []
            for chunk in ready:
                yield chunk
        if not self._whole:
            raise Problem(400, "The multipart body ends before its last part does.")
        if self._file_name is None:
            raise _refused(FILE, "missing")
        _ = self.details  # refused here, the object is never completed

    def _begin(self) -> None:
        self._part = _Part()

    def _end_header(self) -> None:
        name, value = self._header
        self._part.headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_done(self) -> None:
        # As bytes: names are UTF-8 here, which text would be taken for Latin-1.
        _, options = parse_options_header(self._part.headers.get(b"content-disposition"))
        name = self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in _KNOWN:
            raise _refused(name[:100], "unknown field")
        if name in self._fields or (name == FILE and self._file_name is not None):
            raise _refused(name, "given twice")
        if name == FILE:
            self._file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            _ = self.details  # what is wrong already need not wait for the file's end

    def _data(self, data: bytes) -> None:
        if self._part.name == FILE:
            self._ready.append(data)
            return
        self._part.data += data
        if len(self._part.data) > _MAX_FIELD:
            raise _refused(self._part.name, "too long")

    def _end(self) -> None:
        if self._part.name != FILE:
            self._fields[self._part.name] = bytes(self._part.data).decode("utf-8", "replace")

    def _end_all(self) -> None:
        self._whole = True


def _refused(name: str, message: str) -> Problem:
    return Problem(
        422,
        f"The form is not valid: {name or 'a part'}: {message}.",
        errors=[ProblemField(field=name, message=message)],
    )
