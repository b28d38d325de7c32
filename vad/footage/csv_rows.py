"""CSV files written by users: labels, tables of clips, identities."""

import csv
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from vad import UserError
from vad.store.intervals import Intervals


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Reads a CSV file with a header; a byte order mark, CRLF and empty lines are accepted.

    Args:
        path: the file.
        columns: names of the required columns.

    Returns:
        (`<file> line <n>` for messages, values by column without surrounding spaces) per row.

    Raises:
        UserError: if the file is missing, not UTF-8 text or lacks a column, or a row has more fields than the
            header.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            header = [name.strip() for name in reader.fieldnames or []]
            if missing := [name for name in columns if name not in header]:
                raise UserError(
                    f"{path}: missing column {', '.join(missing)}; found {', '.join(header) or 'nothing'}; "
                    f"expected at least {', '.join(columns)}, separated by commas"
                )
            reader.fieldnames = header
            rows = []
            for row in reader:
                where = f"{path} line {reader.line_num}"
                if None in row:  # the key under which csv collects the fields beyond the header
                    raise UserError(
                        f"{where}: {len(header) + len(row[None])} fields, but the header has {len(header)}; "
                        'put a name with a comma into "quotes"'
                    )
                rows.append((where, {name: value.strip() for name, value in row.items()}))
    except FileNotFoundError:
        raise UserError(f"{path} not found") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({e})") from None
    return rows


def frame_number(where: str, row: dict[str, str], column: str) -> int | None:
    """Reads a frame number.

    Args:
        where: file and line, for messages.
        row: values by column.
        column: name of the column.

    Returns:
        The number; None if the field is empty or there is no such column.

    Raises:
        UserError: if the field is not a frame number.
    """
    text = row.get(column, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UserError(f"{where}: {column} = {text!r}; expected a frame number, counted from 0")
    return int(text) if text else None


def labelled_intervals(where: str, row: dict[str, str]) -> Intervals:
    """Reads the interval in the columns `start` and `end`.

    Args:
        where: file and line, for messages.
        row: values by column.

    Returns:
        [(start, end)]; [] if both fields are empty.

    Raises:
        UserError: unless start < end.
    """
    start, end = frame_number(where, row, "start"), frame_number(where, row, "end")
    if start is None and end is None:
        return []
    if start is None or end is None or start >= end:
        raise UserError(
            f"{where}: start = {row['start']!r}, end = {row['end']!r}; expected start < end (end exclusive), "
            "or both empty for a normal clip"
        )
    return [(start, end)]


def nfc(text: str) -> str:
    """Normalises the text to NFC, since file systems and spreadsheets encode accents in different ways."""
    return unicodedata.normalize("NFC", text)
