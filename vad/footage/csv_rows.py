"""CSV files that people write: labels, tables, who is who."""

import csv
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from vad import UserError


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """(`file line n` for messages, row) of a CSV file made by people; values are stripped.

    A byte order mark, CRLF and empty lines are fine. Raises UserError if the file is missing, no
    UTF-8 text, lacks one of the `columns`, or a row has more fields than the header.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            head = [name.strip() for name in reader.fieldnames or []]
            if lacking := [name for name in columns if name not in head]:
                raise UserError(
                    f"{path}: missing column {', '.join(lacking)}; found {', '.join(head) or 'nothing'}; "
                    f"expected at least {', '.join(columns)}, separated by commas"
                )
            reader.fieldnames = head
            rows = []
            for row in reader:
                where = f"{path} line {reader.line_num}"
                if None in row:
                    raise UserError(
                        f"{where}: {len(head) + len(row[None])} fields, but the header has {len(head)}; "
                        'put a name with a comma into "quotes"'
                    )
                rows.append((where, {name: value.strip() for name, value in row.items()}))
    except FileNotFoundError:
        raise UserError(f"{path} not found") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({e})") from None
    return rows


def whole(where: str, row: dict[str, str], column: str) -> int | None:
    """The frame number in a column, None where it is empty. Raises UserError for anything else."""
    text = row.get(column, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UserError(f"{where}: {column} = {text!r}; expected a frame number, counted from 0")
    return int(text) if text else None


def interval(where: str, row: dict[str, str]) -> list[tuple[int, int]]:
    """[(start, end)] of a row, [] where both are empty."""
    start, end = whole(where, row, "start"), whole(where, row, "end")
    if start is None and end is None:
        return []
    if start is None or end is None or start >= end:
        raise UserError(
            f"{where}: start = {row['start']!r}, end = {row['end']!r}; expected start < end (end exclusive), "
            "or both empty for a normal clip"
        )
    return [(start, end)]


def nfc(text: str) -> str:
    """One spelling for accents, which file systems and spreadsheets write in two ways."""
    return unicodedata.normalize("NFC", text)
