"""Masks of data sets, which pixels of a clip are anomalous, are packed to bits (`vad.store.bitmasks`)."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vad import UserError
from vad.footage.pictures import list_pictures, read_picture
from vad.store.bitmasks import mask_writer, pack


def convert(stem: Path, source: Path, frames: int, width: int, height: int) -> None:
    """Writes the masks of a clip to <stem>.npy and <stem>.json, frame by frame.

    Args:
        stem: of the files to be written.
        source: a folder of pictures, or an .npy or .npz file [T, H, W]; what is not zero is anomalous.
        frames: T, how many frames the clip has.
        width: W, pixels of the upright source.
        height: H, likewise.

    Raises:
        UserError: if the masks cannot be read, or their count or size is not that of the clip.
    """
    count, masks = _open(source)
    if count != frames:
        raise UserError(f"{source}: {count} masks, but the clip has {frames} frames; expected one for each")
    with mask_writer(stem, height, width) as writer:
        for i, mask in enumerate(masks):
            if mask.shape != (height, width):
                size = "x".join(str(n) for n in mask.shape[::-1])
                raise UserError(
                    f"{source}: mask {i} is {size} (width x height), but the frames are {width}x{height}"
                )
            writer.append(pack(mask))


def _open(source: Path) -> tuple[int, Iterator[np.ndarray]]:
    """(number of masks, each of them as bool [H, W])."""
    if source.is_dir():
        paths = list_pictures(source)
        return len(paths), (_read(path) for path in paths)
    try:
        array = np.load(source, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):  # an .npz
            if len(names := array.files) != 1:
                raise UserError(f"{source}: holds the arrays {', '.join(names)}; expected one [frames, H, W]")
            array = array[names[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):  # numpy's advice is no help
        raise UserError(
            f"{source}: not a whole .npy or .npz file of numbers; write it again with numpy.save"
        ) from None
    if array.ndim != 3:
        raise UserError(f"{source}: an array of shape {list(array.shape)}; expected [frames, height, width]")
    return len(array), (mask != 0 for mask in array)


def _read(path: Path) -> np.ndarray:
    """A picture as bool [H, W]; its transparency is ignored."""
    picture = read_picture(path, "rgb")  # refuses what is broken
    if path.suffix.lower() in (".jpg", ".jpeg"):
        # JPEG leaves traces around what was black, so only the brighter half counts
        return picture.max(axis=-1) > 127
    # as stored: numbers of 16 bits, as of objects, would lose their lower half on the way to 8
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored is not None  # `read_picture` has decoded it
    return (np.atleast_3d(stored)[..., :3] != 0).any(axis=-1)
