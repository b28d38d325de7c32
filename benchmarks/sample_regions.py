"""Silhouettes and motion boxes of the sample, compared with its exact masks.

    python -m benchmarks.sample_regions [--color gray]

Frames are those of data/sample, decoded; parameters are those of params.yaml. A person or thing *moves* in a
frame if more than the share MOVED of its visible mask differs from the mask a second earlier (in the first
second: later). Marking people who stand or lie still for a second counts as wrong, except in the column
"anybody", where the truth is everybody in view.

Boxes and people are matched in pairs, so of two people in the same box only one counts as detected, except in
the column "shared". A box of a person who is tiny or does not move counts neither as right nor as wrong.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from vad import boxes
from vad.detection.assignment import assign
from vad.detection.background import foreground
from vad.detection.blobs import MotionBoxes
from vad.detection.foreground_params import MOTION_BOXES, SILHOUETTES, THRESHOLDS, ForegroundParams
from vad.detection.motion import MotionParams, motion_masks
from vad.flow.compute import compute_flow
from vad.flow.dis import Dis
from vad.footage.extract import ExtractParams, extract
from vad.footage.probe import probe
from vad.pipeline import params
from vad.regions import PreprocessParams
from vad.regions.person_crop import PersonCrop
from vad.store import arrays
from vad.stream import Frame, results
from vad.synthetic import CLIPS, instances

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data/sample"
MOVED = 0.1  # share of the pixels of both masks together that differ
TINY = 100  # visible pixels, less than half of the farthest walker; no box is expected for fewer
FITS = 0.3  # least IoU of a box with a person or thing


@dataclass(frozen=True)
class Clip:
    """Footage with ground truth."""

    name: str
    frames: np.ndarray  # uint8 [T, H, W] or [T, H, W, 3]
    actors: np.ndarray  # int32 [T, H, W]: number of the actor that is visible, 0 for the background
    moving: np.ndarray  # the same, with 0 for actors that do not move
    fps: float  # frames per second
    second: int  # the same, rounded


def read(color: str, folder: Path) -> Iterator[Clip]:
    """The clips of the sample, decoded into `folder`."""
    how = ExtractParams(color=color)
    for script in CLIPS:
        source, stem = SAMPLE / f"{script.name}.mp4", folder / script.name
        info = probe(source)
        extract(stem, source, 0, info.frames, how, threads=1)
        frames, card = arrays.open_array(stem)
        # seed and size are those of data/sample/README.md
        actors = np.stack(list(instances(script, frames=len(frames))))
        second = round(card["fps"])
        yield Clip(script.name, frames, actors, moving(actors, second), card["fps"], second)


def items(clip: Clip) -> Iterator[Frame]:
    """The frames as processors take them."""
    return (Frame(t, t / clip.second, pixels) for t, pixels in enumerate(clip.frames))


def moving(actors: np.ndarray, second: int) -> np.ndarray:
    """Numbers of the moving actors, int [T, H, W]; 0 elsewhere.

    Args:
        actors: numbers of all actors, int [T, H, W].
        second: frames per second.
    """
    out = np.zeros_like(actors)
    other = np.arange(len(actors)) - second
    other = np.where(other < 0, np.arange(len(actors)) + second, other).clip(0, len(actors) - 1)
    for number in np.unique(actors[actors > 0]):
        visible = actors == number
        differs = np.count_nonzero(visible ^ visible[other], axis=(1, 2))
        moves = differs > MOVED * np.count_nonzero(visible | visible[other], axis=(1, 2))
        out[visible & moves[:, None, None]] = number
    return out


def iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection over union of two masks, bool [T, H, W], in each frame; NaN if both are empty."""
    both, either = (np.count_nonzero(m, axis=(1, 2)) for m in (masks & truth, masks | truth))
    return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)


def measure_silhouettes(clips: list[Clip], how: ForegroundParams) -> None:
    """Prints a row per method: means over frames, then over clips."""
    head = ("method", "all", "train", "test", "worst clip", "first second", "anybody", "precision", "recall")
    print("silhouettes: IoU with what moves")
    print(f"{head[0]:<12}" + "".join(f"{word:>14}" for word in head[1:]))
    for method in THRESHOLDS:
        # thresholds of different methods are on different scales
        threshold = how.threshold if method == how.method else None
        settings = how.model_copy(update={"method": method, "threshold": threshold}).resolve(SILHOUETTES)
        rows = []
        for clip in clips:
            masks = np.stack(list(results(foreground(settings, clip.fps), items(clip))))
            truth = clip.moving > 0
            values = iou(masks, truth)
            right = np.count_nonzero(masks & truth)
            rows.append(
                (
                    np.nanmean(values),
                    np.nanmean(values[: clip.second]),
                    np.nanmean(iou(masks, clip.actors > 0)),
                    right / max(np.count_nonzero(masks), 1),
                    right / max(np.count_nonzero(truth), 1),
                )
            )
        whole, first, anybody, precision, recall = np.array(rows).T
        train = np.array([clip.name.startswith("train/") for clip in clips])
        figures = (whole.mean(), whole[train].mean(), whole[~train].mean(), whole.min(), first.mean())
        figures = (*figures, anybody.mean(), precision.mean(), recall.mean())
        print(f"{method:<12}" + "".join(f"{figure:>14.3f}" for figure in figures), flush=True)


@dataclass
class Count:
    """Agreement of boxes and people, summed over the frames of a clip."""

    people: int = 0  # people who move and are not tiny
    detected: int = 0  # people with a separate box
    shared: int = 0  # people with a box, possibly shared
    boxes: int = 0  # boxes, without those of people who are tiny or stand still
    right: int = 0  # boxes with a separate person
    all_boxes: int = 0

    def add(self, actors: np.ndarray, moving: np.ndarray, motion_boxes: np.ndarray) -> None:
        """Counts a frame.

        Args:
            actors: numbers of all actors, int [H, W].
            moving: numbers of the moving actors, int [H, W].
            motion_boxes: [N, 4].
        """
        expected, others = bounds(actors, moving)
        fits = boxes.iou(expected, motion_boxes) >= FITS
        rows, columns = assign(fits, maximize=True)
        paired = fits[rows, columns]
        ignored = (boxes.iou(others, motion_boxes) >= FITS).any(axis=0)
        ignored[columns[paired]] = False
        self.people += len(expected)
        self.detected += int(paired.sum())
        self.shared += int(fits.any(axis=1).sum())
        self.boxes += int((~ignored).sum())
        self.right += int(paired.sum())
        self.all_boxes += len(motion_boxes)


def bounds(actors: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] around the visible parts of actors that move and are not tiny, and of all others."""
    expected, others = [], []
    for number in np.unique(actors[actors > 0]):
        visible = actors == number
        x, y, width, height = cv2.boundingRect(visible.view(np.uint8))
        counts = np.count_nonzero(visible) >= TINY and (moving[visible] > 0).any()
        (expected if counts else others).append((x, y, x + width, y + height))
    return np.array(expected, float).reshape(-1, 4), np.array(others, float).reshape(-1, 4)


def measure_boxes(
    clips: list[Clip], folder: Path, how: MotionParams, background: ForegroundParams, flow: Dis
) -> None:
    """Prints a row per source, and a row for the true masks, an upper bound for all sources."""
    head = ("source", "recall", "train", "test", "worst clip", "shared", "precision", "boxes", "people")
    print(f"motion boxes: who moves and shows {TINY} px or more, at IoU {FITS}")
    print(f"{head[0]:<12}" + "".join(f"{word:>12}" for word in head[1:]))
    for source in (*get_args(MotionParams.model_fields["source"].annotation), "truth"):
        counts = []
        for clip in clips:
            if source == "truth":
                masks = iter(clip.moving > 0)
            else:
                displacements: Iterable[np.ndarray | None] = repeat(None)
                scale = None
                if source == "flow":
                    stem = folder / "flow" / clip.name
                    compute_flow(stem, folder / clip.name, flow, threads=1)
                    displacements, card = arrays.open_array(stem)
                    scale = card["scale"]
                changed = how.model_copy(update={"source": source})
                processor = motion_masks(changed, background.resolve(MOTION_BOXES), clip.fps, scale)
                masks = results(processor, zip(items(clip), displacements, strict=False))
            counts.append(Count())
            motion_boxes = MotionBoxes(how)
            for t, mask in enumerate(masks):
                counts[-1].add(clip.actors[t], clip.moving[t], motion_boxes.next(mask))
        train = [clip.name.startswith("train/") for clip in clips]
        table = np.array([list(vars(count).values()) for count in counts])
        people, detected, shared, counted, right, all_boxes = table.sum(axis=0)
        frames = sum(len(clip.frames) for clip in clips)
        of_train, of_test = table[train].sum(axis=0), table[np.invert(train)].sum(axis=0)
        figures = (detected / people, of_train[1] / of_train[0], of_test[1] / of_test[0])
        figures = (*figures, (table[:, 1] / table[:, 0]).min(), shared / people, right / counted)
        figures = (*figures, all_boxes / frames, people / frames)
        print(f"{source:<12}" + "".join(f"{figure:>12.3f}" for figure in figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--color", choices=["gray", "rgb"], default="gray", help="as extract.color")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    raw = params.read(ROOT / "params.yaml")
    with tempfile.TemporaryDirectory(prefix="vad-bench-") as folder:
        clips = list(read(args.color, Path(folder)))
        print(f"{len(clips)} clips of {len(clips[0].frames)} frames, {args.color}")
        background = params.load("preprocess", PreprocessParams, raw).foreground
        measure_silhouettes(clips, background)
        print()
        motion = params.load("preprocess.person_crop", PersonCrop.Params, raw).motion
        flow = Dis(params.load("flow.dis", Dis.Params, raw))
        measure_boxes(clips, Path(folder), motion, background, flow)


if __name__ == "__main__":
    main()
