"""CSV files written by users: labels, tables of clips, identities."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from vad import UserError
from vad.store.intervals import Intervals

UNLABELLED = ("unlabelled", "unlabeled")  # British and American


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Reads a CSV file with a header, as programs and spreadsheets write it.

    A byte order mark, CRLF, empty lines and rows, empty fields after the last column and spaces around fields
    are accepted, and `;` or a tab as separator if the header has it. A first line `sep=;` (Excel) names it.

    Args:
        path: the file.
        columns: names of the required columns.

    Returns:
        (`<file> line <n>` for messages, values by column without surrounding spaces) per row.

    Raises:
        UserError: if the file is missing, not UTF-8 text or lacks a column, or a row has more fields than the
            header.
    """
    if path.exists() and not path.is_file():  # opening a FIFO would wait forever
        raise UserError(f"{path}: not a file; expected a CSV file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        lines = _lines(text, columns)
        _, header = next(lines, (0, []))
        if missing := [name for name in columns if name not in header]:
            raise UserError(
                f"{path}: missing column {', '.join(missing)}; found {', '.join(header) or 'nothing'}; "
                f"expected at least {', '.join(columns)}, separated by commas"
            )
        rows = []
        for number, fields in lines:
            where = f"{path} line {number}"
            if any(fields[len(header) :]):
                raise UserError(
                    f"{where}: {len(fields)} fields, but the header has {len(header)}; "
                    'put a name with a comma into "quotes"'
                )
            if any(fields):
                fields += [""] * (len(header) - len(fields))
                rows.append((where, dict(zip(header, fields, strict=False))))
    except FileNotFoundError:
        raise UserError(f"{path} not found") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({e})") from None
    return rows


def has_columns(path: Path, columns: Sequence[str]) -> bool:
    """Whether a file begins with a header that has these columns; never raises UserError."""
    with open(path, "rb") as file:
        # only the beginning, of files of any encoding
        text = file.read(1000).decode("utf-8-sig", "replace")
    try:
        _, header = next(_lines(text, columns), (0, []))
    except csv.Error:
        return False
    return {*columns} <= {*header}


def _lines(text: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields (number of the line, stripped fields) from the header on, by the separator of the header."""
    if named := re.match(r"sep=(.)\r?\n", text, re.IGNORECASE):
        return _split(text[named.end() :], named[1], 1)
    # by the header alone, since the names of clips may hold any of the three
    for separator in ",;\t":
        _, header = next(_split(text, separator), (0, []))
        if {*columns} <= {*header}:
            return _split(text, separator)
    return _split(text, ",")


def _split(text: str, separator: str, before: int = 0) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    for fields in reader:
        yield reader.line_num + before, [field.strip() for field in fields]


def frame_number(where: str, row: dict[str, str], column: str) -> int | None:
    """Reads a frame number.

    Args:
        where: file and line, for messages.
        row: values by column.
        column: name of the column.

    Returns:
        The number, also of `120.0`, as spreadsheets and pandas write it; None if the field is empty or there
        is no such column.

    Raises:
        UserError: if the field is not a frame number.
    """
    text = row.get(column, "")
    if not text:
        return None
    if not (match := re.fullmatch(r"([0-9]+)([.,]0*)?", text)):
        raise UserError(f"{where}: {column} = {text!r}; expected a frame number, counted from 0")
    return int(match[1])


def labelled_intervals(where: str, row: dict[str, str]) -> Intervals | None:
    """Reads the interval in the columns `start` and `end`.

    Args:
        where: file and line, for messages.
        row: values by column.

    Returns:
        [(start, end)]; [] if both fields are empty; None if `start` is `unlabelled` and `end` empty.

    Raises:
        UserError: unless start < end.
    """
    if row["start"].lower() in UNLABELLED:
        if row["end"]:
            raise UserError(f"{where}: start = {row['start']!r}, end = {row['end']!r}; expected an empty end")
        return None
    start, end = frame_number(where, row, "start"), frame_number(where, row, "end")
    if start is None and end is None:
        return []
    if start is None or end is None or start >= end:
        raise UserError(
            f"{where}: start = {row['start']!r}, end = {row['end']!r}; expected start < end (end exclusive), "
            "both empty for a normal clip, or start = unlabelled and end empty"
        )
    return [(start, end)]


def combine(where: str, earlier: Intervals | None, later: Intervals | None) -> Intervals | None:
    """Combines the rows of a clip, each as `labelled_intervals` reads it.

    Args:
        where: file and line of the later row, for messages.
        earlier: of the rows before.
        later: of the row.

    Raises:
        UserError: if the clip is marked as unlabelled by some of its rows only.
    """
    if (earlier is None) != (later is None):
        raise UserError(
            f"{where}: this clip is marked as unlabelled, and labelled in another row; remove one"
        )
    return None if earlier is None or later is None else [*earlier, *later]


def nfc(text: str) -> str:
    """Normalises the text to NFC, since file systems and spreadsheets encode accents in different ways."""
    return unicodedata.normalize("NFC", text)
