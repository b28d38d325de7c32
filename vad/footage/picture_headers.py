"""Headers of pictures: size, orientation, type; and whether the pictures of a folder make a clip."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from vad import UserError
from vad.footage.pictures import read_picture, read_values, refuse_other_size, unknown_white

SIDEWAYS = (5, 6, 7, 8)  # values of the orientation for which width and height are exchanged
SAMPLE = 16  # number of pictures of a clip that are decoded to see how many bits they use
FULL = 14  # pictures that need more bits than this use all 16
# tags of TIFF; that of the orientation is the same in EXIF
SUBFILE_TYPE, WIDTH, HEIGHT, BITS, ORIENTATION, SAMPLE_FORMAT = 254, 256, 257, 258, 274, 339
REDUCED_OR_MASK = 0b101  # of the type of a subfile
NUMBERS = {2: "signed integers", 3: "floating-point numbers", 5: "complex integers", 6: "complex numbers"}
SPLIT = (
    "import sys; from PIL import Image, ImageSequence as S; "
    "[p.save(f'{f}_{i:05}.png') for f in sys.argv[1:] for i, p in enumerate(S.Iterator(Image.open(f)))]"
)


class Header(NamedTuple):
    """What the header of a picture says.

    Attributes:
        width: of the picture set upright, in pixels.
        height: of the picture set upright, in pixels.
        deep: whether values may have 16 bits.
    """

    width: int
    height: int
    deep: bool = False


def read_header(path: Path) -> Header:
    """Reads the header of a picture.

    Raises:
        UserError: as `read_picture`, and if the file holds several pictures.
    """
    try:
        with Image.open(path) as picture:
            if getattr(picture, "is_animated", False) and (n := _count(picture)) > 1:
                raise UserError(
                    f"{path}: holds {n} pictures, but each frame needs a file of its own; split it, then "
                    f'remove it: python -c "{SPLIT}" {shlex.quote(str(path))}'
                )
            return _header(path, picture)
    except (OSError, SyntaxError, ValueError):  # missing, broken, or read by OpenCV alone
        height, width = read_picture(path, "gray").shape
        return Header(width, height)


def _count(picture: ImageFile.ImageFile) -> int:
    """Number of frames in a file, without thumbnails and masks of a TIFF or previews of a JPEG."""
    if not isinstance(picture, TiffImageFile):
        return 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    count, size = 0, picture.size
    for i in range(picture.n_frames):
        picture.seek(i)
        count += picture.size == size and not picture.tag_v2.get(SUBFILE_TYPE, 0) & REDUCED_OR_MASK
    picture.seek(0)
    return count


def _header(path: Path, picture: ImageFile.ImageFile) -> Header:
    width, height = picture.size
    orientation, deep = 1, False
    if isinstance(picture, TiffImageFile):
        # not picture.size, which may be upright already
        tags = picture.tag_v2
        width, height, orientation = tags[WIDTH], tags[HEIGHT], tags.get(ORIENTATION, 1)
        bits, numbers = tags.get(BITS, (1,))[0], tags.get(SAMPLE_FORMAT, (1,))[0]
        if bits > 16 or (numbers in NUMBERS and bits > 8):
            raise UserError(f"{path}: {unknown_white(bits, NUMBERS.get(numbers, 'integers'))}")
        if bits not in (1, 2, 4, 8, 16):
            raise UserError(f"{path}: its values are {bits}-bit integers; save it with 8 or 16 bits")
        deep = bits == 16
    else:
        if block := picture.info.get("exif"):
            exif = Image.Exif()
            exif.load(block)
            orientation = exif.get(ORIENTATION, 1)
        if picture.format in ("JPEG2000", "PPM"):
            deep = True  # perhaps: Pillow says it of gray alone, and decoding will tell
        elif picture.format == "PNG":
            deep = any(";16" in str(tile.args) for tile in picture.tile)
    if picture.mode == "LAB":
        raise UserError(f"{path}: a picture of type LAB, which is not read; save it as gray or RGB")
    return Header(height, width, deep) if orientation in SIDEWAYS else Header(width, height, deep)


def read_headers(paths: Sequence[Path]) -> list[Header]:
    """Reads the headers of the pictures of a clip.

    Raises:
        UserError: as `read_header`, and if sizes differ, naming the first picture that differs.
    """
    headers = [read_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        refuse_other_size(path, header[:2], paths[0], headers[0][:2])
    return headers


def check_bits(paths: Sequence[Path], bits: int | None) -> str | None:
    """Checks a sample of 16-bit pictures against the number of bits that are meaningful.

    Args:
        paths: the 16-bit pictures of a clip; those that have 8 bits are left out.
        bits: data.bits.

    Returns:
        What is clipped by `bits`, None if nothing is.

    Raises:
        UserError: if `bits` is None and the pictures are nearly black with all 16 bits.
    """
    peak = 0
    for i in np.unique(np.linspace(0, len(paths) - 1, SAMPLE).round().astype(int)) if paths else ():
        values = read_values(paths[i])
        if values.dtype == np.uint16:
            peak = max(peak, int(values.max()))
        if peak >= 1 << (bits or FULL):
            return f"values up to {peak}, data.bits is {bits}" if bits else None
    if peak and not bits:
        raise UserError(
            f"{paths[0].parent}: 16-bit pictures whose values reach only {peak} of 65535, so they would be "
            f"nearly black; set data.bits to the bits of the camera, {_camera_bits(peak)} or more (16 if the "
            "scene really is that dark)"
        )
    return None


def _camera_bits(peak: int) -> int:
    return next(n for n in (8, 10, 12, FULL) if peak < 1 << n)
