"""Pictures, and folders of pictures that are the frames of a clip.

The pictures of a folder are its files with a suffix in `PICTURES`, in the order of `picture_names`. Hidden
files are ignored, among them the files "._001.tif" that macOS writes to disks of other systems. A folder has
no frame rate: `PictureFormat` gives it.

OpenCV decodes pictures, for its speed. Pillow reads headers, and decodes what OpenCV does not read rightly.
"""

import io
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageOps

from vad import UserError
from vad.footage.picture_names import in_order
from vad.store.placeholders import refuse_placeholder

PICTURES = frozenset(
    {".tif", ".tiff", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".avif"}
    | {".jp2", ".j2k", ".pbm", ".pgm", ".ppm", ".pnm"}
)
PICTURE_FPS = 25.0  # as ffmpeg assumes
Color = Literal["gray", "rgb"]


@dataclass(frozen=True)
class PictureFormat:
    """How the pictures of a folder are read, which they do not say themselves.

    Attributes:
        fps: frames per second.
        bits: meaningful bits of 16-bit pictures, 8 to 16; None for all 16, or a refusal of
            pictures that are nearly black then (`picture_headers.check_bits`).
    """

    fps: float = PICTURE_FPS
    bits: int | None = None


DEFAULT_FORMAT = PictureFormat()

EXTRA_SAMPLES, STRAIGHT_ALPHA = 338, 2  # tag of TIFF: transparency by which colours are not multiplied
NUMBERS = {"i": "signed integers", "u": "integers", "f": "floating-point numbers"}
LARGEST_POINTER = 1024  # bytes; of Git-LFS
# the size and the highest value of binary pictures .pgm and .ppm
PNM = re.compile(rb"P[56](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(?:255|65535)\s")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
# where the offset of the first directory of a TIFF stands; struct formats of the offset, of the number of
# entries, and of an entry: tag, type, count, and a value of 16 bits
CLASSIC, BIG = (4, "I", "H", "HHIH2x"), (8, "Q", "Q", "HHQH6x")
JPEG2000 = b"\xff\x4f\xff\x51"  # the start of a code stream; the number of bits follows at 42


def list_pictures(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in order; empty if there are none."""
    return in_order(path for path in folder.iterdir() if _is_picture(path))


def need_pictures(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in order, at least one.

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


def read_picture(path: Path, color: Color, bits: int | None = None) -> np.ndarray:
    """Reads a picture and sets it upright.

    Of 16-bit pictures the upper 8 of `bits` bits are kept; transparency is dropped.

    Args:
        path: the file.
        color: gray or RGB.
        bits: meaningful bits of 16-bit pictures, 8 to 16; values beyond them are clipped. None for all 16.

    Returns:
        uint8 [H, W] (BT.601 luma, 0..255) or [H, W, 3] (RGB).

    Raises:
        UserError: if the file is missing, empty, a Git-LFS pointer, cut off or not a picture, or its values
            are of a type without a known black and white.
    """
    data = _read_file(path)
    if bits is not None:
        picture = _decode(data, color, deep=True)
        if picture is not None and picture.dtype == np.uint16:
            picture = (np.minimum(picture, (1 << bits) - 1) >> (bits - 8)).astype(np.uint8)
    else:
        picture = _decode(data, color)
    if picture is None or picture.dtype != np.uint8:
        raise UserError(f"{path}: {_describe(data)}")
    return picture


def read_values(path: Path) -> np.ndarray:
    """Reads the values of a picture as they are stored, and sets it upright.

    Returns:
        [H, W] or [H, W, 3] (RGB), of any type of numbers.

    Raises:
        UserError: as `read_picture`, but types of numbers are no error.
    """
    data = _read_file(path)
    if _needs_pillow(data):
        stored = _open_upright(data)
        # int32, since 16-bit values are scaled by their maximum already
        picture = None if stored is None else np.asarray(_as_numbers(stored, "RGB"), np.int32)
    else:
        picture = _decode(data, "rgb", deep=True)
        if picture is None:  # colour is for types of up to 16 bits alone
            picture = _imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if picture is None:
        raise UserError(f"{path}: {_describe(data)}")
    return picture


def is_lossy(path: Path) -> bool:
    """Whether the compression of a picture may make black pixels near edges slightly gray."""
    with open(path, "rb") as file:
        head = file.read(64)
    # JPEG, JPEG 2000 and AVIF; of WebP, all but its lossless kind
    lossy = head[:2] == b"\xff\xd8" or JPEG2000 in head or b"jP  " in head[:12] or head[4:8] == b"ftyp"
    return lossy or (head[8:12] == b"WEBP" and b"VP8L" not in head)


def _read_file(path: Path) -> np.ndarray:
    try:
        data = np.fromfile(path, np.uint8)  # not cv2.imread, which cannot open non-ASCII names on Windows
    except OSError:
        data = np.empty(0, np.uint8)
    if data.size < LARGEST_POINTER:
        refuse_placeholder(path)
    return data


def _decode(data: np.ndarray, color: Color, deep: bool = False) -> np.ndarray | None:
    """Decodes a picture: uint8, or with `deep` in the type that is stored; None if it cannot be decoded."""
    if _needs_pillow(data):
        return _decode_with_pillow(data, color)
    if not deep:
        picture = _imdecode(data, cv2.IMREAD_GRAYSCALE if color == "gray" else cv2.IMREAD_COLOR_RGB)
    elif color == "gray":
        picture = _imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)
    else:
        # not IMREAD_COLOR_RGB, with which OpenCV 4.14 garbles 16-bit TIFF
        picture = _imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
        picture = None if picture is None else np.ascontiguousarray(picture[..., ::-1])
    # the other library reads some more types of up to 8 bits, such as TIFF with 4
    return _decode_with_pillow(data, color, at_most=8) if picture is None else picture


def _imdecode(data: np.ndarray, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:
        return None


def _needs_pillow(data: np.ndarray) -> bool:
    """Whether OpenCV decodes a picture of this kind, but not rightly."""
    head = data[:256].tobytes()
    if head[:4] in TIFF:  # transparent colours would be darkened
        return _has_straight_alpha(data.data, "<" if head[:1] == b"I" else ">")
    if head[:1] == b"P" and head[1:2] in b"12356":  # values would not be scaled by their maximum
        return PNM.match(head) is None
    if (start := head.find(JPEG2000)) >= 0:  # transparency, CMYK, YCbCr; of 16 bits, Pillow keeps 8
        return head[start + 42 : start + 43] != bytes([16 - 1])
    return head[4:8] == b"ftyp"  # AVIF: its orientation would be ignored


def _has_straight_alpha(data: memoryview, order: str) -> bool:
    """Whether a TIFF has transparency by which its colours are not multiplied; reads its first directory."""
    try:
        where, offset, count, entry = BIG if 43 in data[2:4] else CLASSIC
        (start,) = struct.unpack_from(order + offset, data, where)
        (n,) = struct.unpack_from(order + count, data, start)
        start += struct.calcsize(order + count)
        entries = struct.iter_unpack(order + entry, data[start : start + n * struct.calcsize(order + entry)])
        return any(tag == EXTRA_SAMPLES and value == STRAIGHT_ALPHA for tag, _, _, value in entries)
    except struct.error:
        return False  # cut off, as decoding will show


def _decode_with_pillow(data: np.ndarray, color: Color, at_most: int = 16) -> np.ndarray | None:
    picture = _open_upright(data)
    if picture is None or (picture.mode[0] in "IF" and at_most == 8):
        return None
    values = np.array(_as_numbers(picture, "L" if color == "gray" else "RGB"))
    if values.dtype != np.uint8:
        values = (values >> 8).astype(np.uint8)
    return np.dstack([values] * 3) if color == "rgb" and values.ndim == 2 else values


def _open_upright(data: np.ndarray) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(data.data)) as picture:
            return ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError):
        return None


def _as_numbers(picture: Image.Image, mode: str) -> Image.Image:
    """Converts a picture to 8 bits, unless it is gray with 16 bits, which Pillow does not convert rightly."""
    return picture if picture.mode.startswith("I") else picture.convert(mode)


def _describe(data: np.ndarray) -> str:
    """Why a picture cannot be read."""
    picture = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if picture is not None and (picture.dtype.kind != "u" or picture.itemsize > 2):
        return unknown_white(8 * picture.itemsize, NUMBERS[picture.dtype.kind])
    try:
        with Image.open(io.BytesIO(data.data)) as stored:
            stored.load()
            kind = f"{stored.format} {stored.mode}"
            return f"a picture of type {kind}, which is not read; save it as gray or RGB PNG"
    except (OSError, SyntaxError, ValueError):
        return "not a whole picture that can be decoded; copy it again, or remove it"


def unknown_white(bits: int, numbers: str) -> str:
    """The message about a picture whose values are of a type without a known black and white."""
    return (
        f"its values are {bits}-bit {numbers}, which have no known black and white; save it with 8 or 16 bits"
    )


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
