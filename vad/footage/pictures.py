"""Sources as they lie on disk: files, and folders of pictures that stand for a video.

The pictures of a folder are its files with a suffix in `PICTURES`, in natural order (frame2 before
frame10). Hidden files are none, so that the "._001.tif" which macOS leaves on foreign disks are not
taken for frames. A folder has no frame rate: it is said to have `PICTURE_FPS`, as ffmpeg says.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange
from PIL import Image

from vad import UserError
from vad.store.placeholders import refuse_placeholder

PICTURES = frozenset({".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp"})
PICTURE_FPS = 25.0
Color = Literal["gray", "rgb"]

EXIF_ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)  # values of that tag which exchange width and height


def list_pictures(folder: Path) -> list[Path]:
    """The pictures right in `folder`, in natural order; empty if there are none."""
    return sorted((p for p in folder.iterdir() if _is_picture(p)), key=_natural)


def need_pictures(folder: Path) -> list[Path]:
    """`list_pictures`, but raises UserError if there are none."""
    pictures = list_pictures(folder)
    if not pictures:
        raise UserError(f"{folder}: a folder without pictures; expected {', '.join(sorted(PICTURES))}")
    return pictures


def is_picture_folder(path: Path) -> bool:
    """Whether `path` is a folder with at least one picture right in it."""
    return path.is_dir() and any(_is_picture(p) for p in path.iterdir())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def read_picture(path: Path, color: Color) -> np.ndarray:
    """A picture as uint8 [H, W] (gray: BT.601 luma, 0..255) or [H, W, 3] (rgb), upright.

    16-bit pictures keep their upper 8 bits; transparency is dropped. Raises UserError if the file is
    missing, empty, a Git-LFS pointer, cut off or no picture.
    """
    refuse_placeholder(path)
    data = np.fromfile(path, np.uint8)  # not cv2.imread: on Windows it cannot open non-ASCII names
    kind = cv2.IMREAD_GRAYSCALE if color == "gray" else cv2.IMREAD_COLOR_RGB
    try:
        picture = cv2.imdecode(data, kind)
    except cv2.error:
        picture = None
    if picture is None:
        raise UserError(f"{path}: not a whole picture that can be decoded; copy it again, or remove it")
    return picture


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of the upright picture, from its header alone. Raises UserError as read_picture."""
    refuse_placeholder(path)
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            sideways = picture.getexif().get(EXIF_ORIENTATION) in SIDEWAYS
    except (OSError, SyntaxError, ValueError):  # a header Pillow does not know: let OpenCV try
        height, width = read_picture(path, "gray").shape
        sideways = False
    return (height, width) if sideways else (width, height)


def common_size(pictures: list[Path]) -> tuple[int, int]:
    """(width, height) that all pictures share. Raises UserError that names the first that differs."""
    size = picture_size(pictures[0])
    for path in pictures[1:]:
        refuse_other_size(path, picture_size(path), pictures[0], size)
    return size


def refuse_other_size(path: Path, size: tuple[int, int], first: Path, expected: tuple[int, int]) -> None:
    """Raises UserError unless the picture has the size of the first one."""
    if size != expected:
        raise UserError(
            f"{path}: {size[0]}x{size[1]} pixels, but {first.name} in the same folder has "
            f"{expected[0]}x{expected[1]}; all pictures of a clip need one size"
        )


def decode_pictures(
    folder: Path, color: Color, first: int, end: int | None
) -> Iterator[tuple[int, float, av.VideoFrame]]:
    """Yields (number, seconds, picture as a video frame in full range) of the pictures [first, end).

    Raises UserError if there are fewer, if one cannot be decoded, or if one differs in size.
    """
    found = need_pictures(folder)
    last = len(found) if end is None else end
    if not 0 <= first < last <= len(found):
        raise UserError(f"{folder}: pictures [{first}, {last}) wanted, but it holds {len(found)}")
    size = None
    for number in range(first, last):
        picture = read_picture(found[number], color)
        size = size or picture.shape[1::-1]
        refuse_other_size(found[number], picture.shape[1::-1], found[first], size)
        frame = av.VideoFrame.from_ndarray(picture, format="gray" if color == "gray" else "rgb24")
        frame.color_range = ColorRange.JPEG
        yield number, number / PICTURE_FPS, frame


def hash_source(source: Path) -> str:
    """Content hash: a file's bytes; for a folder, the names and bytes of its pictures in order.

    Raises UserError if a file is missing, empty or a Git-LFS pointer, or the folder has no pictures.
    """
    digest = hashlib.blake2b(digest_size=16)
    folder = source.is_dir()
    for path in need_pictures(source) if folder else [source]:
        refuse_placeholder(path)
        if folder:
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def broken_promise(
    source: Path, container: InputContainer, stream: av.VideoStream, end: float, step: float, damaged: bool
) -> str:
    """What a video's header says and its packets, up to `end` seconds, do not keep; "" if all is well."""
    if "mp4" in container.format.name:  # a count may differ by an edit list, the index cannot lie
        size = source.stat().st_size
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            return f"its header promises {stream.frames or len(stream.index_entries)} frames"
    seconds = 0.0
    if container.format.name == "avi" and stream.average_rate:
        seconds = float(stream.frames / stream.average_rate)
    elif "DURATION" in stream.metadata:  # Matroska, as most programs write it
        h, m, s = stream.metadata["DURATION"].split(":")
        seconds = 3600 * int(h) + 60 * int(m) + float(s)
    if seconds > end + 2 * step:
        return f"its header promises {seconds:.2f} s"
    return "it ends in the middle of a frame" if damaged else ""


def open_video(source: Path) -> tuple[InputContainer, av.VideoStream]:
    """Opens a video. Raises UserError if it is missing, empty, a Git-LFS pointer or no video."""
    refuse_placeholder(source)
    try:
        # "file:" lets names contain colons; the whitelist keeps a playlist from reaching out
        container = av.open(f"file:{source}", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError) as e:
        with open(source, "rb") as file:
            head = file.read(12)
        if head[4:8] in (b"ftyp", b"mdat", b"wide") or head[:4] in (b"RIFF", b"\x1a\x45\xdf\xa3"):
            raise UserError(
                f"{source}: cut off: it begins like a video, but its index is missing; "
                "copy, download or record it again"
            ) from None
        raise UserError(f"{source}: not a video file ({e.strerror}); remove it, or convert it") from None
    stream = container.streams.best("video")
    # ffmpeg has a "demuxer" that films text files
    if stream is None or stream.codec_context is None or container.format.name == "tty":
        container.close()
        raise UserError(f"{source}: not a video file (nothing in it shows a picture); remove it")
    return container, stream
