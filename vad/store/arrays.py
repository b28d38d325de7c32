"""Arrays between stages: .npy files with a JSON card beside each.

A *stem* is a path without suffix, for example data/frames/test/Test001: the array is <stem>.npy, its card
<stem>.json, its table <stem>.parquet. The card describes the array and holds its content hash, by which the
next stage identifies its input without reading it. The files contain no times and no versions of software,
so that the same content gives the same bytes.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vad import UserError
from vad.store import digests
from vad.store.cards import read_card, write_json


class ArrayWriter:
    """Streams an array of unknown length to <stem>.npy, and at the end writes its card <stem>.json.

    Memory does not grow with the length. After an error no card is written, and an array without a card is
    treated as missing.

        with ArrayWriter(stem, (240, 360), np.uint8, fps=25.0) as writer:
            writer.append(frame)           # [240, 360]
            writer.card["color"] = "gray"  # entries can be added until the end of the block

    Args:
        stem: path of the files, without suffix; missing folders are made.
        item_shape: shape of an item, which is the shape of the array without its first axis.
        dtype: of the array.
        **card: entries of the card besides `shape`, `dtype` and `hash`.
    """

    def __init__(self, stem: Path, item_shape: tuple[int, ...], dtype: npt.DTypeLike, **card: Any):
        self.stem, self.item_shape, self.dtype = stem, tuple(item_shape), np.dtype(dtype)
        self.card = card
        self.length = 0
        self._hash = digests.new()
        stem.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(f"{stem}.npy", "wb")
        self._write_header()

    def _write_header(self) -> None:
        # numpy pads the header for a growing first axis, so it can be overwritten once the length is known
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header | {"shape": (self.length, *self.item_shape)})

    def append(self, item: np.ndarray) -> None:
        """Writes the next item.

        Raises:
            ValueError: if its shape is not `item_shape`, or its dtype is not that of the array.
        """
        if item.shape != self.item_shape or item.dtype != self.dtype:
            raise ValueError(f"expected {self.dtype} {self.item_shape}, got {item.dtype} {item.shape}")
        data = np.ascontiguousarray(item).data
        self._file.write(data)
        self._hash.update(data)
        self.length += 1

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write_header()
        self._file.close()
        if kind is None:
            shape = [self.length, *self.item_shape]
            layout = {"shape": shape, "dtype": self.dtype.name}
            # the hash covers shape and dtype too: the same bytes can be an array of another shape
            self._hash.update(json.dumps(layout).encode())
            write_json(Path(f"{self.stem}.json"), layout | self.card | {"hash": self._hash.hexdigest()})


def write_array(stem: Path, array: np.ndarray, **card: Any) -> None:
    """Writes an array and its card.

    Args:
        stem: path of the files, without suffix.
        array: [N, ...] of any dtype.
        **card: entries of the card besides `shape`, `dtype` and `hash`.
    """
    with ArrayWriter(stem, array.shape[1:], array.dtype, **card) as writer:
        for item in array:
            writer.append(item)


def open_array(stem: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Opens an array and its card.

    Args:
        stem: path of the files, without suffix.

    Returns:
        (the array as a read-only memory map, its card).

    Raises:
        UserError: if either is missing, or they disagree because a writer was killed.
    """
    card = read_card(stem)
    path = Path(f"{stem}.npy")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        shape, dtype = card["shape"], card["dtype"]
    except (OSError, ValueError, EOFError, KeyError, TypeError) as e:
        raise UserError(f"{path}: cannot be read ({e!r}); `dvc repro` makes it anew") from None
    if list(array.shape) != shape or array.dtype.name != dtype:
        raise UserError(
            f"{path}: holds {array.dtype} {list(array.shape)}, but its card says {dtype} {shape}; "
            "`dvc repro` makes it anew"
        )
    return array, card
