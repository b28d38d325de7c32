"""Names of the pictures in a folder: their order, and what they say about the folder.

The order is the natural one: frame2 before frame10. Where the names are decimal numbers, such as times in
seconds, their order is that of the numbers: 12.05 before 12.1, and 12.1 before 12.15.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from vad import UserError

# a decimal number at the end of a name, where none of its digits belongs to a longer row of dotted numbers
DECIMAL = re.compile(r"(?:^|[^0-9.])[0-9]+\.([0-9]+)[^0-9.]*$")
# words by which names of masks and other maps differ from those of the frames beside them
MAP_WORDS = frozenset(
    {"anno", "depth", "disparity", "fg", "flow", "foreground", "gt", "heatmap", "instance", "instances"}
    | {"matte", "overlay", "seg", "semantic", "truth"}
)
MAP_PARTS = ("mask", "label", "segm", "annotation", "groundtruth", "silhouette")  # also within longer words
FIRST_TIME = 10**8  # a number without leading zeros from here on is a time, such as seconds since 1970


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sorts pictures by name: in natural order, or in the order of decimal numbers."""
    paths = list(paths)
    number = r"([0-9]+(?:\.[0-9]+)?)" if _are_decimals(paths) else r"([0-9]+)"
    return sorted(paths, key=lambda path: _key(path.name, number))


def _are_decimals(paths: Sequence[Path]) -> bool:
    """Whether numbers with a dot are decimal numbers, not two counters such as those of clip1.9, clip1.10."""
    fractions = [match[1] for path in paths if (match := DECIMAL.search(path.stem))]
    if (
        len({*map(len, fractions)}) <= 1
    ):  # then both orders are the same, unless whole numbers lack a fraction
        return 0 < len(fractions) < len(paths)
    # programs that write as many digits as needed never end a fraction in 0, but counters come to 10
    return not any(f[1:].endswith("0") for f in fractions)


def _key(name: str, number: str) -> tuple[list[str | tuple[int, str]], str]:
    # text and numbers alternate, so keys of two names compare text with text and number with number
    parts: list[str | tuple[int, str]] = []
    for i, part in enumerate(re.split(number, name.casefold())):
        if i % 2:
            whole, _, fraction = part.partition(".")
            parts.append((int(whole), fraction.rstrip("0")))  # fractions compare digit by digit
        else:
            parts.append(part)
    return parts, name


def _text(path: Path) -> str:
    """The name without suffix, with # for each number."""
    return re.sub(r"[0-9]+", "#", path.stem.casefold())


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", path.stem))


def refuse_pairs(paths: Sequence[Path]) -> None:
    """Refuses a folder in which a frame lies beside its mask, or beside a copy of itself.

    Args:
        paths: the pictures of the folder.

    Raises:
        UserError: naming both pictures.
    """
    stems: dict[str, Path] = {}
    frames: dict[tuple[int, ...], Path] = {}
    maps: list[Path] = []
    for path in paths:
        if (other := stems.setdefault(path.stem, path)) is not path:
            raise UserError(_pair(other, path))
        if _is_map(path):
            maps.append(path)
        else:
            frames.setdefault(_numbers(path), path)
    for path in maps:
        numbers = _numbers(path)
        for n in range(len(numbers), 0, -1):  # 001_mask_2 belongs to 001, too
            if frame := frames.get(numbers[:n]):
                raise UserError(_pair(frame, path))


def _is_map(path: Path) -> bool:
    words = re.findall(r"[^\W\d_]+", path.stem.casefold())
    return any(word in MAP_WORDS or any(part in word for part in MAP_PARTS) for word in words)


def _pair(frame: Path, other: Path) -> str:
    return (
        f"{frame}: {other.name} lies beside it and has the same number, so both would be frames of the clip; "
        "keep one picture per frame in the folder, and masks in a folder of their own"
    )


def several_series(paths: Sequence[Path]) -> str | None:
    """Tells of several series of pictures in a folder, such as fall_001, fall_002, … and sit_001, sit_002, ….

    Args:
        paths: the pictures of the folder, in order.

    Returns:
        The first picture of each, or None if the names are of one kind, or of as many kinds as there are
        pictures, as names with random letters are.
    """
    count = Counter(map(_text, paths))
    if len(count) < 2 or min(count.values()) < 2:
        return None
    first = {text: path.name for path, text in zip(reversed(paths), map(_text, reversed(paths)), strict=True)}
    names = [first[text] for text in count]
    return ", ".join(f"{name} …" for name in names[:3]) + (f" and {len(names) - 3} more" * (len(names) > 3))


def gaps(paths: Sequence[Path]) -> str | None:
    """Tells of missing numbers among pictures that are numbered with a constant step.

    Args:
        paths: the pictures of the folder, in order.

    Returns:
        How many numbers are missing, and after which picture first; None if none are, or if the names are
        times or not numbered.
    """
    if _are_decimals(paths):
        return None
    series = defaultdict(list)
    for path in paths:
        series[_text(path)].append(path)
    missing, first = 0, ""
    for members in series.values():
        for before, n in _missing(members):
            missing += n
            first = first or before.name
    return f"{missing} missing, the first after {first}" if missing else None


def _missing(paths: Sequence[Path]) -> list[tuple[Path, int]]:
    """(the picture before a gap, how many numbers it lacks), where names differ in a single number."""
    rows = [_numbers(path) for path in paths]
    varying = [column for column in zip(*rows, strict=True) if len({*column}) > 1]
    if len(varying) != 1 or len(paths) < 3:  # where several numbers vary, they are those of a time, or others
        return []
    [values] = varying
    if values[0] >= FIRST_TIME and not any(
        digits[0] == "0" for digits in re.findall(r"[0-9]+", paths[0].stem)
    ):
        return []
    steps = [b - a for a, b in pairwise(values)]
    step, often = Counter(steps).most_common(1)[0]
    # other steps than multiples of the usual one are those of times, or of a choice of frames
    if step < 1 or 2 * often <= len(steps) or any(s % step for s in steps):
        return []
    return [(path, s // step - 1) for path, s in zip(paths, steps, strict=False) if s != step]
