"""A multipart/form-data body as it streams in: its small fields, and the bytes of its one file, never kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from castlist.http import FieldError, Problem

_MAX_FIELD = 64 * 1024
_MAX_HEADERS = 16 * 1024
FILE = "file"


@dataclass
class _Part:
    name: str = ""
    filename: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


class Form:
    """Iterate `file_chunks` to the end; then `fields` and `file_name` are complete. Problem for what is no form."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise Problem(400, "The multipart body names no boundary.")
        self._body = body
        self._ready: list[bytes] = []
        self._part = _Part()
        self._header = (bytearray(), bytearray())
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._collect(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._collect(1, data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._headers_done,
                "on_part_data": lambda data, start, end: self._data(data[start:end]),
                "on_part_end": self._end,
                "on_end": self._end_all,
            },
        )
        self._whole = False
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None

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
        if self.file_name is None:
            raise Problem(422, "The form has no file.", errors=[FieldError(field=FILE, message="missing")])

    def _begin(self) -> None:
        self._part = _Part()

    def _collect(self, which: int, data: bytes) -> None:
        self._header[which].extend(data)
        if len(self._header[which]) > _MAX_HEADERS:
            raise Problem(400, "A part's header is too long.")

    def _end_header(self) -> None:
        name, value = (bytes(part).decode("utf-8", "replace") for part in self._header)
        self._part.headers[name.lower()] = value
        self._header = (bytearray(), bytearray())

    def _headers_done(self) -> None:
        _, options = parse_options_header(self._part.headers.get("content-disposition", ""))
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            self._part.filename = options[b"filename"].decode("utf-8", "replace")
        if self._part.name in self.fields or (self._part.name == FILE and self.file_name is not None):
            name = self._part.name
            raise Problem(422, "A field is given twice.", errors=[FieldError(field=name, message="given twice")])
        if self._part.name == FILE:
            self.file_name = self._part.filename or ""

    def _data(self, data: bytes) -> None:
        if self._part.name == FILE:
            self._ready.append(data)
            return
        self._part.data += data
        if len(self._part.data) > _MAX_FIELD:
            name = self._part.name
            raise Problem(422, "A field is too long.", errors=[FieldError(field=name, message="too long")])

    def _end(self) -> None:
        if self._part.name != FILE:
            self.fields[self._part.name] = bytes(self._part.data).decode("utf-8", "replace")

    def _end_all(self) -> None:
        self._whole = True
