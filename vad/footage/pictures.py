"""Pictures, and folders of pictures that are the frames of a clip.

The pictures of a folder are its files with a suffix in `PICTURES`, in natural order (frame2 before frame10).
Hidden files are ignored, among them the files "._001.tif" that macOS writes to disks of other systems. A
folder has no frame rate; `PICTURE_FPS` is assumed, as ffmpeg does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from vad import UserError
from vad.store.placeholders import refuse_placeholder

PICTURES = frozenset({".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp"})
PICTURE_FPS = 25.0
Color = Literal["gray", "rgb"]


@dataclass(frozen=True)
class PictureFormat:
    """How the pictures of a folder are read, which they do not say themselves.

    Attributes:
        fps: frames per second.
        bits: meaningful bits of 16-bit pictures, 8 to 16; None for all 16, unless the pictures show fewer.
    """

    fps: float = PICTURE_FPS
    bits: int | None = None


DEFAULT_FORMAT = PictureFormat()

EXIF_ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)  # values of the orientation for which width and height are exchanged


def list_pictures(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in natural order; empty if there are none."""
    return sorted((path for path in folder.iterdir() if _is_picture(path)), key=_natural)


def need_pictures(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in natural order, at least one.

    Raises:
        UserError: if there are none.
    """
    paths = list_pictures(folder)
    if not paths:
        raise UserError(f"{folder}: a folder without pictures; expected {', '.join(sorted(PICTURES))}")
    return paths


def is_picture_folder(path: Path) -> bool:
    """Whether `path` is a folder that directly contains pictures."""
    return path.is_dir() and any(_is_picture(entry) for entry in path.iterdir())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> tuple[list[str | int], str]:
    """Sort key of the natural order."""
    # text and numbers alternate, so keys of two names compare text with text and number with number
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def read_picture(path: Path, color: Color, bits: int | None = None) -> np.ndarray:
    """Reads a picture and sets it upright.

    Of 16-bit pictures the upper 8 bits are kept; transparency is dropped.

    Args:
        path: the file.
        color: gray or RGB.

    Returns:
        uint8 [H, W] (BT.601 luma, 0..255) or [H, W, 3] (RGB).

    Raises:
        UserError: if the file is missing, empty, a Git-LFS pointer, cut off or not a picture.
    """
    refuse_placeholder(path)
    data = np.fromfile(path, np.uint8)  # not cv2.imread, which cannot open non-ASCII names on Windows
    kind = cv2.IMREAD_GRAYSCALE if color == "gray" else cv2.IMREAD_COLOR_RGB
    try:
        picture = cv2.imdecode(data, kind)
    except cv2.error:
        picture = None
    if picture is None:
        raise UserError(f"{path}: not a whole picture that can be decoded; copy it again, or remove it")
    return picture


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a picture set upright, read from its header.

    Raises:
        UserError: as `read_picture`.
    """
    refuse_placeholder(path)
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            sideways = picture.getexif().get(EXIF_ORIENTATION) in SIDEWAYS
    except (
        OSError,
        SyntaxError,
        ValueError,
    ):  # Pillow cannot read the header, but OpenCV may decode the file
        height, width = read_picture(path, "gray").shape
        sideways = False
    return (height, width) if sideways else (width, height)


def common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """(width, height) in pixels of the pictures of a clip.

    Raises:
        UserError: if their sizes differ, naming the first picture that differs.
    """
    size = picture_size(paths[0])
    for path in paths[1:]:
        refuse_other_size(path, picture_size(path), paths[0], size)
    return size


def refuse_other_size(path: Path, size: tuple[int, int], first: Path, expected: tuple[int, int]) -> None:
    """Refuses a picture whose size differs from the first picture of the clip.

    Args:
        path: the picture.
        size: width and height of the picture.
        first: the first picture of the clip.
        expected: width and height of the first picture.

    Raises:
        UserError: if the sizes differ.
    """
    if size != expected:
        raise UserError(
            f"{path}: {size[0]}x{size[1]} pixels, but {first.name} in the same folder has "
            f"{expected[0]}x{expected[1]}; all pictures of a clip need the same size"
        )
