"""Names of the pictures in a folder: their order, and what they say about the folder.

The order is the natural one: frame2 before frame10. Where the names are decimal numbers, such as times in
seconds, their order is that of the numbers: 12.05 before 12.1, and 12.1 before 12.15.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from vad import UserError

DIGITS = re.compile(r"[0-9]+")
NUMBERS, DECIMALS = re.compile(r"([0-9]+)"), re.compile(r"([0-9]+(?:\.[0-9]+)?)")
# the fraction of a decimal number at the end of a name, which is no part of a longer row of dotted numbers
FRACTION = re.compile(r"(?:^|[^0-9.])[0-9]+\.([0-9]+)[^0-9.]*$")
# words by which names of masks and other maps differ from those of the frames beside them
MAP_WORDS = frozenset(
    {"anno", "depth", "disparity", "fg", "flow", "foreground", "gt", "heatmap", "instance", "instances"}
    | {"matte", "overlay", "seg", "semantic", "truth"}
)
MAP_PARTS = ("mask", "label", "segm", "annotation", "groundtruth", "silhouette")  # also within longer words
FIRST_TIME = 10**8  # a number without leading zeros from here on is a time, such as seconds since 1970


class Name(NamedTuple):
    """The name of a picture in its parts.

    Attributes:
        path: the picture.
        stem: the name without suffix.
        text: the stem in lower case, with # for each number.
        numbers: the numbers in it.
    """

    path: Path
    stem: str
    text: str
    numbers: tuple[int, ...]


def split_names(paths: Iterable[Path]) -> list[Name]:
    """Splits the names of pictures into their parts."""
    names = []
    for path in paths:
        stem = path.stem
        text = DIGITS.sub("#", stem.casefold())
        names.append(Name(path, stem, text, tuple(map(int, DIGITS.findall(stem)))))
    return names


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sorts pictures by name: in natural order, or in the order of decimal numbers."""
    paths = list(paths)
    number = DECIMALS if _are_decimals([path.stem for path in paths]) else NUMBERS
    return sorted(paths, key=lambda path: _key(path.name, number))


def _are_decimals(stems: Iterable[str]) -> bool:
    """Whether numbers with a dot are decimal numbers, not two counters such as those of clip1.9, clip1.10."""
    stems = list(stems)
    fractions = [match[1] for stem in stems if "." in stem and (match := FRACTION.search(stem))]
    if len({*map(len, fractions)}) <= 1:  # both orders are the same, unless whole numbers lack a fraction
        return 0 < len(fractions) < len(stems)
    # programs that write as many digits as needed never end a fraction in 0, but counters come to 10
    return not any(f[1:].endswith("0") for f in fractions)


def _key(name: str, number: re.Pattern[str]) -> tuple[list[str | tuple[int, str]], str]:
    # text and numbers alternate, so keys of two names compare text with text and number with number
    parts: list[str | tuple[int, str]] = []
    for i, part in enumerate(number.split(name.casefold())):
        if i % 2:
            whole, _, fraction = part.partition(".")
            parts.append((int(whole), fraction.rstrip("0")))  # fractions compare digit by digit
        else:
            parts.append(part)
    return parts, name


def refuse_pairs(names: Sequence[Name]) -> None:
    """Refuses a folder in which a frame lies beside its mask, or beside a copy of itself.

    Args:
        names: of the pictures of the folder.

    Raises:
        UserError: naming both pictures.
    """
    stems: dict[str, Path] = {}
    for name in names:
        if (other := stems.setdefault(name.stem, name.path)) is not name.path:
            raise UserError(_pair(other, name.path))
    of_maps = {text for text in {name.text for name in names} if _is_map(text)}
    if not of_maps:
        return
    frames: dict[tuple[int, ...], Path] = {}
    for name in names:
        if name.text not in of_maps:
            frames.setdefault(name.numbers, name.path)
    for name in names:
        if name.text in of_maps:
            for n in range(len(name.numbers), 0, -1):  # 001_mask_2 belongs to 001, too
                if frame := frames.get(name.numbers[:n]):
                    raise UserError(_pair(frame, name.path))


def _is_map(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text)
    return any(word in MAP_WORDS or any(part in word for part in MAP_PARTS) for word in words)


def _pair(frame: Path, other: Path) -> str:
    return (
        f"{frame}: {other.name} lies beside it and has the same number, so both would be frames of the clip; "
        "keep one picture per frame in the folder, and masks in a folder of their own"
    )


def several_series(names: Sequence[Name]) -> str | None:
    """Describes the series of pictures in a folder, such as fall_001, fall_002, … and sit_001, sit_002, ….

    Args:
        names: of the pictures of the folder, in order.

    Returns:
        The first picture of each, or None if the names are of one kind, or of as many kinds as there are
        pictures, as names with random letters are.
    """
    count = Counter(name.text for name in names)
    if len(count) < 2 or min(count.values()) < 2:
        return None
    first = {name.text: name.path.name for name in reversed(names)}
    shown = [first[text] for text in count]
    return ", ".join(f"{name} …" for name in shown[:3]) + (f" and {len(shown) - 3} more" * (len(shown) > 3))


def missing_numbers(names: Sequence[Name]) -> str | None:
    """Describes missing numbers among pictures that are numbered with a constant step.

    Args:
        names: of the pictures of the folder, in order.

    Returns:
        How many numbers are missing, and after which picture first; None if none are, or if the names are
        times or not numbered.
    """
    if _are_decimals(name.stem for name in names):
        return None
    series = defaultdict(list)
    for name in names:
        series[name.text].append(name)
    missing, first = 0, ""
    for members in series.values():
        for before, n in _missing(members):
            missing += n
            first = first or before.path.name
    return f"{missing} missing, the first after {first}" if missing else None


def _missing(names: Sequence[Name]) -> list[tuple[Name, int]]:
    """(picture, how many numbers are missing after it), where names differ in a single number."""
    columns = zip(*(name.numbers for name in names), strict=True)
    varying = [column for column in columns if len({*column}) > 1]
    if len(varying) != 1 or len(names) < 3:  # several numbers vary in dates and times
        return []
    [values] = varying
    padded = any(digits[0] == "0" for digits in DIGITS.findall(names[0].stem))
    if values[0] >= FIRST_TIME and not padded:
        return []
    steps = [b - a for a, b in pairwise(values)]
    step, often = Counter(steps).most_common(1)[0]
    # steps that are no multiples of the most frequent one are those of times, or of a choice of frames
    if step < 1 or 2 * often <= len(steps) or any(s % step for s in steps):
        return []
    return [(name, s // step - 1) for name, s in zip(names, steps, strict=False) if s != step]
