"""The pictures of a clip on a contact sheet: frames with their regions, and optical flow in colour."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad.drawing import overlays
from vad.drawing.clip_figures import count
from vad.drawing.overlays import FAINT, Mark
from vad.drawing.paper import CELL
from vad.store.arrays import open_array
from vad.store.bitmasks import Masks, open_masks
from vad.store.body_heights import BodyHeight, BodyHeights
from vad.store.cards import read_card
from vad.store.manifest import Clip
from vad.store.zones import CameraZones, Zones

LEVEL = 8  # step of the gray levels; coarse levels halve the file and are hardly visible
MIN_SIDE = 3  # least side of a box on the sheet, in pixels
PEOPLE, MIN_PERSON = 5, 5  # number of figures of people in a picture, and their least height in its pixels
POSITIONS = 20  # number of positions across a picture that are tried for a figure
NUMBERS = ["frame", "track", "x0", "y0", "x1", "y1"]


@dataclass(frozen=True)
class Flow:
    """Optical flow of a clip.

    Attributes:
        counts: quantised flow, int8 [T, h, w, 2], a memory map.
        scale: pixels of the frame per count.
    """

    counts: np.ndarray
    scale: float

    def displacement(self, t: int) -> np.ndarray:
        """Flow of a frame in pixels of the frame, float32 [h, w, 2]."""
        return self.counts[t].astype(np.float32) * np.float32(self.scale)


@dataclass(frozen=True)
class ClipArrays:
    """The data that a clip's pictures are drawn from. Memory maps are read only for the frames shown.

    Attributes:
        clip: the clip.
        frames: uint8 [T, H, W] or [T, H, W, 3], a memory map.
        fps: frames per second.
        numbers: the columns NUMBERS of the regions, int [N, 6].
        sources: source of each region.
        confidences: confidence of each region, float32 [N].
        silhouettes: silhouettes of all frames; None if the region mode makes none.
        flow: optical flow; None if it was not computed.
        body_height: how tall people are in the frame.
        zones: of the camera.
    """

    clip: Clip
    frames: np.ndarray
    fps: float
    numbers: np.ndarray
    sources: Sequence[str]
    confidences: np.ndarray
    silhouettes: Masks | None
    flow: Flow | None
    body_height: BodyHeight
    zones: CameraZones

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of the clip's pictures on the sheet, in pixels."""
        height, width = self.frames.shape[1:3]
        scale = CELL / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    @property
    def to_cell(self) -> np.ndarray:
        """Pixels of the picture per pixel of the frame: x and y."""
        return np.array(self.cell) / self.frames.shape[2:0:-1]

    def marks(self, t: int) -> list[Mark]:
        """The regions of frame t in drawing order, from large to small, so that small boxes stay visible."""
        (rows,) = np.nonzero(self.numbers[:, 0] == t)
        boxes = np.rint(self.numbers[rows, 2:] * np.tile(self.to_cell, 2)).astype(int)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + MIN_SIDE)
        marks = [
            Mark((x0, y0, x1, y1), int(self.numbers[row, 1]), self.sources[row], float(self.confidences[row]))
            for row, (x0, y0, x1, y1) in zip(rows.tolist(), boxes.tolist(), strict=True)
        ]
        return sorted(marks, key=lambda mark: -mark.area)

    def is_whole_frame(self, t: int) -> bool:
        """Whether the only region of frame t is the frame itself."""
        height, width = self.frames.shape[1:3]
        return self.numbers[self.numbers[:, 0] == t, 2:].tolist() == [[0, 0, width, height]]

    def track_path(self, track: int, t: int) -> np.ndarray:
        """Centres of a track in the second before frame t: [N, 2], x and y in pixels of the picture."""
        frame, number = self.numbers[:, 0], self.numbers[:, 1]
        past = self.numbers[(number == track) & (frame <= t) & (frame >= t - self.fps)]
        past = past[np.argsort(past[:, 0], kind="stable")]
        return (past[:, 2:4] + past[:, 4:6]) / 2 * self.to_cell

    def people(self, t: int) -> list[tuple[float, float, float]]:
        """Positions for figures of people from far to near, spread over the rows of most people's feet.

        Args:
            t: index of the frame, whose regions the figures cover as little as possible.

        Returns:
            Middle column, row of the feet and height of each figure, in pixels of the picture.
        """
        height = self.frames.shape[1]
        edges = self.numbers[np.array(self.sources, "U8") != "frame", 5]
        far, near = np.percentile(edges, [5, 95]) if len(edges) else (height / 2, height)
        rows = np.linspace(far, near, PEOPLE)
        taken = np.zeros(self.cell[::-1], bool)
        for x0, y0, x1, y1 in (mark.box for mark in self.marks(t) if mark.source != "frame"):
            taken[y0:y1, x0:x1] = True
        middles = (np.arange(POSITIONS) + 0.5) * self.cell[0] / POSITIONS
        out = []
        for i, (feet, tall) in enumerate(
            np.stack([rows, self.body_height.at_feet(rows)], 1) * self.to_cell[1]
        ):
            half, top, bottom = overlays.FIGURE_WIDTH / 2 * tall, round(max(feet - tall, 0)), round(feet)
            spots = [taken[top:bottom, round(max(x - half, 0)) : round(x + half)] for x in middles]
            # the part beyond the border of the frame counts as covered
            covered = [len(spot) * round(2 * half + 1) - np.count_nonzero(~spot) for spot in spots]
            # of the least covered positions, the nearest to the figure's share of the width
            away = np.abs(middles / self.cell[0] - (i + 0.5) / PEOPLE)
            best = np.lexsort((away, covered))[0]
            spots[best][:] = True
            out.append((float(middles[best]), float(feet), float(tall)))
        return out


def open_clip(
    clip: Clip,
    table: pd.DataFrame,
    frames: Path,
    flow: Path,
    regions: Path,
    heights: BodyHeights,
    zones: Zones,
) -> ClipArrays:
    """Opens the arrays of a clip.

    Args:
        clip: the clip.
        table: its regions.
        frames: folder of the frames.
        flow: folder of the flow.
        regions: folder of the regions.
        heights: body heights of all cameras.
        zones: zones of all cameras.

    Raises:
        UserError: if a file is missing or broken, or if silhouettes do not fit their frames.
    """
    video, card = open_array(frames / clip.clip)
    flow_card = read_card(flow / clip.clip)
    silhouettes = None
    stem = Path(f"{regions / clip.clip}.silhouette")
    if Path(f"{stem}.json").exists():
        silhouettes = open_masks(stem)
        if (size := (len(silhouettes), silhouettes.height, silhouettes.width)) != video.shape[:3]:
            raise UserError(
                f"{stem}.npy: silhouettes of {size} (frames, height, width), but the frames of the clip are "
                f"{video.shape[:3]}; run `dvc repro`"
            )
    return ClipArrays(
        clip=clip,
        frames=video,
        fps=card["fps"],
        numbers=table[NUMBERS].to_numpy(),
        sources=table["source"].tolist(),
        confidences=table["confidence"].to_numpy(),
        silhouettes=silhouettes,
        flow=None
        if flow_card["method"] == "none"
        else Flow(open_array(flow / clip.clip)[0], flow_card["scale"]),
        body_height=heights.of(clip.camera, video.shape[1]),
        zones=zones.of(clip.camera),
    )


@dataclass(frozen=True)
class FramePicture:
    """A frame with its regions.

    Attributes:
        picture: uint8 [h, w, 3] RGB.
        caption: how many regions it has.
        signs: the signs that were drawn, for the legend: among silhouette, zones, whole, path, track,
            confidence and people.
        sources: the sources of the boxes that were drawn.
    """

    picture: np.ndarray
    caption: str
    signs: frozenset[str]
    sources: frozenset[str] = frozenset()


def draw_frame(arrays: ClipArrays, t: int, people: bool = False) -> FramePicture:
    """Draws frame t with its silhouettes, zones, boxes, tracks and confidences.

    Args:
        arrays: the data of the clip.
        t: index of the frame.
        people: whether to draw figures of people as tall as the body heights.
    """
    frame = _with_regions(arrays, t)
    figures = [figure for figure in arrays.people(t) if people and figure[2] >= MIN_PERSON]
    for figure in figures:
        overlays.person(frame.picture, *figure)
    return replace(frame, signs=frame.signs | {"people"}) if figures else frame


def _with_regions(arrays: ClipArrays, t: int) -> FramePicture:
    """Draws frame t with its silhouettes, boxes, tracks and confidences."""
    picture = _reduced(arrays, t)
    signs = set()
    if arrays.silhouettes is not None:
        signs.add("silhouette")
        overlays.tint(picture, arrays.silhouettes[t])
    if arrays.zones:
        signs.add("zones")
        overlays.exclude(picture, arrays.zones.mask(*picture.shape[:2]))
    if arrays.is_whole_frame(t):
        return FramePicture(picture, "the whole frame", frozenset({*signs, "whole"}))
    marks = arrays.marks(t)
    for track in dict.fromkeys(mark.track for mark in marks if mark.track >= 0):
        if len(points := arrays.track_path(track, t)) > 1:
            signs.add("path")
            overlays.path(picture, points, overlays.color_of(track))
    for mark in marks:
        overlays.outline(picture, mark)
    picture, tags = overlays.tags(picture, marks)
    caption = count(len(marks), "region") if marks else "no regions"
    return FramePicture(picture, caption, frozenset(signs | tags), frozenset(mark.source for mark in marks))


def _reduced(arrays: ClipArrays, t: int) -> np.ndarray:
    """Frame t in the size and gray levels of the sheet, uint8 [h, w, 3]."""
    shrinks = arrays.cell[0] < arrays.frames.shape[2]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    picture = np.asarray(cv2.resize(np.array(arrays.frames[t]), arrays.cell, interpolation=interpolation))
    picture = picture // LEVEL * LEVEL + LEVEL // 2
    return picture if picture.ndim == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB))


def draw_flow(arrays: ClipArrays, flow: Flow, t: int, full: float) -> np.ndarray:
    """Draws the flow of frame t, with the boxes as thin lines.

    Args:
        arrays: the data of the clip.
        flow: the flow of the clip.
        t: index of the frame.
        full: speed drawn in full colour, in pixels per frame.

    Returns:
        uint8 [h, w, 3] RGB.
    """
    picture = overlays.color_flow(np.asarray(cv2.resize(flow.displacement(t), arrays.cell)), full)
    marks = [] if arrays.is_whole_frame(t) else arrays.marks(t)
    for x0, y0, x1, y1 in [mark.box for mark in marks] + [(0, 0, *arrays.cell)]:
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), FAINT, 1)
    return picture


def full_colour_speed(fields: Sequence[np.ndarray]) -> float:
    """The speed drawn in full colour, in pixels per frame: the 95th percentile of all motion, at least 0.5.

    It is rounded up to 1, 2 or 5 times a power of ten, so that the sheets of two revisions mostly agree.

    Args:
        fields: displacements of the frames shown, float32 [h, w, 2] each.
    """
    speed = np.concatenate([np.hypot(f[..., 0], f[..., 1]).ravel() for f in fields] or [np.zeros(0)])
    moving = speed[speed > 0.5]
    fast = np.percentile(moving, 95) if len(moving) else 0.5
    steps = np.outer(10.0 ** np.arange(-1, 4), (1, 2, 5)).ravel()
    return float(steps[np.searchsorted(steps, fast)])
