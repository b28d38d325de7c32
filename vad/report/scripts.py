"""Data as classic scripts, which a page also loads from the disk."""

import json
import re
from typing import Any

from vad.store.digests import digest

LONGEST = 60  # characters of a name that are kept


def call(function: str, value: Any) -> str:
    """A script that calls a function with a value.

    Args:
        function: its name, such as `report.clip`.
        value: what JSON can represent, numbers finite.

    Returns:
        A line of JavaScript that is also safe inside of <script>: text of the value cannot end it.

    Raises:
        ValueError: for NaN and infinity.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII alone
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{function}({text});\n"


def safe_name(clip: str) -> str:
    """A path for the files of a clip that any file system and any address can hold, without suffix.

    Args:
        clip: id of the clip, `<split>/<name>`.

    Returns:
        The id of letters of ASCII, digits, `-`, `_` and one `/`; with a digest where another id might give
        the same.
    """
    split, _, name = clip.partition("/")
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:LONGEST]
    return f"{split}/{safe}" if safe == name else f"{split}/{safe}-{digest(clip)[:12]}"
