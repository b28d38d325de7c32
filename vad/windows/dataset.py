"""Windows: regions become tensors.

A window belongs to one region, found in frame t, and consists of `window` frames, `step` apart, each cut
at the same box: around t, or up to t, as its `position` says. At the edges of a clip the first or the last
frame is repeated, so that every frame has its window. Windows are made for the regions of every
`stride`-th frame (`vad.windows.stride` says what frames between get).

On disk a cut-out picture ("plane") is stored once, however many windows it is part of.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import pandas as pd
from pydantic import ConfigDict

from vad import UserError
from vad.flow import need_flow
from vad.pipeline.params import Field, Section
from vad.resize.channels import PLANES, Channel, Layers
from vad.store import arrays

Box = tuple[int, int, int, int]


class ResizeParams(Section):
    """`resize`: the shape of a tensor. (Never a key called `size`: DVC's run cache drops it.)

    `channels`: see `vad.resize.channels`.
    """

    channels: Annotated[list[Channel], Field(min_length=1)]
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    stride: int = Field(ge=1)
    fit: Literal["stretch", "letterbox"]

    def planes(self, color: str) -> list[str]:
        """Names of the planes of a tensor, where `picture` is the frame as filmed: `color` gray or rgb."""
        frame = ["gray"] if color == "gray" else PLANES["rgb"]
        return [name for c in self.channels for name in (frame if c == "picture" else PLANES.get(c, [c]))]

    def verify(self, raw: dict[str, Any]) -> None:
        if "flow" in self.channels:
            need_flow(raw["flow"]["method"], "resize.channels: flow")
        if "rgb" in self.channels and raw["extract"]["color"] != "rgb":
            raise UserError("resize.channels asks for rgb, but frames are gray; set extract.color: rgb")


class ModelName(Section):
    """`model`: which is chosen, and no more."""

    model_config = ConfigDict(extra="ignore")
    name: str


class ModelWindow(Section):
    """Of the chosen model's section, which frames a window has (`vad.models.ModelParams`)."""

    model_config = ConfigDict(extra="ignore")
    window: int = Field(ge=1, le=256)
    step: int = Field(ge=1, le=64)
    position: Literal["middle", "last"]


class WindowParams(ResizeParams, ModelWindow):
    """`resize` together with the window of the chosen model."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def of(cls, resize: ResizeParams, model: ModelWindow) -> "WindowParams":
        """Both in one."""
        return cls(**resize.model_dump(), **model.model_dump())


def cut(stem: Path, frames: Path, regions: Path, flow: Path, params: WindowParams, *, threads: int) -> None:
    """Work function: one clip's planes, and the table of its windows.

    Writes <stem>.npy, uint8 [M, C, height, width], and <stem>.parquet with a row per window: `frame`,
    `region` (row in the table of regions), `track`, and `plane_0` … the numbers of its planes. A clip
    without regions has none of either.
    Raises UserError if the clip has fewer frames than a window, or lacks what a channel is made of.
    """
    cv2.setNumThreads(threads)
    layers = Layers(params.channels, frames, regions, flow, keep=params.window)
    length, height, width = layers.length, *layers.frame
    if length < params.window:
        raise UserError(
            f"has {length} frames, fewer than a window's {params.window}; "
            "lower the model's `window` or leave the clip out"
        )
    table = arrays.read_table(regions)
    table = table.assign(region=np.arange(len(table)))
    table = table[table["frame"] % params.stride == 0]
    offsets = _offsets(params.window, params.step, params.position)
    numbers: dict[tuple[int, Box], int] = {}
    rows = []
    with arrays.ArrayWriter(stem, (len(layers.names), params.height, params.width), np.uint8) as writer:
        for row in table.itertuples():
            box = (row.x0, row.y0, row.x1, row.y1)
            planes = []
            # rows come in the order of frames: what lies before this window is not needed again
            if rows and rows[-1][0] != row.frame:
                numbers = {key: n for key, n in numbers.items() if key[0] >= row.frame + offsets[0]}
            for frame in np.clip(row.frame + offsets, 0, length - 1).tolist():
                if (number := numbers.get((frame, box))) is None:
                    number = numbers[frame, box] = writer.length
                    parts = [resize(layer.picture(frame), box, params, layer.empty) for layer in layers]
                    writer.append(np.concatenate(parts))
                planes.append(number)
            rows.append((row.frame, row.region, row.track, *planes))
        names = ["frame", "region", "track", *(f"plane_{i}" for i in range(params.window))]
        windows = pd.DataFrame(np.array(rows, np.int32).reshape(-1, len(names)), columns=names)
        writer.card |= {"fps": layers.fps, "frames": length, "stride": params.stride, "fit": params.fit}
        writer.card |= {"window": params.window, "step": params.step, "position": params.position}
        writer.card |= {"channels": layers.names, "frame": [height, width], **layers.card}
        writer.card |= {"windows": len(windows), "windows_hash": arrays.hash_table(windows)}
    arrays.write_table(stem, windows)


def _offsets(window: int, step: int, position: str) -> np.ndarray:
    """Which frames a window has, relative to the one that it belongs to."""
    return step * (np.arange(window) - ((window - 1) // 2 if position == "middle" else window - 1))


def resize(picture: np.ndarray, box: Box, params: ResizeParams, empty: int = 0) -> np.ndarray:
    """Cuts a box out of a picture, uint8 [H, W] or [H, W, C]; returns uint8 [C, height, width].

    Averages areas when shrinking. `letterbox` keeps the aspect and fills the rest with `empty`. The values
    stay what they were: flow is still in pixels of the frame, whatever the size of the tensor.
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, params)
    patch = picture[y0:y1, x0:x1]
    # sides that shrink first, by area; then those that grow, by linear interpolation
    patch = cv2.resize(patch, (min(width, x1 - x0), min(height, y1 - y0)), interpolation=cv2.INTER_AREA)
    if patch.shape[:2] != (height, width):
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
    patch = patch[None] if patch.ndim == 2 else patch.transpose(2, 0, 1)
    if (height, width) == (params.height, params.width):
        return patch
    out = np.full((len(patch), params.height, params.width), empty, np.uint8)
    out[:, top : top + height, left : left + width] = patch
    return out


def placement(width: int, height: int, params: ResizeParams) -> Box:
    """Where a box of this width and height lies in the tensor: left, top, width, height."""
    if params.fit == "stretch":
        return 0, 0, params.width, params.height
    scale = min(params.width / width, params.height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return (params.width - w) // 2, (params.height - h) // 2, w, h


class Windows:
    """All windows of a split, read from memory maps as they are asked for.

    `len(windows)`; `windows[[3, 1, 2]]` gives uint8 [3, C, window, height, width]. Memory does not grow
    with the number of clips. Clips may be without windows, but a whole split without any is refused with
    UserError, as are clips that differ in shape.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None):
        if whole := names is None:
            names = sorted(p.stem for p in folder.glob("*.json"))
        self.folder, self.names = folder, list(names)
        cards = [arrays.read_card(folder / name) for name in self.names]
        shapes = {(card["shape"][1], card["window"], *card["shape"][2:]) for card in cards}
        if len(shapes) > 1:
            raise UserError(f"{folder}: clips differ in shape: {sorted(shapes)}; `dvc repro resize`")
        self._ends = np.cumsum([card["windows"] for card in cards], dtype=np.int64)
        if not cards or (whole and not len(self)):
            raise UserError(
                f"{folder}: there is not a single window in it; see reports/preprocess for what was found, "
                "and lower resize.stride if it is above 1"
            )
        self.shape: tuple[int, int, int, int] = shapes.pop()  # C, window, height, width
        self.channels: list[str] = cards[0]["channels"]
        self._offsets = _offsets(*(cards[0][key] for key in ("window", "step", "position")))
        self._open = lru_cache(maxsize=512)(self._open_clip)  # files are limited, clips are not
        self._tracks = lru_cache(maxsize=512)(self._tracks_of_clip)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._gather(np.asarray(indices), lambda clip, rows, _: self._open(clip)[1][rows])

    def skipping(self, indices: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Like `windows[indices]` with frames `steps` times as far apart; `steps` int [len].

        A frame is taken as the region's track was cut out there, so a box moves along with its person.
        Where the track is not in a frame, or the clip has ended, the nearest frame that has it is repeated.
        """
        steps = np.asarray(steps)

        def planes(clip: int, rows: np.ndarray, here: np.ndarray) -> np.ndarray:
            frames, tracks, known = self._tracks(clip)
            out = []
            for row, step in zip(rows, steps[here], strict=True):
                there, numbers = known[int(tracks[row])]
                wanted = frames[row] + self._offsets * step
                right = np.searchsorted(there, wanted).clip(1, max(len(there) - 1, 1))
                left = right - 1
                right = right.clip(0, len(there) - 1)
                nearer = np.where(np.abs(there[left] - wanted) <= np.abs(there[right] - wanted), left, right)
                out.append(numbers[nearer])
            return np.array(out)

        return self._gather(np.asarray(indices), planes)

    def _gather(
        self, indices: np.ndarray, planes_of: Callable[[int, np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Windows of the planes numbered by `planes_of(clip, rows of its table, their places in indices)`."""
        clips = np.searchsorted(self._ends, indices, side="right")
        channels, window, height, width = self.shape
        out = np.empty((len(indices), window, channels, height, width), np.uint8)
        for clip in np.unique(clips).tolist():
            here = np.flatnonzero(clips == clip)
            first = self._ends[clip - 1] if clip else 0
            out[here] = self._open(clip)[0][planes_of(clip, indices[here] - first, here)]
        return out.transpose(0, 2, 1, 3, 4)

    def _open_clip(self, clip: int) -> tuple[np.ndarray, np.ndarray]:
        stem = self.folder / self.names[clip]
        planes, card = arrays.open_array(stem)
        names = [f"plane_{i}" for i in range(card["window"])]
        return planes, arrays.read_table(stem)[names].to_numpy()

    def _tracks_of_clip(self, clip: int) -> tuple[np.ndarray, np.ndarray, dict[int, tuple]]:
        """(frame and track of each window, {track: (frames that show it, their planes)})."""
        stem = self.folder / self.names[clip]
        table, length = arrays.read_table(stem), arrays.read_card(stem)["frames"]
        frames, tracks = table["frame"].to_numpy(), table["track"].to_numpy()
        # a region without a track has nothing but its own window
        tracks = np.where(tracks < 0, -1 - np.arange(len(table)), tracks)
        seen = pd.DataFrame(
            {
                "track": np.repeat(tracks, len(self._offsets)),
                "frame": (frames[:, None] + self._offsets).clip(0, length - 1).ravel(),
                "plane": self._open(clip)[1].ravel(),
                "away": np.tile(np.abs(self._offsets), len(table)),
            }
        )
        # a frame's own window has the box that was found there
        seen = seen.sort_values(["track", "frame", "away"], kind="stable").drop_duplicates(["track", "frame"])
        known = {t: (g["frame"].to_numpy(), g["plane"].to_numpy()) for t, g in seen.groupby("track")}
        return frames, tracks, known
