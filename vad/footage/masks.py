"""Converts the masks of anomalous pixels that come with data sets to packed bits (`vad.store.bitmasks`)."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vad import UserError
from vad.footage.pictures import is_lossy, list_pictures, read_values
from vad.store.bitmasks import mask_writer, pack


def convert(stem: Path, source: Path, frames: int, width: int, height: int) -> None:
    """Converts the masks of a clip, frame by frame.

    Args:
        stem: path of the output files <stem>.npy and <stem>.json.
        source: a folder of pictures, or an .npy or .npz file [T, H, W]; pixels other than 0 are anomalous.
        frames: T, number of frames of the clip.
        width: W of the source set upright, in pixels.
        height: H of the source set upright, in pixels.

    Raises:
        UserError: if the masks cannot be read, or their number or size is not that of the frames.
    """
    count, masks = _open(source)
    if count != frames:
        raise UserError(
            f"{source}: {count} masks, but the clip has {frames} frames; expected a mask per frame"
        )
    with mask_writer(stem, height, width) as writer:
        for i, mask in enumerate(masks):
            if mask.shape != (height, width):
                size = "x".join(str(n) for n in mask.shape[::-1])
                raise UserError(
                    f"{source}: mask {i} is {size} (width x height), but the frames are {width}x{height}"
                )
            writer.append(pack(mask))


def _open(source: Path) -> tuple[int, Iterator[np.ndarray]]:
    """Opens the masks: (their number, iterator over the masks as bool [H, W])."""
    if source.is_dir():
        paths = list_pictures(source)
        return len(paths), (_read(path) for path in paths)
    try:
        array = np.load(source, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):  # an .npz
            if len(names := array.files) != 1:
                raise UserError(
                    f"{source}: holds the arrays {', '.join(names)}; expected a single array [frames, H, W]"
                )
            array = array[names[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        # the message of numpy is not shown, since it would advise to allow pickles
        raise UserError(
            f"{source}: not a whole .npy or .npz file of numbers; write it again with numpy.save"
        ) from None
    if array.ndim != 3:
        raise UserError(f"{source}: an array of shape {list(array.shape)}; expected [frames, height, width]")
    return len(array), (mask != 0 for mask in array)


def _read(path: Path) -> np.ndarray:
    """Reads a mask as bool [H, W], set upright like the frames; its transparency is ignored."""
    # not converted to 8 bits, by which small numbers of 16 bits (such as object ids) would become 0
    values = read_values(path)
    marked = values > 127 if is_lossy(path) else values != 0
    return np.asarray(marked if marked.ndim == 2 else marked.any(axis=-1))
