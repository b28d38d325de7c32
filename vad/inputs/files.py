"""Frames of files, with the rate and the times that the pipeline has for them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vad import UserError
from vad.footage.decode import Decoded, decode, from_array
from vad.footage.picture_headers import check_bits, read_header
from vad.footage.pictures import DEFAULT_FORMAT, Color, PictureFormat, read_picture
from vad.footage.probe import probe
from vad.inputs.redaction import printable
from vad.inputs.source import Source


class FileFrames(NamedTuple):
    """The frames of a file.

    Attributes:
        fps: frames per second, measured over the whole file as by the stage `extract`.
        frames: number of frames; off by a few where a recording begins or ends with damage.
        decoded: the frames in order; iterate once.
    """

    fps: float
    frames: int
    decoded: Iterator[Decoded]


def open_file(source: Source, color: Color, *, pictures: PictureFormat = DEFAULT_FORMAT) -> FileFrames:
    """Opens a picture, a video or a folder of pictures.

    The packets of a video are read first, to measure its rate; where they do not tell, as in recordings with
    gaps, it is decoded twice.

    Args:
        source: of the kind picture, video or sequence.
        color: of pictures; videos come as they are coded.
        pictures: frame rate and bits of pictures.

    Raises:
        UserError: as in training, now or during iteration: if a file is missing, empty, not a video or a
            picture, cut off or damaged, changes its size, or has fewer than two frames.
        ValueError: if the source is a camera or a stream.
    """
    path = source.address
    if not isinstance(path, Path):
        raise ValueError(f"{source.text} is a {source.kind}, not a file")
    try:
        if source.kind == "picture":
            deep = [path] if read_header(path).deep else []
            check_bits(deep, pictures.bits)
            picture = from_array(0, 0.0, read_picture(path, color, pictures.bits))
            return FileFrames(pictures.fps, 1, iter([picture]))
        info = probe(path, pictures)
        _, frames = decode(path, color, 1, 0, None, pictures)
    except UserError as e:
        raise _on_one_line(e) from None
    return FileFrames(info.fps, info.frames, _checked(frames))


def _checked(frames: Iterator[Decoded]) -> Iterator[Decoded]:
    try:
        yield from frames
    except UserError as e:
        raise _on_one_line(e) from None


def _on_one_line(error: UserError) -> UserError:
    """The error without line breaks and control characters, which names of files may contain."""
    return UserError(printable(str(error)))
