"""Probes folders of pictures, of which only the headers are read, and a sample of 16-bit pictures."""

from pathlib import Path

from vad.footage import picture_names
from vad.footage.info import Info, Note
from vad.footage.picture_headers import check_bits, read_headers
from vad.footage.pictures import PictureFormat, need_pictures


def probe_pictures(folder: Path, pictures: PictureFormat) -> Info:
    """Probes a folder of pictures.

    Args:
        folder: of the pictures.
        pictures: their frame rate and bits.

    Raises:
        UserError: if there are none, or one cannot be read, holds several pictures or has a type without a
            known black and white; if sizes differ, 16-bit pictures need data.bits, or masks are among frames.
    """
    paths = need_pictures(folder)
    names = picture_names.split_names(paths)
    picture_names.refuse_pairs(names)
    headers = read_headers(paths)
    deep = [path for path, header in zip(paths, headers, strict=True) if header.deep]
    findings = {
        "several series of pictures in a folder, taken as one clip, one after the other": (
            picture_names.several_series(names)
        ),
        "missing numbers of pictures: frames are counted by position, so labels by file number shift": (
            picture_names.missing_numbers(names)
        ),
        "values of 16-bit pictures above data.bits become white": check_bits(deep, pictures.bits),
    }
    notes = tuple(Note(kind, detail) for kind, detail in findings.items() if detail is not None)
    return Info(len(paths), pictures.fps, headers[0].width, headers[0].height, notes)
