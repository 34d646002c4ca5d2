"""Rows as CSV (RFC 4180) that no spreadsheet takes for anything but text and numbers."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
Cell = str | int | float | bool | None


def csv_rows(rows: Iterable[Sequence[Cell]]) -> bytes:
    """The rows, in UTF-8. Text that a spreadsheet would work out has an apostrophe before it: people call videos and
    each other what they like."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerows([_cell(cell) for cell in row] for row in rows)
    return file.getvalue().encode()


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
