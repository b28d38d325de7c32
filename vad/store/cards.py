"""Cards: small JSON files that describe the arrays and tables beside them."""

import json
from pathlib import Path
from typing import Any

from vad import UserError


def read_card(stem: Path) -> dict[str, Any]:
    """Reads the card <stem>.json.

    Raises:
        UserError: if the file is missing or broken.
    """
    return read_json(Path(f"{stem}.json"))


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: if the file is missing or broken.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: cannot be read ({e}); `dvc repro` makes it anew") from None


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys and a final newline, so that the same value gives the same bytes.

    Raises:
        ValueError: for NaN and infinity, which JSON cannot represent; the file is then not written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")
